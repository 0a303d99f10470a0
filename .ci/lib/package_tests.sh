# shellcheck shell=bash
# ./dev test --packages: what lintian and rpmlint say, what the packages ask for, and their whole life in systems that boot.

PACKAGE_SUITES=(bookworm trixie)
PACKAGE_MACHINES=(deb health faults) # tests/packages/NAME_test.sh, each in each suite
PACKAGE_FILES=(lint sbom rpm arm64 image)   # of the files alone

test_lint() {
  lintian --allow-root --fail-on error,warning build/release/packages/*.deb || return 1
  rpmlint -c packaging/rpm/rpmlint.toml build/release/packages/*.rpm
}

test_sbom() { tests/packages/sbom_test.sh build/release; }

test_rpm() { OMNITIDE_ROOTS="$STATE/roots" tests/packages/rpm_test.sh build/release/packages/*.rpm; }

# Those for arm64, beside the native ones.
test_arm64_packages() {
  local failed=0
  if ! foreign arm64; then
    note "not run: this machine is an arm64, its own packages are those"
    return
  fi
  make_packages arm64
  lintian --allow-root --fail-on error,warning build/arm64/packages/*.deb || failed=1
  rpmlint -c packaging/rpm/rpmlint.toml build/arm64/packages/*.rpm || failed=1
  tests/packages/sbom_test.sh build/arm64 "$ARM64/sysroot" || failed=1
  tests/packages/arm64_test.sh build/arm64 "$ARM64" build/release || failed=1
  [[ $failed -eq 0 ]]
}

# The image of this machine, or where the other one can be built those of both, and the one archive of both.
test_image() {
  local native failed=0
  native="$(dpkg --print-architecture)"
  if ! foreign arm64; then
    command_image
    tests/packages/image_test.sh build/image/omnitide-agent.oci.tar "$ARM64" "$native"
    return
  fi
  command_image --arch all
  tests/packages/image_test.sh build/image/omnitide-agent.oci.tar "$ARM64" amd64 || failed=1
  tests/packages/image_test.sh build/image/omnitide-agent-arm64.oci.tar "$ARM64" arm64 || failed=1
  tests/packages/image_test.sh build/image/omnitide-agent-all.oci.tar "$ARM64" amd64 arm64 || failed=1
  [[ $failed -eq 0 ]]
}

# test_packages [SUITE|NAME...]: all, or only what is named.
test_packages() {
  local word suite name failed=0 suites=() names=()
  [[ "$(id -u)" == 0 ]] || fail "--packages boots systems: it needs root"
  for word in "$@"; do
    if [[ " ${PACKAGE_SUITES[*]} " == *" $word "* ]]; then
      suites+=("$word")
    elif [[ " ${PACKAGE_MACHINES[*]} ${PACKAGE_FILES[*]} " == *" $word "* ]]; then
      names+=("$word")
    else
      fail "--packages knows ${PACKAGE_SUITES[*]}, and ${PACKAGE_FILES[*]} ${PACKAGE_MACHINES[*]}; not $word"
    fi
  done
  [[ ${#suites[@]} -gt 0 ]] || suites=("${PACKAGE_SUITES[@]}")
  [[ ${#names[@]} -gt 0 ]] || names=("${PACKAGE_FILES[@]}" "${PACKAGE_MACHINES[@]}")
  make_packages
  need_packages "${PACKAGE_TEST_PACKAGES[@]}"
  for name in "${names[@]}"; do
    if [[ " ${PACKAGE_FILES[*]} " == *" $name "* ]]; then
      step "$name"
      if [[ $name == arm64 ]]; then name=arm64_packages; fi
      "test_$name" || failed=1
      continue
    fi
    for suite in "${suites[@]}"; do
      step "$name in $suite"
      OMNITIDE_ROOTS="$STATE/roots" "tests/packages/${name}_test.sh" "$suite" "$(echo build/release/packages/*.deb)" \
        build/release/bin/omnitide-registry || failed=1
    done
  done
  [[ $failed -eq 0 ]]
}
