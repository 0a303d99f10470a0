# shellcheck shell=bash
# ./dev test --kernels: the built tests on other kernels, each in an emulated machine of its own. One table at the end.
# The machine has no disk and no network: an initrd with the programs, a console, and a second serial line for results.

KERNEL_ARCH=amd64 # of the machine: amd64 or arm64
KERNEL_GUEST_MIB=1536
KERNEL_GUEST_SECONDS=6000
# What runs there and for how long at most, in seconds (the machine is emulated: slow). A name that ends in .sh is a
# script of tests/kernels. A test case that needs what not every kernel has says so by a tag: [needs-tcx]. The feature's
# name is that of docs/facts.md.
KERNEL_TESTS=(tests_bpf:1500 tests_collectors:900 tests_enforcement:2700 tests_netns_points:900 tests_netns_services:900 agent.sh:400)
# With what they depend on, loaded in this order before the tests. Not sctp: a test answers SCTP itself.
KERNEL_MODULES=(veth loop sch_ingress cls_bpf bridge 8021q dummy nf_tables nf_conntrack nft_ct nft_chain_nat nft_nat nft_masq
  nft_numgen nft_fib_ipv4 nft_fib_ipv6)
# Of this system, or of these packages of another architecture; busybox has the rest.
KERNEL_GUEST_TOOLS=(ip tc nft curl iperf3)
KERNEL_GUEST_PACKAGES=(busybox-static dash iproute2 nftables curl iperf3)

# kernels [--arch ARCHITECTURE] [SERIES...]
kernels() {
  local series failed=0 rows=() targets preset=test dir
  if [[ "${1:-}" == --arch ]]; then
    if foreign "${2:-}"; then KERNEL_ARCH=arm64 preset=arm64-test; fi
    shift 2
  fi
  for series in "$@"; do
    [[ -n "${KERNEL_SUITES[$series]:-}" ]] || fail "no kernel $series is known; known are: ${KERNEL_SERIES[*]}"
  done
  [[ $# -gt 0 ]] || set -- "${KERNEL_SERIES[@]}"
  [[ "$(uname -m)" == x86_64 ]] || fail "--kernels emulates on x86_64 only"
  need_packages "${BUILD_PACKAGES[@]}" "${TEST_PACKAGES[@]}" "${KERNEL_PACKAGES[@]}" "qemu-system-$([[ $KERNEL_ARCH == amd64 ]] && echo x86 || echo arm)"
  if [[ $KERNEL_ARCH == arm64 ]]; then
    need_arm64
    fetch_root guest "${KERNEL_GUEST_PACKAGES[@]}"
  fi
  mapfile -t targets < <(printf '%s\n' "${KERNEL_TESTS[@]%%:*}" | grep -v '\.sh$')
  build "$preset" "${targets[@]}" omnitide-agent
  for series in "$@"; do fetch_kernel "$series"; done
  for series in "$@"; do
    dir="$(kernel_dir "$series")"
    make_initrd "$dir" "build/$preset/bin"
    one_kernel "$dir" || failed=$((failed + 1))
    rows+=("$(kernel_row "$dir")")
  done
  step "Kernels"
  printf '%-22s %8s %7s %7s %8s  %s\n' kernel programs passed failed seconds 'not run, and what went wrong'
  printf '%s\n' "${rows[@]}"
  note "$(($# - failed)) kernels passed, $failed failed; consoles: ${STATE#"$ROOT/"}/kernels/*/console"
  [[ $failed -eq 0 ]]
}

# Libraries that programs of ours open when they call them (cmake/LazyLibrary.cmake): ldd does not see them.
OPENED_LIBRARIES='/[^ ]*/lib(ssl|crypto|mosquitto)[.]so[.][0-9]+$'

# guest_tool NAME: where that program of the machine is now.
guest_tool() {
  if [[ $KERNEL_ARCH == arm64 ]]; then
    find "$ARM64/guest/usr/bin" "$ARM64/guest/usr/sbin" -name "$1" -print -quit
  else
    PATH="$PATH:/usr/sbin:/sbin" command -v "$1"
  fi
}

# with_arm64_libraries TREE FILE: what a program, or library, asks for and what ours open, where a Debian of arm64 looks for them.
with_arm64_libraries() {
  local tree="$1" name found
  for name in $(named_libraries "$2") $([[ "$2" != build/* ]] || echo libssl.so.3 libcrypto.so.3 libmosquitto.so.1); do
    [[ ! -e "$tree/lib/aarch64-linux-gnu/$name" ]] || continue
    found="$(find "$ARM64/sysroot/usr/lib" "$ARM64/guest/usr/lib" -name "$name" -print -quit)"
    [[ -n "$found" ]] || fail "$2 asks for $name, which is in no package that was fetched"
    install -D -m 0755 "$(readlink -f "$found")" "$tree/lib/aarch64-linux-gnu/$name"
    with_arm64_libraries "$tree" "$found"
  done
}

# with_libraries TREE FROM TO: a program and the shared libraries that it asks for, at the same places.
with_libraries() {
  local tree="$1" from="$2" library
  install -D -m 0755 "$from" "$tree$3"
  if [[ $KERNEL_ARCH == arm64 ]]; then
    aarch64-linux-gnu-strip -g "$tree$3" 2>/dev/null || true
    install -D -m 0755 "$ARM64/sysroot/lib/aarch64-linux-gnu/ld-linux-aarch64.so.1" "$tree/lib/ld-linux-aarch64.so.1"
    with_arm64_libraries "$tree" "$from"
    return
  fi
  strip -g "$tree$3" 2>/dev/null || true
  {
    ldd "$from" 2>/dev/null | grep -oE '/[^ ]+'
    if [[ "$from" == build/* ]]; then ldconfig -p | grep -oE "$OPENED_LIBRARIES"; fi
  } | while IFS= read -r library; do
    [[ -e "$tree$library" ]] || install -D -m 0755 "$(readlink -f "$library")" "$tree$library"
  done || true
}

# The modules in the order of loading, unpacked; names that the kernel has built in need none.
guest_modules() {
  local dir="$1" tree="$2" version file name number=100
  version="$(<"$dir/version")"
  mkdir -p "$tree/modules"
  for name in "${KERNEL_MODULES[@]}"; do
    modprobe -d "$dir/root" -S "$version" --show-depends --ignore-install "$name" || fail "Linux $version has no module $name"
  done | awk '$1 == "insmod" && !seen[$2]++ { print $2 }' >"$dir/modules"
  while IFS= read -r file; do
    name="$tree/modules/$((number++))-$(basename "$file")"
    case "$file" in
      *.xz) xz -dc "$file" >"${name%.xz}" ;;
      *) cp "$file" "$name" ;;
    esac
  done <"$dir/modules"
}

# make_initrd DIR PROGRAMS: of the kernel in DIR, and of our programs in the folder PROGRAMS.
make_initrd() {
  local dir="$1" programs="$2" tree="$1/tree" entry name
  rm -rf -- "$tree"
  mkdir -p "$tree/tests" "$tree/bin"
  install -m 0755 tests/kernels/guest.sh "$tree/init"
  install -m 0755 "$(guest_tool busybox)" "$tree/bin/busybox"
  for name in "${KERNEL_GUEST_TOOLS[@]}"; do
    with_libraries "$tree" "$(guest_tool "$name")" "/tools/$name"
  done
  with_libraries "$tree" "$(guest_tool dash)" /tools/sh # the shell of busybox would take its own ip for ours
  with_libraries "$tree" "$programs/omnitide-agent" /programs/omnitide-agent
  for entry in "${KERNEL_TESTS[@]}"; do
    name="${entry%%:*}"
    case "$name" in
      *.sh) install -m 0755 "tests/kernels/$name" "$tree/tests/$name" ;;
      *) with_libraries "$tree" "$programs/$name" "/tests/$name" ;;
    esac
    printf '%s %s\n' "$name" "${entry#*:}" >>"$tree/tests/list"
  done
  guest_modules "$dir" "$tree"
  (cd "$tree" && find . -print0 | cpio --null --quiet --create --format=newc --owner=0:0 | gzip -1) >"$dir/initrd.gz"
  rm -rf -- "$tree"
}

# kernel_machine DIR: the emulator, its processor, console and the line for results, into the caller's machine. That of arm64 has one serial
# line of its own.
kernel_machine() {
  local append='panic=-1 quiet loglevel=3 oops=panic mitigations=off'
  if [[ $KERNEL_ARCH == arm64 ]]; then
    machine=(qemu-system-aarch64 -machine virt -cpu cortex-a76 -append "console=ttyAMA0 $append" -serial "file:$1/console"
      -chardev "file,id=results,path=$1/results" -device "pci-serial,chardev=results")
  else
    machine=(qemu-system-x86_64 -cpu max -append "console=ttyS0 $append" -serial "file:$1/console" -serial "file:$1/results")
  fi
}

# Runs one machine; its results are in the file `results`, fields divided by tabs.
one_kernel() {
  local dir="$1" begin=$SECONDS status=0 machine=()
  step "Linux $(<"$dir/version")"
  : >"$dir/results"
  kernel_machine "$dir"
  timeout --foreground --kill-after=5 "$KERNEL_GUEST_SECONDS" "${machine[@]}" -nodefaults -display none -no-reboot \
    -m "$KERNEL_GUEST_MIB" -smp 2 -accel tcg,thread=multi -kernel "$dir/vmlinuz" -initrd "$dir/initrd.gz" \
    </dev/null >"$dir/qemu" 2>&1 || status=$?
  printf 'seconds\t%d\n' "$((SECONDS - begin))" >>"$dir/results"
  [[ $status -eq 0 ]] || printf 'problem\tthe machine ended with %d: %s\n' "$status" "$(tail -n 1 "$dir/qemu")" >>"$dir/results"
  grep -qx end "$dir/results" || printf 'problem\tthe machine ended before its tests did\n' >>"$dir/results"
  kernel_good "$dir/results" && return
  tail -n 150 "$dir/console"
  return 1
}

# Every program of the list told its result, with at least one test case and none that failed.
kernel_good() {
  local results="$1" entry
  for entry in "${KERNEL_TESTS[@]}"; do
    awk -F '\t' -v name="${entry%%:*}" '$1 == "test" && $2 == name && $3 > 0 && $4 == 0 && $5 == 0 { good = 1 } END { exit !good }' \
      "$results" || printf 'problem\t%s failed\n' "${entry%%:*}" >>"$results"
  done
  ! grep -q '^problem' "$results"
}

kernel_row() {
  awk -F '\t' -v version="$(<"$1/version")" '
    $1 == "program" { programs++ }
    $1 == "test" { passed += $3; failed += $4 }
    $1 == "not-run" { skipped[$3] += $4; where[$3] = where[$3] " " $2 }
    $1 == "seconds" { seconds = $2 }
    $1 == "problem" { problems = problems "; " $2 }
    END {
      for (need in skipped) text = text "; needs " need ": " skipped[need] " of" where[need]
      text = substr(text problems, 3)
      printf "%-22s %8d %7d %7d %8d  %s\n", version, programs, passed, failed, seconds, text == "" ? "-" : text
    }' "$1/results"
}
