#!/bin/busybox sh
# shellcheck shell=dash
# The first process of an emulated machine (./dev test --kernels): modules, file systems, the tests, off. People read
# the console; ./dev reads lines of words divided by tabs from the second serial line.
export PATH=/tools:/bin HOME=/root
ulimit -n 20000 # as this system has; 1024 otherwise
/bin/busybox mkdir -p /proc /sys /dev /run /tmp /root /var/lib /var/tmp /etc
/bin/busybox --install -s /bin
ln -sf /tools/sh /bin/sh
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
mount -t tmpfs tmpfs /tmp
mount -t tmpfs tmpfs /run
mount -t bpf bpf /sys/fs/bpf
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount -t securityfs securityfs /sys/kernel/security
mount -t tracefs tracefs /sys/kernel/tracing
ip link set lo up
results=/dev/ttyS1
if [ "$(uname -m)" = aarch64 ]; then results=/dev/ttyS0; fi # its console is no 8250
stty -F "$results" raw -echo

tell() { # WORD... on the second serial line
  line=$1
  shift
  for word in "$@"; do line="$line	$word"; done
  echo "$line" >"$results"
}

load_modules() {
  for module in /modules/*.ko; do insmod "$module" || tell problem "module ${module##*/} cannot be loaded"; done
}

# Features that tests may declare to need by a tag [needs-FEATURE], and that the agent finds missing here.
find_features() {
  /programs/omnitide-agent discover --probe >/tmp/discover || tell problem "omnitide-agent discover failed: $?"
  awk '$2 == "no" { print $1 }' "$OMNITIDE_PATHS_RUN_DIR/ebpf-probe" >/tmp/lacking
  awk '$2 == "yes" || $2 == "no" { print "  " $0 }' "$OMNITIDE_PATHS_RUN_DIR/ebpf-probe"
  [ -s "$OMNITIDE_PATHS_RUN_DIR/ebpf-probe" ] || tell problem "omnitide-agent discover did not say what eBPF can do"
}

# test_program NAME SECONDS: passed and failed test cases, those that are not run with their needs.
test_program() {
  filter='' begin=$(cut -d. -f1 /proc/uptime)
  while read -r feature; do
    skipped=$("/tests/$1" --list-tests "[needs-$feature]" 2>/dev/null | sed -n 's/^\([0-9]*\) matching test case.*/\1/p')
    [ "${skipped:-0}" -eq 0 ] || tell not-run "$1" "$feature" "$skipped"
    filter="$filter~[needs-$feature]"
  done </tmp/lacking
  echo "== $1"
  timeout -s KILL "$2" "/tests/$1" -d yes -r xml -o "/tmp/$1.xml" "$filter" </dev/null >"/tmp/$1.out" 2>&1
  status=$?
  cat "/tmp/$1.out"
  sed -nE 's/^ +program ([^:]+): ([0-9]+) of .*/\1 \2/p' "/tmp/$1.out" | while read -r program steps; do
    tell program "$program" "$steps"
  done
  good=$(grep -c '<OverallResult success="true"' "/tmp/$1.xml")
  all=$(grep -c '<TestCase ' "/tmp/$1.xml")
  if [ "$status" -ne 0 ] || [ "$good" -ne "$all" ]; then cat "/tmp/$1.xml"; fi
  tell test "$1" "$good" "$((all - good))" "$status" "$(($(cut -d. -f1 /proc/uptime) - begin))"
}

# script NAME SECONDS: prints "ok ..." and "FAILED ..." lines.
script() {
  begin=$(cut -d. -f1 /proc/uptime)
  echo "== $1"
  timeout -s KILL "$2" /bin/sh "/tests/$1" >"/tmp/$1.out" 2>&1 </dev/null
  status=$?
  cat "/tmp/$1.out"
  tell test "$1" "$(grep -c '^ok ' "/tmp/$1.out")" "$(grep -c '^FAILED ' "/tmp/$1.out")" "$status" \
    "$(($(cut -d. -f1 /proc/uptime) - begin))"
}

# What the kernel itself found wrong, and what the verifier said of each program.
last_words() {
  # The out-of-memory killer shows a trace of who asked: tests make it do so.
  dmesg | awk '/invoked oom-killer/ { killer = 1 } killer && /Call [Tt]race/ { killer = 0; next } { print }' |
    grep -E 'WARNING:|BUG:|Oops|Call [Tt]race|stack guard|soft lockup|rcu.*stall' | head -n 20 >/tmp/complaints
  if [ -s /tmp/complaints ]; then
    dmesg | tail -n 200
    tell problem "the kernel complained: $(head -n 1 /tmp/complaints)"
  fi
}

# Enough to see that it works at all; how many it can do without a leak is seen on the real machine.
export OMNITIDE_CHURN_EVENTS=60 OMNITIDE_CHURN_DEVICES=10 OMNITIDE_TAKEOVER_STRIDE=9
export OMNITIDE_PATHS_RUN_DIR=/run/omnitide OMNITIDE_PATHS_STATE_DIR=/var/lib/omnitide
mkdir -p "$OMNITIDE_PATHS_RUN_DIR"
tell kernel "$(uname -r)"
load_modules
find_features
while read -r name seconds; do
  case "$name" in
    *.sh) script "$name" "$seconds" ;;
    *) test_program "$name" "$seconds" ;;
  esac
done </tests/list
last_words
tell end
sync
reboot -f
