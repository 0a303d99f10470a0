# shellcheck shell=bash
# ./dev image: an OCI image from nothing but the program and the libraries that it opens, made by tar and jq, without a daemon and
# without anything of the build's time in it.
IMAGE_NAME=localhost/omnitide-agent:dev
IMAGE_MOST_BYTES=$((12 << 20)) # compressed

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
    done < <(objdump -p "$file" | sed -n 's/^ *NEEDED *//p')
  done
}

# What the agent of a cluster may open: it has no registry inside, and so no database.
image_opens() { opened_libraries "$1" | grep -v '/libsqlite3'; }

# image_root BUILD ROOT: the files of the image.
image_root() {
  local build="$1" root="$2" agent="$2/usr/bin/omnitide-agent" triplet loader name path
  triplet="$(g++ -dumpmachine)"
  mkdir -p "$root"/{usr/bin,usr/lib/"$triplet",usr/lib/omnitide-agent,etc/omnitide/agent.d,etc/ssl/certs,run/omnitide,var/lib/omnitide,proc,sys,host}
  mkdir -m 1777 "$root/tmp"
  ln -s usr/lib "$root/lib"
  DESTDIR="$STATE/image/stage" cmake --install "$build" --prefix /usr --strip >"$STATE/log/image-install.log" ||
    fail "cmake --install failed; see .omnitide/log/image-install.log"
  cp -p "$STATE/image/stage/usr/bin/omnitide-agent" "$agent"
  cp -p "$STATE/image/stage/usr/lib/omnitide-agent/libmosquitto.so.1" "$root/usr/lib/omnitide-agent/"
  loader="$(readelf -p .interp "$agent" | grep -oE '/lib[0-9]*/ld-linux[-a-z0-9_.]*')"
  [[ $loader == /lib*/ld-linux* ]] || fail "omnitide-agent names no dynamic loader"
  # On systems with a merged /usr the loader's folder is a link there.
  if [[ ${loader%/*} != /lib ]]; then ln -s "usr${loader%/*}" "$root${loader%/*}"; fi
  install -D -m 755 "$(realpath "$loader")" "$root/usr$loader"
  {
    image_opens "$agent" | while IFS= read -r path; do printf '%s %s\n' "$(objdump -p "$path" | awk '$1 == "SONAME" { print $2 }')" "$path"; done
    image_opens "$agent" | xargs -d '\n' realpath | { mapfile -t path && needed_libraries "$agent" "${path[@]}"; }
  } | sort -u | while read -r name path; do
    [[ $name == ld-linux* ]] || install -m 644 "$path" "$root/usr/lib/$triplet/$name"
  done
  install -m 644 /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/ca-certificates.crt"
  printf 'root:x:0:0:root:/:/nonexistent\nomnitide:x:65532:65532:omnitide:/:/nonexistent\n' >"$root/etc/passwd"
  printf 'root:x:0:\nomnitide:x:65532:\n' >"$root/etc/group"
  printf 'hosts: files dns\n' >"$root/etc/nsswitch.conf"
}

# image_licenses ROOT: what Debian says of the copyright of each library in it, and ours.
image_licenses() {
  local root="$1" package
  install -D -m 644 packaging/deb/copyright "$root/usr/share/doc/omnitide-agent/copyright"
  image_libraries "$root" | owners | awk '{ print $2 }' | sed 's/:.*//' | sort -u | while read -r package; do
    install -D -m 644 "/usr/share/doc/$package/copyright" "$root/usr/share/doc/$package/copyright"
  done
}

# image_libraries ROOT: where Debian has the libraries that were copied into it.
image_libraries() {
  local name
  find "$1/usr/lib" -type f -name '*.so*' -printf '%f\n' | sort -u | while read -r name; do
    case "$name" in
      ld-linux*) realpath "$(find /lib64 /lib -maxdepth 1 -name "$name" -print -quit 2>/dev/null)" ;;
      *) library_path "$name" ;;
    esac
  done
}

# blob FOLDER < CONTENT: keeps it under its digest, and prints {digest, size}.
blob() {
  local file digest
  file="$(mktemp "$1/new.XXXXXX")"
  cat >"$file"
  digest="$(sha256sum <"$file" | cut -d' ' -f1)"
  mv "$file" "$1/$digest"
  chmod 644 "$1/$digest"
  jq -nc --arg digest "sha256:$digest" --argjson size "$(stat -c %s "$1/$digest")" '{digest: $digest, size: $size}'
}

plain_tar() {
  tar --create --format=gnu --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$SOURCE_DATE_EPOCH" "$@"
}

# oci_archive ROOT OUT: one layer, its configuration, manifest and index.
oci_archive() {
  local root="$1" out="$2" oci="$STATE/image/oci" layer content config manifest created version
  created="$(date -u -d "@$SOURCE_DATE_EPOCH" +%Y-%m-%dT%H:%M:%SZ)"
  version="$(project_version)"
  mkdir -p "$oci/blobs/sha256"
  plain_tar --file="$STATE/image/layer.tar" --directory="$root" .
  content="sha256:$(sha256sum <"$STATE/image/layer.tar" | cut -d' ' -f1)"
  layer="$(gzip -9nc "$STATE/image/layer.tar" | blob "$oci/blobs/sha256")"
  config="$(jq -nc --arg created "$created" --arg content "$content" --arg version "$version" --arg architecture "$(dpkg --print-architecture)" '{
    architecture: $architecture, os: "linux", created: $created, rootfs: {type: "layers", diff_ids: [$content]},
    history: [{created: $created, created_by: "./dev image"}],
    config: {Entrypoint: ["/usr/bin/omnitide-agent"], Cmd: ["run"], Env: ["PATH=/usr/bin"], WorkingDir: "/", Labels: {
      "org.opencontainers.image.title": "omnitide-agent", "org.opencontainers.image.version": $version,
      "org.opencontainers.image.licenses": "MIT"}}}' | blob "$oci/blobs/sha256")"
  manifest="$(jq -nc --argjson config "$config" --argjson layer "$layer" '{schemaVersion: 2,
    mediaType: "application/vnd.oci.image.manifest.v1+json",
    config: ({mediaType: "application/vnd.oci.image.config.v1+json"} + $config),
    layers: [{mediaType: "application/vnd.oci.image.layer.v1.tar+gzip"} + $layer]}' | blob "$oci/blobs/sha256")"
  jq -nc --argjson manifest "$manifest" --arg name "$IMAGE_NAME" '{schemaVersion: 2, mediaType: "application/vnd.oci.image.index.v1+json",
    manifests: [{mediaType: "application/vnd.oci.image.manifest.v1+json"} + $manifest + {annotations: {
      "io.containerd.image.name": $name, "org.opencontainers.image.ref.name": $name}}]}' >"$oci/index.json"
  printf '{"imageLayoutVersion":"1.0.0"}' >"$oci/oci-layout"
  plain_tar --file="$out" --directory="$oci" oci-layout index.json blobs
}

make_image() {
  local root="$STATE/image/root" out=build/image/omnitide-agent.oci.tar size
  need_packages "${BUILD_PACKAGES[@]}" "${PACKAGE_PACKAGES[@]}"
  package_epoch
  configure release
  build release
  ninja -C build/release package_texts >/dev/null
  step "Packing $out"
  umask 022
  rm -rf -- "$STATE/image" build/image
  mkdir -p "$root" build/image
  image_root build/release "$root"
  image_licenses "$root"
  oci_archive "$root" "$out"
  size="$(stat -c %s "$out")"
  [[ $size -le $IMAGE_MOST_BYTES ]] || fail "the image has $size bytes, more than the $IMAGE_MOST_BYTES that it promises"
  {
    shipped_components build/release
    image_libraries "$root" | components CONTAINS
  } | document "$(project_version)-1" "$(dpkg --print-architecture)" "$out" \
    >build/image/omnitide-agent.spdx.json || fail "the bill of materials could not be made"
  note "$out  $(numfmt --to=iec-i --suffix=B --format=%.1f "$size")  $IMAGE_NAME  sha256:$(sha256sum <"$out" | cut -c1-16)"
  note "build/image/omnitide-agent.spdx.json"
  rm -rf -- "$STATE/image"
}

command_image() {
  case "${1:-}" in
    '') make_image ;;
    *) fail "image takes no $1" ;;
  esac
}
