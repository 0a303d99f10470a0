# shellcheck shell=bash
# ./dev image: an OCI image from nothing but the program and the libraries that it opens, made by tar and jq (oci.sh), without a daemon and
# without anything of the build's time in it. One for another processor has them from its sysroot (arm64.sh).
IMAGE_NAME=localhost/omnitide-agent:dev
IMAGE_MOST_BYTES=$((12 << 20)) # compressed, for one processor

project_version() { sed -n 's/^project(omnitide-agent VERSION \([0-9.]*\).*/\1/p' CMakeLists.txt; }

# needed_libraries FILE...: "NAME PATH" of each shared library, and of those that they need in turn.
needed_libraries() {
  local file name path
  local -A seen=()
  local queue=("$@")
  while [[ ${#queue[@]} -gt 0 ]]; do
    file="${queue[0]}"
    queue=("${queue[@]:1}")
    while IFS= read -r name; do
      [[ -z "${seen[$name]:-}" && $name != ld-linux* ]] || continue
      seen[$name]=1
      path="$(library_path "$name")"
      [[ -n $path ]] || fail "$name, which $file needs, is not installed"
      printf '%s %s\n' "$name" "$path"
      queue+=("$path")
    done < <(named_libraries "$file")
  done
}

# What the agent of a cluster may open: it has no registry inside, and so no database.
image_opens() { opened_libraries "$1" | grep -v '/libsqlite3'; }

library_soname() { readelf -d "$1" | sed -n 's/.*(SONAME).*\[\(.*\)\]$/\1/p'; }

# image_root BUILD ROOT: the files of the image.
image_root() {
  local build="$1" root="$2" agent="$2/usr/bin/omnitide-agent" stage="$2.stage" log="$STATE/log/image-install.log"
  mkdir -p "$root"/{usr/bin,usr/lib/omnitide-agent,etc/omnitide/agent.d,etc/ssl/certs,run/omnitide,var/lib/omnitide,proc,sys,host}
  mkdir -m 1777 "$root/tmp"
  ln -s usr/lib "$root/lib"
  DESTDIR="$stage" cmake --install "$build" --prefix /usr --strip >"$log" || fail "cmake --install failed; see ${log#"$ROOT/"}"
  cp -p "$stage/usr/bin/omnitide-agent" "$agent"
  cp -p "$stage/usr/lib/omnitide-agent/libmosquitto.so.1" "$root/usr/lib/omnitide-agent/"
  # For the nodes, not for the container: packages do not have it (docs/adr/0023-cni-plugin.md).
  install -m 755 "$build/bin/omnitide-cni" "$root/usr/bin/omnitide-cni"
  rm -rf -- "$stage"
  image_loader "$root"
  with_shared_libraries "$root"
  install -m 644 /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/ca-certificates.crt"
  printf 'root:x:0:0:root:/:/nonexistent\nomnitide:x:65532:65532:omnitide:/:/nonexistent\n' >"$root/etc/passwd"
  printf 'root:x:0:\nomnitide:x:65532:\n' >"$root/etc/group"
  printf 'hosts: files dns\n' >"$root/etc/nsswitch.conf"
}

# image_loader ROOT: the dynamic loader, where the program asks for it.
image_loader() {
  local root="$1" loader
  loader="$(readelf -p .interp "$root/usr/bin/omnitide-agent" | grep -oE '/lib[0-9]*/ld-linux[-a-z0-9_.]*')"
  [[ $loader == /lib*/ld-linux* ]] || fail "omnitide-agent names no dynamic loader"
  # On systems with a merged /usr the loader's folder is a link there.
  if [[ ${loader%/*} != /lib ]]; then ln -s "usr${loader%/*}" "$root${loader%/*}"; fi
  install -D -m 755 "$(realpath "$sysroot$loader")" "$root/usr$loader"
}

# with_shared_libraries ROOT: those that the program there names and opens, and what they need, in the folder that Debian has them in.
with_shared_libraries() {
  local root="$1" agent="$1/usr/bin/omnitide-agent" folder name path
  folder="$root/usr/lib/$(basename "$(dirname "$(library_path libc.so.6)")")"
  mkdir -p "$folder"
  {
    image_opens "$agent" | while IFS= read -r path; do printf '%s %s\n' "$(library_soname "$path")" "$path"; done
    image_opens "$agent" | xargs -d '\n' realpath | { mapfile -t path && needed_libraries "$agent" "${path[@]}"; }
  } | sort -u | while read -r name path; do
    [[ $name == ld-linux* ]] || install -m 644 "$path" "$folder/$name"
  done
}

# image_licenses ROOT: what Debian says of the copyright of each library in it, and ours.
image_licenses() {
  local root="$1" package
  install -D -m 644 packaging/deb/copyright "$root/usr/share/doc/omnitide-agent/copyright"
  image_libraries "$root" | sed "s|^$sysroot/|/|" | owners "$sysroot/var/lib/dpkg" | awk '{ print $2 }' | sed 's/:.*//' | sort -u |
    while read -r package; do
      install -D -m 644 "$sysroot/usr/share/doc/$package/copyright" "$root/usr/share/doc/$package/copyright"
    done
}

# image_libraries ROOT: where Debian has the libraries that were copied into it, the loader with them.
image_libraries() {
  local name
  find "$1/usr" -type f -name '*.so*' -printf '%f\n' | sort -u | while read -r name; do library_path "$name"; done
}

# image_file ARCHITECTURE
image_file() {
  case "$1" in
    "$(dpkg --print-architecture)") echo build/image/omnitide-agent.oci.tar ;;
    *) echo "build/image/omnitide-agent-$1.oci.tar" ;;
  esac
}

# told_image FILE
told_image() {
  note "$1  $(numfmt --to=iec-i --suffix=B --format=%.1f "$(stat -c %s "$1")")  $IMAGE_NAME  sha256:$(sha256sum <"$1" | cut -c1-16)"
}

# make_image ARCHITECTURE: the archive and its bill of materials. Leaves the blobs in .omnitide/image/ARCHITECTURE/oci, the descriptor of
# the manifest beside them.
make_image() {
  local architecture="$1" place="$STATE/image/$1" preset=release out size sysroot bill
  if foreign "$architecture"; then preset=arm64; fi
  out="$(image_file "$architecture")" bill="${out%.oci.tar}.spdx.json"
  make_build "$preset"
  ninja -C "build/$preset" package_texts >/dev/null # what is installed has them
  sysroot="$(build_sysroot "build/$preset")"
  step "Packing $out"
  umask 022
  rm -rf -- "$place" "$out" "$bill"
  mkdir -p "$place/root" build/image
  image_root "build/$preset" "$place/root"
  image_licenses "$place/root"
  oci_manifest "$place/root" "$architecture" "$place/oci" >"$place/manifest"
  oci_archive "$place/oci" "$(<"$place/manifest")" "$out"
  size="$(stat -c %s "$out")"
  [[ $size -le $IMAGE_MOST_BYTES ]] || fail "the image has $size bytes, more than the $IMAGE_MOST_BYTES that it promises"
  {
    shipped_components "build/$preset"
    image_libraries "$place/root" | components CONTAINS
  } | document "$(project_version)-1" "$architecture" "$out" >"$bill" || fail "the bill of materials could not be made"
  told_image "$out"
  note "$bill"
}

# join_images ARCHITECTURE...: the images of all of them under one name; each node takes its own.
join_images() {
  local all="$STATE/image/all" out=build/image/omnitide-agent-all.oci.tar architecture
  step "Packing $out"
  rm -rf -- "$all" "$out"
  mkdir -p "$all"
  for architecture in "$@"; do
    cp -R "$STATE/image/$architecture/oci/blobs" "$all/"
    cat "$STATE/image/$architecture/manifest"
  done >"$all.manifests"
  oci_archive "$all" "$(oci_index "$all" <"$all.manifests")" "$out"
  told_image "$out"
}

command_image() {
  local architecture architectures=()
  architectures=("$(dpkg --print-architecture)")
  if [[ $# -gt 0 ]]; then
    [[ "$1" == --arch && $# -eq 2 ]] || fail "image takes --arch ARCHITECTURE, not $*"
    if [[ "$2" == all ]]; then architectures=(amd64 arm64); else architectures=("$2"); fi
  fi
  for architecture in "${architectures[@]}"; do make_image "$architecture"; done
  if [[ ${#architectures[@]} -gt 1 ]]; then join_images "${architectures[@]}"; fi
  rm -rf -- "$STATE/image"
}
