# shellcheck shell=bash
# ./dev package: what cmake/Package.cmake says, as .deb and .rpm, without anything of the build's time or place in them, and their
# bill of materials.

# Newest GLIBC_ version that the program asks for.
newest_glibc() { readelf --dyn-syms -W "$1" | grep -oE '@GLIBC_[0-9.]+' | tr -d @ | sort -Vu | tail -n 1; }

# Shared libraries that the program names.
named_libraries() { readelf -d "$1" | sed -n 's/.*(NEEDED).*\[\(.*\)\]$/\1/p'; }

package_epoch() {
  local epoch
  epoch="$(git log -1 --format=%ct 2>/dev/null || true)"
  export SOURCE_DATE_EPOCH="${SOURCE_DATE_EPOCH:-${epoch:-0}}"
}

# pack BUILD: the packages of a build, into its folder packages.
pack() {
  local build="$1" newest kind log
  ninja -C "$build" package_texts >/dev/null
  newest="$(newest_glibc "$build/bin/omnitide-agent")"
  [[ "$(printf '%s\n' "$newest" GLIBC_2.34 | sort -V | tail -n 1)" == GLIBC_2.34 ]] ||
    fail "omnitide-agent asks for $newest; packages promise to run with glibc 2.34"
  step "Packing $build"
  rm -rf -- "$build/packages"
  for kind in DEB RPM; do
    log="$STATE/log/cpack-$kind.log"
    (cd "$build" && cpack -G "$kind" >"$log" 2>&1) || fail "cpack failed; see ${log#"$ROOT/"}: $(tail -n 2 "$log")"
  done
  rm -rf -- "$build/packages/_CPack_Packages"
  sbom "$build" "$build/packages" >"$STATE/sbom" || fail "the bill of materials could not be made"
  mv "$STATE/sbom" "$(echo "$build"/packages/*.deb | sed 's/[.]deb$/.spdx.json/')"
}

# make_build PRESET: what packages and images are made of.
make_build() {
  need_packages "${BUILD_PACKAGES[@]}" "${PACKAGE_PACKAGES[@]}"
  if [[ $1 == arm64 ]]; then need_arm64; fi
  package_epoch
  configure "$1" # the commit that the program names is taken then
  build "$1"
}

# make_packages [PRESET]
make_packages() {
  local preset="${1:-release}"
  make_build "$preset"
  pack "build/$preset"
  (cd "build/$preset/packages" && du -h -- *) | while read -r size file; do note "build/$preset/packages/$file  $size"; done
}

command_package() {
  local make=make_packages preset=release
  while [[ $# -gt 0 ]]; do
    case "$1" in
      --twice) make=package_twice ;;
      --arch)
        if foreign "${2:-}"; then preset=arm64; fi
        shift
        ;;
      *) fail "package takes --twice and --arch, not $1" ;;
    esac
    shift
  done
  "$make" "$preset"
}

# The packages of two builds in two folders are equal, byte by byte. Of the second one these parts are compiled anew and not taken from
# ccache (for speed, for size, coroutines, generated code, BPF, assembler); with CCACHE_RECACHE=1 in the environment all are. Both builds
# go through ccache or both do not: it makes paths relative, which shows in debug information and so in the build's id.
TWICE_COMPILED=(agent_base agent_codec agent_api agent_config agent_registration bpf_policy bpf_tcp)
package_twice() {
  local preset="$1" file again=build/again failed=0 options=()
  make_packages "$preset"
  mapfile -t options < <(warnings_as_errors "$preset")
  rm -rf -- "$again"
  step "Building $again"
  cmake --preset "$preset" -B "$again" "${options[@]}" >"$STATE/log/cmake-again.log" 2>&1 ||
    fail "cmake failed; see .omnitide/log/cmake-again.log"
  CCACHE_RECACHE=1 ninja -C "$again" -j "${JOBS:-$(jobs_count)}" "${TWICE_COMPILED[@]}" >/dev/null || fail "the second build failed"
  ninja -C "$again" -j "${JOBS:-$(jobs_count)}" >/dev/null || fail "the second build failed"
  pack "$again"
  for file in "build/$preset"/packages/*; do
    if cmp -- "$file" "$again/packages/$(basename "$file")"; then
      note "equal  $(sha256sum "$file" | cut -c1-16)  $(basename "$file")"
    else
      failed=1
    fi
  done
  [[ $failed -eq 0 ]] || fail "two builds differ: build/$preset/packages and $again/packages"
  rm -rf -- "$again"
}
