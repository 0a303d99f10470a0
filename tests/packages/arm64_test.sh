#!/usr/bin/env bash
# The packages for arm64, made on another machine, beside those of this machine: what they say, ask for and hold is the same but for the
# processor, and the program runs under qemu-user. arm64_test.sh BUILD TOOLS NATIVE: the builds' folders; TOOLS has sysroot, qemu-aarch64.
# shellcheck disable=SC2016  # variables of jq
set -uo pipefail
export LC_ALL=C
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
# shellcheck source=tests/integration/checks.bash
. "$here/../integration/checks.bash"
build="$(realpath "${1:?which build}")" tools="$(realpath "${2:?where the sysroot is}")" native="$(realpath "${3:?which build is native}")"
scratch="$(mktemp -d)"
trap 'rm -rf "$scratch"' EXIT
deb="$(echo "$build"/packages/*_arm64.deb)" rpm="$(echo "$build"/packages/*.aarch64.rpm)"
other_deb="$(echo "$native"/packages/*.deb)" other_rpm="$(echo "$native"/packages/*.rpm)"

field() { dpkg-deb -f "$1" "$2"; }
check "the .deb is of arm64" [ "$(field "$deb" Architecture)" = arm64 ]
for name in Package Version Depends Recommends Section Priority; do
  check "$name is as in the native .deb: $(field "$deb" "$name")" [ "$(field "$deb" "$name")" = "$(field "$other_deb" "$name")" ]
done
check "the .rpm is of aarch64" [ "$(rpm -qp --qf '%{ARCH}' "$rpm")" = aarch64 ]
check "it requires what the native one does" [ "$(rpm -qp --requires "$rpm")" = "$(rpm -qp --requires "$other_rpm")" ]
listing() { dpkg-deb -c "$1" | awk '{ print $1, $2, $6, $7, $8 }' | sort; }
check "the .deb has the same files with the same rights" diff <(listing "$deb") <(listing "$other_deb")
check "the .rpm too" diff <(rpm -qplv "$rpm" | awk '{ print $1, $3, $4, $NF }') <(rpm -qplv "$other_rpm" | awk '{ print $1, $3, $4, $NF }')

dpkg-deb -x "$deb" "$scratch/root"
dpkg-deb -x "$other_deb" "$scratch/native"
program="$scratch/root/usr/bin/omnitide-agent" carried="$scratch/root/usr/lib/omnitide-agent/libmosquitto.so.1"
for file in "$program" "$carried"; do
  check "$(basename "$file") is of AArch64" eval 'readelf -h "$file" | grep -q "Machine: *AArch64$"'
  newest="$(readelf --dyn-syms -W "$file" | grep -oE '@GLIBC_[0-9.]+' | tr -d @ | sort -Vu | tail -n 1)"
  check "and asks for no symbol of a glibc after 2.34: $newest" [ "$(printf '%s\n' "$newest" GLIBC_2.34 | sort -V | tail -n 1)" = GLIBC_2.34 ]
done
needed() { readelf -d "$1" | sed -n 's/.*(NEEDED).*\[\(.*\)\]$/\1/p' | grep -v '^ld-linux-' | sort; }
check "it names the libraries that the native one names" diff <(needed "$program") <(needed "$scratch/native/usr/bin/omnitide-agent")
check "it looks for the carried library" eval 'readelf -d "$program" | grep -q "PATH.*\[/usr/lib/omnitide-agent\]"'
size="$(du -sk --apparent-size "$scratch/root" | cut -f1)"
check "it takes at most 8 MB: $size KiB" [ "$size" -le 8192 ]
same() { diff -r -q "$scratch/root/$1" "$scratch/native/$1"; }
for folder in etc usr/share usr/lib/systemd; do check "what is in $folder is the same" same "$folder"; done
for object in "$native"/generated/ebpf/programs/*.bpf.o; do
  check "$(basename "$object") is the same for both" cmp "$object" "$build/generated/ebpf/programs/$(basename "$object")"
done

agent() { "$tools/qemu-aarch64" -L "$tools/sysroot" -E LD_LIBRARY_PATH="$(dirname "$carried")" "$program" "$@"; }
check "it tells its version: $(agent --version 2>&1 | head -n 1)" agent --version
agent discover -o json >"$scratch/facts" 2>"$scratch/said"
check "it finds out about the machine" jq -e '.facts // . | .cpu.threads > 0 and (.memory | length > 0)' "$scratch/facts"
check "and says that it is an aarch64" jq -e '.facts // . | .cpu.architecture == "aarch64"' "$scratch/facts"
check "it takes a configuration" agent config check --config "$scratch/root/etc/omnitide/agent.yaml"
check "it computes with OpenSSL, which comes with the first call" eval 'agent support --help >/dev/null && agent doctor | grep -q .'

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
