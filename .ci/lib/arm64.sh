# shellcheck shell=bash
# Building for arm64 on another machine: Debian's cross compiler, the libraries as files in a sysroot of this clone's, and qemu-user
# for what is run. Nothing of it is known to this system's dpkg (docs/adr/0020-cross-build.md). .omnitide/arm64 holds `sysroot` and
# `qemu-aarch64`.

ARM64="$STATE/arm64"
# qemu-user before 9.2 lacks openat2, by which the agent reads below a root.
ARM64_QEMU_SUITE=trixie

# Whether that architecture is not this machine's.
foreign() {
  case "$1 $(uname -m)" in
    'amd64 x86_64' | 'arm64 aarch64') return 1 ;;
    'arm64 '*) return 0 ;;
    *) fail "--arch takes arm64, or what this machine is; not $1" ;;
  esac
}

# The libraries among the packages that a build and its tests need, under the names that Debian gives them.
sysroot_packages() {
  local name
  for name in "${BUILD_PACKAGES[@]}"; do
    case "$name" in
      boost) boost_packages ;;
      lib*-dev | zlib1g-dev) printf '%s\n' "$name" ;;
    esac
  done
  printf '%s\n' catch2
}

# The suites of this very release, so that protoc of this machine fits the library: the release, its updates, security.
arm64_apt() {
  local codename suite mirror suites=()
  codename="$(debian_codename)"
  suites=("$codename")
  for suite in "$codename-updates" "$codename-security"; do
    mirror="$(own_mirror "$suite")"
    if [[ -n "$mirror" ]]; then suites+=("$mirror" "$suite"); fi
  done
  apt_root "$1" arm64 "${suites[@]}"
}

# unpack DEB ROOT: its files, and its place in a database of dpkg, which the bill of materials asks.
unpack() {
  local database="$2/var/lib/dpkg" name
  name="$(dpkg-deb -f "$1" Package)"
  dpkg-deb --fsys-tarfile "$1" | tar -x --keep-directory-symlink --no-same-owner -C "$2"
  dpkg-deb --fsys-tarfile "$1" | tar -t | sed -n 's|^[.]\(/.*[^/]\)/*$|\1|p' >"$database/info/$name.list"
  { dpkg-deb -f "$1" | sed '/^Package: /a Status: install ok installed' && echo; } >>"$database/status"
}

# Links that lead to the root of the file system lead to that of the sysroot.
relative_links() {
  local link target
  find "$1" -type l -lname '/*' -print0 | while IFS= read -r -d '' link; do
    target="$(readlink "$link")"
    ln -sfnr -- "$1$target" "$link"
  done
}

# fetch_root NAME PACKAGE...: these packages and what they need as the root .omnitide/arm64/NAME, which is made anew when they are others.
fetch_root() {
  local name="$1" apt="$ARM64/apt" log="$STATE/log/arm64-$1.log" root="$ARM64/$1.new" deb
  shift
  if [[ "$(cat "$ARM64/$name.packages" 2>/dev/null)" == "$*" ]]; then return; fi
  rm -rf -- "$apt" "$root" "${ARM64:?}/$name" "$ARM64/$name.packages"
  mkdir -p "$STATE/log" "$root"/{usr/lib,usr/bin,usr/sbin,var/lib/dpkg/info,var/lib/dpkg/updates}
  for deb in lib bin sbin; do ln -s "usr/$deb" "$root/$deb"; done
  step "Fetching packages of Debian for arm64 into ${ARM64#"$ROOT/"}/$name (log: ${log#"$ROOT/"})"
  arm64_apt "$apt"
  private_update "$apt" "$log"
  private_apt "$apt" apt-get -q -y --no-install-recommends --download-only install "$@" >>"$log" 2>&1 ||
    fail "cannot fetch them: $(grep '^E: ' "$log" | tail -n 1)"
  for deb in "$apt"/cache/archives/*.deb; do unpack "$deb" "$root"; done
  relative_links "$root"
  rm -rf -- "$apt"
  mv "$root" "$ARM64/$name"
  printf '%s' "$*" >"$ARM64/$name.packages"
  note "$# packages and what they need, $(du -sh "$ARM64/$name" | cut -f1)"
}

fetch_qemu() {
  local apt="$ARM64/apt" log="$STATE/log/arm64-qemu.log"
  [[ ! -x "$ARM64/qemu-aarch64" ]] || return 0
  rm -rf -- "$apt"
  mkdir -p "$STATE/log" "$ARM64"
  step "Fetching qemu-user of Debian $ARM64_QEMU_SUITE (log: ${log#"$ROOT/"})"
  apt_root "$apt" "$(dpkg --print-architecture)" "$ARM64_QEMU_SUITE"
  private_update "$apt" "$log"
  (cd "$apt" && private_apt "$apt" apt-get -q download qemu-user) >>"$log" 2>&1 ||
    fail "cannot fetch qemu-user: $(grep '^E: ' "$log" | tail -n 1)"
  dpkg-deb --fsys-tarfile "$apt"/qemu-user_*.deb | tar -x -O ./usr/bin/qemu-aarch64 >"$ARM64/qemu.new"
  chmod 755 "$ARM64/qemu.new"
  mv "$ARM64/qemu.new" "$ARM64/qemu-aarch64"
  rm -rf -- "$apt"
  note "$("$ARM64/qemu-aarch64" --version | head -n 1)"
}

need_arm64() {
  local libraries
  need_packages "${ARM64_PACKAGES[@]}"
  mapfile -t libraries < <(sysroot_packages)
  fetch_root sysroot "${libraries[@]}"
  fetch_qemu
}

# What the emulator cannot run, by program.
not_emulated() {
  grep -v '^#' tests/emulated/not_run.tsv | LC_ALL=C sort | awk -F '\t' '
    $1 != last { print "  " $1; last = $1 }
    { print "    " $2 ": " $3 }'
}

# test_arm64 [ARGUMENTS of ctest...]: the unit tests under qemu-user. Emulated code is slow: random tests have few cases.
test_arm64() {
  local status=0 count
  need_packages "${BUILD_PACKAGES[@]}" "${TEST_PACKAGES[@]}"
  need_arm64
  build arm64-test unit_tests
  step "Unit tests for arm64, under qemu-user"
  export OMNITIDE_PROPERTY_SETS="${OMNITIDE_PROPERTY_SETS:-300}" OMNITIDE_HEALTH_HISTORIES="${OMNITIDE_HEALTH_HISTORIES:-500}"
  export OMNITIDE_SPOOL_KILLS="${OMNITIDE_SPOOL_KILLS:-5}"
  ctest --test-dir build/arm64-test -L unit --output-on-failure --no-tests=error -j "${JOBS:-$(jobs_count)}" "$@" || status=$?
  count="$(not_emulated | grep -c '^    ' || true)"
  step "$count test cases are not run, since qemu-user cannot; the tests of this machine's own architecture have them"
  not_emulated
  return "$status"
}
