# shellcheck shell=bash
# Nodes and pods made of namespaces, for the benchmarks of policy. Source measure.bash first, then call enter_namespaces.
# All of it (names, mounts, a BPF file system, rules, programs) lies in a private mount namespace and goes with it; only
# cgroups are of the whole machine, and leave_namespaces removes them.
# shellcheck disable=SC2034  # read by the scripts
TEST_BIN="${OMNITIDE_TEST_BIN:-$ROOT/build/test/bin}"
POLICY_PIDS=() POLICY_SERVER='' # processes to be ended

# enter_namespaces "$@": starts the script again as the only one in its mount and network namespace.
enter_namespaces() {
  [[ "$(id -u)" == 0 ]] || die "needs root"
  need unshare nsenter ip jq
  if [[ -z "${OMNITIDE_BENCH_INSIDE:-}" ]]; then
    OMNITIDE_BENCH_INSIDE=$$ exec unshare --net --mount --propagation private "$0" "$@"
  fi
  scratch="$(mktemp -d)"
  cgroup="$(awk '$3 == "cgroup2" { print $2; exit }' /proc/mounts)/omnitide-bench-$$"
  trap leave_namespaces EXIT
  mount -t tmpfs none /run # ip netns keeps its names there, iptables its lock
  mkdir "$scratch/bpf" /run/netns
  mount -t bpf none "$scratch/bpf"
  mkdir "$cgroup"
}

leave_namespaces() {
  local pid try
  set +e
  for pid in "${POLICY_PIDS[@]}" $POLICY_SERVER; do end_process "$pid"; done
  umount "$scratch/bpf" /run 2>/dev/null
  for ((try = 0; try < 50; try++)); do
    rmdir "$cgroup"/*/ "$cgroup" 2>/dev/null
    if [[ ! -d "$cgroup" ]]; then break; fi
    sleep 0.1
  done
  rm -rf "$scratch"
}

# run_in NETNS COMMAND...
run_in() { nsenter --net="/run/netns/$1" "${@:2}"; }

# add_node NETNS: a router.
add_node() {
  ip netns add "$1"
  run_in "$1" sh -c 'ip link set lo up && echo 1 >/proc/sys/net/ipv4/ip_forward'
}

# add_pod NODE DEVICE ADDRESS POD: a namespace behind the node's DEVICE, with a host route to it.
add_pod() {
  ip netns add "$4"
  run_in "$1" ip link add "$2" type veth peer name eth0 netns "$4"
  run_in "$1" sh -c "ip address add 169.254.1.1/32 dev $2 && ip link set $2 up && ip route add $3/32 dev $2"
  run_in "$4" sh -c "ip link set lo up && ip address add $3/32 dev eth0 && ip link set eth0 up &&
    ip route add 169.254.1.1 dev eth0 && ip route add default via 169.254.1.1"
}

# start_policy_agent NODE NAME [LIMIT=VALUE...]: an agent that enforces $scratch/NAME/policy on the node called `here`.
# Sets agent_pid.
start_policy_agent() {
  local home="$scratch/$2" limit
  mkdir -p "$home/policy" "$cgroup/$2"
  {
    printf 'node: {name: here}\npaths: {state_dir: %s/state, run_dir: %s/run}\n' "$home" "$home"
    printf 'http: {enabled: false}\ndiscovery: {enabled: false}\n'
    printf 'policy:\n  mode: enforce\n  directory: %s/policy\n  pin_dir: %s/bpf/%s\n' "$home" "$scratch" "$2"
    printf '  cgroup_root: %s/%s\n  limits.connection_rate: 10000000\n' "$cgroup" "$2"
    for limit in "${@:3}"; do printf '  limits.%s: %s\n' "${limit%=*}" "${limit#*=}"; done
  } >"$home/agent.yaml"
  nsenter --net="/run/netns/$1" "$AGENT" run --config-dir "$home/none" --config "$home/agent.yaml" >"$home/log" 2>&1 &
  agent_pid=$!
  POLICY_PIDS+=("$agent_pid")
  wait_ready "$home/run" "$agent_pid" || { tail -n 20 "$home/log" >&2 && die "the agent is not ready"; }
}

# stop_policy_agent: the one that was started last. What it enforces stays.
stop_policy_agent() {
  kill -TERM "$agent_pid"
  wait "$agent_pid" || die "the agent ended with $?"
  unset 'POLICY_PIDS[-1]'
}

# detach_policy NAME: takes away what a stopped agent enforces.
detach_policy() { "$AGENT" policy detach --config-dir "$scratch/none" --config "$scratch/$1/agent.yaml" >/dev/null; }

# policy_wait NAME: all that is on disk is enforced.
policy_wait() {
  "$AGENT" policy wait --run-dir "$scratch/$1/run" --timeout 30s >"$scratch/waited" 2>&1 ||
    { cat "$scratch/waited" >&2 && die "the policy is not enforced"; }
}
