# shellcheck shell=bash
# Debian's packages as files: fetched by an apt with a root of its own, verified by the archive's keys, unpacked and never installed.

DEBIAN_KEYRING=/usr/share/keyrings/debian-archive-keyring.gpg

# own_mirror SUITE: the mirror that this system's own apt uses for that suite; nothing when it uses none.
own_mirror() {
  apt-get --print-uris update 2>/dev/null | sed -nE "s|^'([^']+)/dists/$1/(In)?Release'.*|\1|p" | head -n 1
}

debian_codename() {
  # shellcheck source=/dev/null
  (. /etc/os-release && printf '%s' "${VERSION_CODENAME:-none}")
}

# The mirror that this system's own apt uses for Debian itself.
debian_mirror() {
  local mirror
  if [[ -n "${DEBIAN_MIRROR:-}" ]]; then
    printf '%s' "${DEBIAN_MIRROR%/}"
    return
  fi
  mirror="$(own_mirror "$(debian_codename)")"
  [[ -n "$mirror" ]] || fail "no Debian mirror among the sources of apt: set DEBIAN_MIRROR to one"
  printf '%s' "$mirror"
}

# apt_root DIR ARCHITECTURE SUITE [MIRROR SUITE]...: a configuration that knows these suites, the first one from debian_mirror, and
# nothing of the system but how to reach the network.
apt_root() {
  local dir="$1" architecture="$2" mirror
  [[ -r "$DEBIAN_KEYRING" ]] || fail "$DEBIAN_KEYRING is missing: the package debian-archive-keyring"
  mirror="$(debian_mirror)" || exit 1
  shift 2
  set -- "$mirror" "$@"
  mkdir -p "$dir"/{etc/preferences.d,etc/trusted.gpg.d,lists/partial,cache/archives/partial}
  : >"$dir/etc/status"
  printf "deb [arch=$architecture signed-by=$DEBIAN_KEYRING] %s %s main\n" "$@" >"$dir/etc/sources.list"
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
APT::Architecture "$architecture";
APT::Architectures { "$architecture"; };
APT::Sandbox::User "root";
Acquire::Languages "none";
Acquire::AllowInsecureRepositories "false";
CONFIG
  } >"$dir/etc/apt.conf"
}

# private_apt DIR COMMAND...
private_apt() {
  local dir="$1"
  shift
  APT_CONFIG="$dir/etc/apt.conf" DEBIAN_FRONTEND=noninteractive "$@" </dev/null
}

# private_update DIR LOG: the lists of its suites; one that is missing or signed by nobody known is an error.
private_update() {
  if ! private_apt "$1" apt-get -q update >"$2" 2>&1 || grep -qE '^(W|E): ' "$2"; then
    fail "the mirror has no suite to be trusted as $(awk '{ print $(NF - 1) }' "$1/etc/sources.list" | tr '\n' ' '): $(grep -E '^(W|E): ' "$2" | tail -n 2)"
  fi
}
