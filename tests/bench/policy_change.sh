#!/usr/bin/env bash
# policy_change.sh [--quick]: how soon a change is enforced, with 1,000 pods and 1,000 policies: parsing, compiler and
# kernel in one process, and the real agent from a file's renaming on.
set -euo pipefail
# shellcheck source=tests/bench/measure.bash
. "$(dirname "${BASH_SOURCE[0]}")/measure.bash"
# shellcheck source=tests/bench/policy_node.bash
. "$(dirname "${BASH_SOURCE[0]}")/policy_node.bash"
enter_namespaces "$@"
rounds=15 changes=1000 local_pods=100
if [[ "${1:-}" == --quick ]]; then rounds=5 changes=100 local_pods=30; fi
for program in policy_parse policy_change policy_latency; do
  [[ -x "$TEST_BIN/$program" ]] || die "$TEST_BIN/$program is not built"
done
printf 'load of the machine before: %s\n' "$(cut -d' ' -f1-3 /proc/loadavg)"
"$TEST_BIN/policy_parse" "$rounds"
"$TEST_BIN/policy_change" "$changes" "$local_pods"

add_node node
for ((i = 0; i < local_pods; i++)); do
  run_in node sh -c "ip link add p$i type veth peer name x$i && ip link set p$i up && ip link set x$i up &&
    ip route add 10.64.0.$i/32 dev p$i"
done
for layout in namespace object; do
  mkdir -p "$scratch/$layout/policy"
  "$TEST_BIN/policy_latency" write "$scratch/$layout/policy" "$layout" 1000 1000 "$local_pods"
  start_policy_agent node "$layout"
  policy_wait "$layout"
  "$TEST_BIN/policy_latency" change "$scratch/$layout/policy" "$layout" "$scratch/bpf/$layout" "$changes" "$local_pods"
  stop_policy_agent
  detach_policy "$layout"
done
