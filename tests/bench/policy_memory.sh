#!/usr/bin/env bash
# policy_memory.sh [--quick]: memory of the real agent and of its maps and programs in the kernel, at 100 to 10,000 pods
# in the cluster, one policy for ten pods, 100 of the pods on this node.
set -euo pipefail
# shellcheck source=tests/bench/measure.bash
. "$(dirname "${BASH_SOURCE[0]}")/measure.bash"
# shellcheck source=tests/bench/policy_node.bash
. "$(dirname "${BASH_SOURCE[0]}")/policy_node.bash"
enter_namespaces "$@"
scales=(100 1000 10000) local_pods=100
if [[ "${1:-}" == --quick ]]; then scales=(100 10000) local_pods=30; fi
latency="$TEST_BIN/policy_latency"
[[ -x "$latency" ]] || die "$latency is not built"

# measure NAME TITLE
measure() {
  local user maps programs
  policy_wait "$1"
  sleep 1 # what the last policy left is removed meanwhile
  user="$(pss_kib "$agent_pid")" maps="$(kernel_kib "$agent_pid" map)" programs="$(kernel_kib "$agent_pid" prog)"
  ((maps > 0 && programs > 0)) || die "the agent's maps are not seen"
  printf '%-34s agent %6s KiB PSS, maps %6s KiB, programs %4s KiB\n' "$2" "$user" "$maps" "$programs"
  row "$2: agent, kernel" "$(div "$user" 1024 %.1f) MiB" "$(div "$((maps + programs))" 1024 %.1f) MiB" -
}

add_node node
for ((i = 0; i < local_pods; i++)); do
  run_in node sh -c "ip link add p$i type veth peer name x$i && ip link set p$i up && ip link set x$i up &&
    ip route add 10.64.0.$i/32 dev p$i"
done
for pods in 0 "${scales[@]}"; do
  name="pods-$pods"
  mkdir -p "$scratch/$name/policy"
  if ((pods)); then "$latency" write "$scratch/$name/policy" namespace "$pods" "$((pods / 10))" "$local_pods"; fi
  start_policy_agent node "$name"
  measure "$name" "memory, $pods pods, $((pods / 10)) policies"
  stop_policy_agent
  detach_policy "$name"
done
