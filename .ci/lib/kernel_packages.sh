# shellcheck shell=bash
# Kernels of Debian as files, for emulated machines: fetched by an apt with a root of its own, verified by the archive's
# keys, unpacked and never installed. .omnitide/kernels/VERSION holds `vmlinuz`, `modules` and the name of the package.

# The suite of each series; the image is that of its meta package linux-image-amd64.
declare -A KERNEL_SUITES=([5.10]=bullseye [6.1]=bookworm [6.12]=trixie)
KERNEL_SERIES=(5.10 6.1 6.12)
KERNEL_KEYRING=/usr/share/keyrings/debian-archive-keyring.gpg

# The mirror that this system's own apt uses for Debian itself.
debian_mirror() {
  local codename mirror
  if [[ -n "${DEBIAN_MIRROR:-}" ]]; then
    printf '%s' "${DEBIAN_MIRROR%/}"
    return
  fi
  # shellcheck source=/dev/null
  codename="$(. /etc/os-release && printf '%s' "${VERSION_CODENAME:-none}")"
  mirror="$(apt-get --print-uris update 2>/dev/null | sed -nE "s|^'([^']+)/dists/$codename/(In)?Release'.*|\1|p" | head -n 1)"
  [[ -n "$mirror" ]] || fail "no Debian mirror among the sources of apt: set DEBIAN_MIRROR to one"
  printf '%s' "$mirror"
}

# apt_root DIR SUITE: a configuration that knows one suite and nothing of the system but how to reach the network.
apt_root() {
  local dir="$1" suite="$2" mirror
  mirror="$(debian_mirror)" || exit 1
  mkdir -p "$dir"/{etc/preferences.d,etc/trusted.gpg.d,lists/partial,cache/archives/partial}
  : >"$dir/etc/status"
  printf 'deb [arch=amd64 signed-by=%s] %s %s main\n' "$KERNEL_KEYRING" "$mirror" "$suite" >"$dir/etc/sources.list"
  {
    apt-config dump | grep -E '^Acquire::([^ ]*::)?(Proxy|Proxy-Auto-Detect|Check-Valid-Until|Check-Date|Retries|AllowTLS|CaInfo)[: ]' || true
    cat <<CONFIG
Dir::Etc "$dir/etc";
Dir::Etc::parts "/dev/null";
Dir::Etc::main "/dev/null";
Dir::Etc::sourceparts "/dev/null";
Dir::State "$dir";
Dir::State::lists "$dir/lists";
Dir::State::status "$dir/etc/status";
Dir::Cache "$dir/cache";
Dir::Log "$dir";
APT::Architecture "amd64";
APT::Architectures { "amd64"; };
APT::Sandbox::User "root";
Acquire::Languages "none";
Acquire::AllowInsecureRepositories "false";
CONFIG
  } >"$dir/etc/apt.conf"
}

# fetch_kernel SERIES: leaves its folder as it is when it is there already. The private apt of a kernel starts afresh.
fetch_kernel() {
  local series="$1" suite dir="$STATE/kernels/$1" apt log package version
  [[ ! -e "$dir/complete" ]] || return 0
  suite="${KERNEL_SUITES[$series]:-}"
  [[ -n "$suite" ]] || fail "no kernel $series is known here; known are: ${KERNEL_SERIES[*]}"
  [[ -r "$KERNEL_KEYRING" ]] || fail "$KERNEL_KEYRING is missing: the package debian-archive-keyring"
  apt="$dir/apt" log="$STATE/log/kernel-$series.log"
  rm -rf -- "$dir"
  mkdir -p "$dir/root"
  apt_root "$apt" "$suite"
  step "Fetching Linux $series of Debian $suite (log: ${log#"$ROOT/"})"
  if ! private_apt "$apt" apt-get -q update >"$log" 2>&1 || grep -qE '^(W|E): ' "$log"; then
    fail "the mirror has no $suite to be trusted: $(grep -E '^(W|E): ' "$log" | tail -n 2)"
  fi
  package="$(private_apt "$apt" apt-cache depends --important linux-image-amd64 | sed -nE 's/^ *Depends: (linux-image-.*)/\1/p' | head -n 1)"
  [[ "$package" == "linux-image-$series."* ]] || fail "linux-image-amd64 of $suite is '$package', not Linux $series"
  (cd "$dir" && private_apt "$apt" apt-get -q download "$package") >>"$log" 2>&1 ||
    fail "cannot fetch $package: $(grep '^E: ' "$log" | tail -n 1)"
  dpkg-deb -x "$dir/$package"_*.deb "$dir/root"
  version="${package#linux-image-}"
  mv "$dir/root/boot/vmlinuz-$version" "$dir/vmlinuz"
  # usrmerge: trixie has modules below usr/lib, which is where depmod of trixie looks, ours looks in lib.
  if [[ ! -d "$dir/root/lib/modules/$version" ]]; then
    mkdir -p "$dir/root/lib/modules"
    mv "$dir/root/usr/lib/modules/$version" "$dir/root/lib/modules/$version"
  fi
  depmod -b "$dir/root" "$version" || fail "depmod failed for $package"
  printf '%s' "$version" >"$dir/version"
  rm -rf -- "$apt" "$dir/$package"_*.deb
  touch "$dir/complete"
  note "Linux $version"
}

# private_apt DIR COMMAND...
private_apt() {
  local dir="$1"
  shift
  APT_CONFIG="$dir/etc/apt.conf" DEBIAN_FRONTEND=noninteractive "$@" </dev/null
}
