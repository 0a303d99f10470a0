#!/usr/bin/env bash
# Archives of ./dev image: the layout as OCI's image specification has it, every blob under its digest, one image for each processor that is
# named, and the program of it runs on nothing but its own files. image_test.sh ARCHIVE QEMU ARCHITECTURE...: QEMU is the folder with
# qemu-aarch64. Needs root, for chroot.
# shellcheck disable=SC2016  # variables of jq
set -uo pipefail
export LC_ALL=C
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
# shellcheck source=tests/integration/checks.bash
. "$here/../integration/checks.bash"
archive="$(realpath "${1:?which archive}")" qemu="${2:?where the emulator is}"
shift 2
scratch="$(mktemp -d)"
trap 'rm -rf -- "$scratch"' EXIT
oci="$scratch/oci"
mkdir "$oci"
tar -xf "$archive" -C "$oci"
blob_file() { printf '%s/blobs/sha256/%s' "$oci" "${1#sha256:}"; }

says() { jq -e "$@" >/dev/null; }

check "it is a layout of version 1.0.0" says '.imageLayoutVersion == "1.0.0"' "$oci/oci-layout"
check "one image, by its name" says '.manifests | length == 1 and .[0].annotations["io.containerd.image.name"] == "localhost/omnitide-agent:dev"' \
  "$oci/index.json"
wrong="$(cd "$oci/blobs/sha256" && sha256sum -- * | awk '$1 != $2')"
check "every blob has the digest that names it" [ -z "$wrong" ]

# descriptors FILE...: "DIGEST SIZE" of what these lead to.
descriptors() { jq -r '.manifests[]?, .config?, .layers[]? | select(.) | "\(.digest) \(.size)"' "$@"; }
fits() { [ "$(stat -c %s "$(blob_file "$1")")" = "$2" ]; }
declare -A reached=()
queue=("$oci/index.json")
while [[ ${#queue[@]} -gt 0 ]]; do
  while read -r digest size; do
    [[ -z "${reached[$digest]:-}" ]] || continue
    reached[$digest]=1
    check "$(cut -c8-19 <<<"$digest") is there, with $size bytes" fits "$digest" "$size"
    if jq -e .schemaVersion "$(blob_file "$digest")" >/dev/null 2>&1; then queue+=("$(blob_file "$digest")"); fi
  done < <(descriptors "${queue[0]}")
  queue=("${queue[@]:1}")
done
check "and no blob that nothing leads to" [ "${#reached[@]}" = "$(find "$oci/blobs/sha256" -type f | wc -l)" ]

# Indexes: that of the archive, and one that it leads to, with an image for each processor.
mapfile -t indexes < <(
  echo "$oci/index.json"
  jq -r '.manifests[] | select(.mediaType == "application/vnd.oci.image.index.v1+json") | .digest' "$oci/index.json" |
    while read -r digest; do printf '%s\n' "$(blob_file "$digest")"; done
)
platforms() { jq -rs '[.[].manifests[].platform? // empty | select(.os == "linux") | .architecture] | unique | join(" ")' "${indexes[@]}"; }
check "it is for $*, and for nothing else" [ "$(platforms)" = "$*" ]
# manifest_of ARCHITECTURE: the file of its manifest.
manifest_of() {
  local found
  found="$(jq -r --arg it "$1" '.manifests[] | select(.platform.architecture? == $it) | .digest' "${indexes[@]}")"
  [[ $found == sha256:* ]] && blob_file "$found"
}

# one_platform ARCHITECTURE MACHINE [EMULATOR]: MACHINE as readelf tells it.
one_platform() {
  local architecture="$1" machine="$2" emulator="${3:-}" root="$scratch/$1" manifest config layer run=()
  manifest="$(manifest_of "$architecture")" || { not_ok "$architecture: it has a manifest" && return; }
  config="$(blob_file "$(jq -r .config.digest "$manifest")")" layer="$(blob_file "$(jq -r '.layers[0].digest' "$manifest")")"
  check "$architecture: the configuration says so" says --arg it "$architecture" '.architecture == $it and .os == "linux"' "$config"
  check "$architecture: and has the digest of the layer" [ "$(gzip -dc "$layer" | sha256sum | cut -d' ' -f1)" = "$(jq -r '.rootfs.diff_ids[0][7:]' "$config")" ]
  check "$architecture: it is under 12 MB: $(stat -c %s "$layer")" [ "$(stat -c %s "$layer")" -le $((12 << 20)) ]
  mkdir "$root"
  tar -xzf "$layer" -C "$root"
  find "$root" -type f -exec sh -c 'for file; do case "$(head -c 4 "$file" | tr -d "\177")" in ELF) readelf -h "$file" | sed -n "s/^ *Machine: *//p";; esac; done' \
    sh {} + | sort -u >"$scratch/machines"
  check "$architecture: all code in it is of $machine" [ "$(<"$scratch/machines")" = "$machine" ]
  check "$architecture: nothing is stripped of its license" [ "$(find "$root/usr/share/doc" -name copyright | wc -l)" -ge 5 ]
  if [[ -n "$emulator" ]]; then
    install -m 755 "$emulator" "$root/emulator"
    run=(/emulator)
  fi
  # With the machine's /proc and /sys, as a container has them; the mounts go with their namespace.
  agent() {
    # shellcheck disable=SC2016  # the inner shell's
    timeout 120 unshare --mount --propagation private sh -c 'mount --rbind /proc "$0/proc" && mount --rbind /sys "$0/sys" && exec chroot "$0" "$@"' \
      "$root" "${run[@]}" /usr/bin/omnitide-agent "$@"
  }
  check "$architecture: it runs: $(agent --version 2>&1 | sed -n 1p)" agent --version
  check "$architecture: it takes the configuration that it has" agent config check
  check "$architecture: it finds out about the machine" eval 'agent discover -o json | jq -e "(.facts // .).cpu.threads > 0" >/dev/null'
}
for architecture in "$@"; do
  emulator=''
  case "$architecture" in
    amd64) machine='Advanced Micro Devices X86-64' ;;
    arm64) machine=AArch64 && [[ "$(uname -m)" == aarch64 ]] || emulator="$qemu/qemu-aarch64" ;;
  esac
  one_platform "$architecture" "$machine" "$emulator"
done

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
