# shellcheck shell=bash
# ./dev package: what cmake/Package.cmake says, as .deb and .rpm, without anything of the build's time or place in them.

# Newest GLIBC_ version that the program asks for.
newest_glibc() { objdump -T "$1" | grep -oE 'GLIBC_[0-9.]+' | sort -Vu | tail -n 1; }

command_package() {
  local epoch newest file
  need_packages "${BUILD_PACKAGES[@]}" "${PACKAGE_PACKAGES[@]}"
  build release
  epoch="$(git log -1 --format=%ct 2>/dev/null || true)"
  export SOURCE_DATE_EPOCH="${SOURCE_DATE_EPOCH:-${epoch:-0}}"
  ninja -C build/release package_texts >/dev/null
  newest="$(newest_glibc build/release/bin/omnitide-agent)"
  [[ "$(printf '%s\n' "$newest" GLIBC_2.34 | sort -V | tail -n 1)" == GLIBC_2.34 ]] ||
    fail "omnitide-agent asks for $newest; packages promise to run with glibc 2.34"
  step "Packing"
  rm -rf -- build/release/packages
  for kind in DEB RPM; do
    (cd build/release && cpack -G "$kind" >"$STATE/log/cpack-$kind.log" 2>&1) ||
      fail "cpack failed; see .omnitide/log/cpack-$kind.log: $(tail -n 2 "$STATE/log/cpack-$kind.log")"
  done
  rm -rf -- build/release/packages/_CPack_Packages
  for file in build/release/packages/*.{deb,rpm}; do note "$file  $(du -h "$file" | cut -f1)"; done
}
