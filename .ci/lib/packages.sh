# shellcheck shell=bash
# Debian's packages: what each command needs, and installing what is missing. Nothing missing: apt is not called.

# shellcheck disable=SC2034  # used by dev and the other files of this folder
{
  BUILD_PACKAGES=(g++ cmake ninja-build ccache pkg-config git ca-certificates boost libprotobuf-dev protobuf-compiler
    libfmt-dev libsystemd-dev libssl-dev libsqlite3-dev libyaml-cpp-dev libcli11-dev libbpf-dev libelf-dev zlib1g-dev
    libzstd-dev libcrypt-dev libmosquitto-dev libre2-dev libnghttp2-dev clang llvm lld)
  TEST_PACKAGES=(catch2 iproute2 nftables procps curl openssl jq lshw pci.ids usb.ids mount iperf3 dbus-daemon prometheus
    prometheus-node-exporter chromium poppler-utils mosquitto mosquitto-clients bsdextrautils
    containernetworking-plugins fish zsh)
  KERNEL_PACKAGES=(busybox-static cpio kmod xz-utils binutils nftables debian-archive-keyring)
  BENCH_PACKAGES=(fio iperf3 nftables iptables ipset lshw pci.ids usb.ids mosquitto libsnappy-dev monit debootstrap
    systemd-container iproute2 jq perl-base procps prometheus-node-exporter collectd-core libmosquitto1 mosquitto-clients)
  ORDER_PACKAGES=(valgrind mosquitto curl)
  CHECK_PACKAGES=(clang-format-14 shellcheck)
  PACKAGE_PACKAGES=(rpm gzip binutils file jq)
  ARM64_PACKAGES=(g++-aarch64-linux-gnu debian-archive-keyring tar)
  PACKAGE_TEST_PACKAGES=(debootstrap systemd-container iproute2 iperf3 mosquitto jq perl-base procps lintian rpm rpmlint
    binutils cpio)
  FUZZ_PACKAGES=(clang-14 libclang-rt-14-dev)
}

# Debian 12's default Boost is 1.74; it has 1.81 beside it. Newer distributions have a newer default, whose Boost.URL is a
# package of its own.
boost_packages() {
  local release=''
  # shellcheck source=/dev/null
  release="$(. /etc/os-release && printf '%s %s' "${ID:-}" "${VERSION_ID:-}")"
  if [[ "$release" == "debian 12" ]]; then echo libboost1.81-dev; else printf '%s\n' libboost-dev libboost-url-dev; fi
}

# Prints those of the named packages that are not installed.
missing_packages() {
  local name names=() installed
  for name in "$@"; do
    if [[ $name == boost ]]; then mapfile -t -O "${#names[@]}" names < <(boost_packages); else names+=("$name"); fi
  done
  # shellcheck disable=SC2016  # dpkg-query's own format
  installed="$(dpkg-query -W -f '${Package} ${db:Status-Status}\n' "${names[@]}" 2>/dev/null || true)"
  for name in "${names[@]}"; do
    grep -qx -- "$name installed" <<<"$installed" || printf '%s\n' "$name"
  done
}

# Installs the packages that are missing, or says what to type and goes on: perhaps they came another way.
need_packages() {
  local missing as_root=()
  if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
    warn "No apt here: the packages named in .ci/lib/packages.sh must be present under this system's names."
    return
  fi
  mapfile -t missing < <(missing_packages "$@")
  [[ ${#missing[@]} -gt 0 ]] || return 0
  if [[ "$(id -u)" != 0 ]]; then
    if command -v sudo >/dev/null && { [[ -t 0 ]] || sudo -n true 2>/dev/null; }; then
      as_root=(sudo)
    else
      warn "Missing packages, and neither root nor sudo to install them. As root:"
      warn "  apt-get install -y --no-install-recommends ${missing[*]}"
      return 0
    fi
  fi
  install_packages "${missing[@]}"
}

# Uses the caller's as_root and missing.
install_packages() {
  local log="$STATE/log/apt.log"
  mkdir -p "$STATE/log"
  step "Installing ${#missing[@]} Debian packages (log: ${log#"$ROOT/"})"
  note "${missing[*]}" | fold -s -w 110
  if [[ ! -e "$STATE/apt-updated" ]] || [[ -z "$(find "$STATE/apt-updated" -mmin -1440)" ]]; then
    apt_get "$log" update || fail "apt-get update failed; see ${log#"$ROOT/"}: $(tail -n 1 "$log")"
    touch "$STATE/apt-updated"
  fi
  without_services apt_get "$log" install --no-install-recommends "$@" ||
    fail "apt-get install failed: $(grep '^E:' "$log" | tail -n 2)"
}

# Runs a command during which no package starts its service: what is installed for tests is for the tests to start
# (policy-rc.d, see invoke-rc.d(8)). A policy that is there already is left alone.
without_services() (
  policy=/usr/sbin/policy-rc.d
  if [[ ! -e $policy ]]; then
    trap '"${as_root[@]}" rm -f "$policy"' EXIT # also when it is interrupted
    # shellcheck disable=SC2016  # the inner shell's $1
    "${as_root[@]}" sh -c 'printf "#!/bin/sh\nexit 101\n" >"$1" && chmod 755 "$1"' sh "$policy"
  fi
  "$@"
)

# apt-get with its progress as one line a fifth; its words go to the log.
apt_get() {
  local log="$1" kind _ percent said=-1
  shift
  {
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -y -q -o APT::Status-Fd=3 -o Dpkg::Use-Pty=0 \
      -o DPkg::Lock::Timeout=120 "$@" 3>&1 >>"$log" 2>&1 </dev/null || echo failed::100:
  } | while IFS=: read -r kind _ percent _; do
    percent="${percent%%.*}"
    if [[ $kind == failed ]]; then exit 1; fi
    if [[ $1 == update ]]; then continue; fi
    if [[ $kind != dlstatus && $kind != pmstatus || ! $percent =~ ^[0-9]+$ ]]; then continue; fi
    if ((percent / 20 != said)); then
      said=$((percent / 20))
      if [[ $kind == dlstatus ]]; then note "  fetching ${percent}%"; else note "  installing ${percent}%"; fi
    fi
  done
}
