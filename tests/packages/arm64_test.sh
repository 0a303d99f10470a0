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
  check "and is stripped" eval '! readelf -SW "$file" | grep -q " [.]symtab "'
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

# The program itself, emulated, and the native one for comparison.
libraries="$tools/sysroot/usr/lib/aarch64-linux-gnu"
emulated=("$tools/qemu-aarch64" "$libraries/ld-linux-aarch64.so.1" --library-path "$libraries:$(dirname "$carried")" "$program")
agent() { timeout 120 "${emulated[@]}" "$@"; }
native_agent() { timeout 120 "$native/bin/omnitide-agent" "$@"; }
as_native() { diff <(agent "$@" 2>&1) <(native_agent "$@" 2>&1); } # ARGUMENTS...: both say the same
check "it tells its version: $(agent --version 2>&1 | head -n 1)" agent --version
agent discover -o json >"$scratch/facts" 2>"$scratch/said"
check "it finds out about the machine" eval 'jq -e ".facts // . | .cpu.threads > 0 and (.memory | length > 0)" "$scratch/facts" >/dev/null'
check "and says that it is an aarch64" eval 'jq -e ".facts // . | .cpu.architecture == \"aarch64\"" "$scratch/facts" >/dev/null'
for tree in sbc-arm64 server-numa vm-virtio; do
  check "it reads the machine $tree as the native one does" as_native discover --root "$here/../fixtures/$tree" -o labels
done
check "it takes a configuration" agent config check --config "$scratch/root/etc/omnitide/agent.yaml"
printf 'telemetry: {brokers: [nonsense]}\nhttp: {listen: 1}\n' >"$scratch/bad.yaml"
check "it refuses one as the native one does" as_native config check --config "$scratch/bad.yaml"
check "its defaults are the same" as_native config docs
cat >"$scratch/objects.yaml" <<'END'
apiVersion: v1
kind: Pod
metadata: {name: web, namespace: shop, labels: {app: web}}
status: {podIPs: [{ip: 10.1.0.1}, {ip: 'fd00::1'}]}
---
apiVersion: v1
kind: Pod
metadata: {name: db, namespace: shop, labels: {app: db}}
spec: {containers: [{ports: [{name: pg, containerPort: 5432}]}]}
status: {podIPs: [{ip: 10.1.0.2}, {ip: 'fd00::2'}]}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: db, namespace: shop}
spec:
  podSelector: {matchLabels: {app: db}}
  ingress:
  - from: [{podSelector: {matchLabels: {app: web}}}]
    ports: [{port: pg}]
  - from: [{ipBlock: {cidr: 10.1.0.1/32}}]
    ports: [{port: 9000}]
END
# shellcheck disable=SC2054  # a list of ports is one word
matrix=(policy matrix --objects "$scratch/objects.yaml" --ports 80,9000,pg --protocols TCP,UDP,SCTP -o json)
check "policy matrix has 36 rows, and denies" eval '[ "$(agent "${matrix[@]}" | wc -l)" = 36 ] && agent "${matrix[@]}" | grep -c "\"verdict\":\"deny\"" >/dev/null'
check "and says what the native one says" as_native "${matrix[@]}"

# Keys, certificates and TLS by OpenSSL, which is loaded with the first call, as libmosquitto is: the agent is its own registry.
agent_pid=0
finish() {
  if ((agent_pid)); then kill -TERM "$agent_pid" 2>/dev/null && wait "$agent_pid" 2>/dev/null; fi
  rm -rf "$scratch"
}
trap finish EXIT
mkdir -m 700 "$scratch/state" "$scratch/run"
cat >"$scratch/agent.yaml" <<END
paths: {state_dir: $scratch/state, run_dir: $scratch/run}
http: {listen: "127.0.0.1:0"}
registry: {embedded: true, listen: "127.0.0.1:0"}
metrics: {ebpf: {enabled: false}}
telemetry: {brokers: ["mqtt://127.0.0.1:1"]}
END
"${emulated[@]}" run --config-dir "$scratch/none" \
  --config "$scratch/agent.yaml" >"$scratch/log" 2>&1 &
agent_pid=$!
is_registered() { native_agent status --run-dir "$scratch/run" 2>/dev/null | grep -c '^Registration: registered' >/dev/null; }
check "it runs, and registers at itself" within 90 is_registered || tail -n 20 "$scratch/log"
native_agent status --run-dir "$scratch/run" >"$scratch/status" 2>&1
# shellcheck disable=SC2034  # by eval
url="$(grep -oE 'http://[^ ]*/metrics' "$scratch/status")"
check "metrics can be had of it" eval 'curl -sf --max-time 60 "$url" | grep "^node_cpu_seconds_total" >/dev/null'
# It ends with 1 as long as there is no broker.
asks_for_broker() { [[ "$(native_agent telemetry status --run-dir "$scratch/run" 2>&1)" == *"Connection refused"* ]]; }
check "it asks for its broker" within 30 asks_for_broker || native_agent telemetry status --run-dir "$scratch/run"
kill -TERM "$agent_pid"
ended() { wait "$agent_pid"; }
check "and ends when it is told to" ended
agent_pid=0

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
