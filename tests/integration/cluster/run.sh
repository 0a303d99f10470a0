#!/usr/bin/env bash
# Starts a real Kubernetes, runs what is given in its control plane's network namespace, and takes everything down again,
# whatever happens: run.sh CLUSTER PROGRAM [ARGUMENTS...]. CLUSTER is the script of that name in OMNITIDE_SHARED. Needs root.
# In a mount namespace of its own, with names of network namespaces of its own: another cluster on this machine is not
# in the way. OMNITIDE_CLUSTER_CNI: bridge or ptp. OMNITIDE_AUDIT_DIR: a folder for the API server's audit log of the agent.
set -euo pipefail

# A mount namespace can be bound to a file only where an older one is current, as the cluster does it for its nodes; and
# since Linux 6.18 numbers by which it tells the age are handed to each CPU ahead of use. So the one is made on the CPU
# from which all later ones have larger numbers.
wrong_cpu=75
if [[ "${1:-}" != --inside ]]; then
  cpus="$(taskset -pc $$ | sed 's/.*: //')"
  for ((cpu = 0; cpu < $(nproc --all); ++cpu)); do
    code=0
    taskset -c "$cpu" unshare --mount -- "$0" --inside "$cpus" "$@" || code=$?
    [[ $code == "$wrong_cpu" ]] || exit "$code"
  done
  printf 'cluster: no mount namespace that can have others below it\n' >&2
  exit 1
fi
taskset -pc "$2" $$ >/dev/null
probe="$(mktemp -d)"
mount -t tmpfs probe "$probe"
touch "$probe/ns"
for ((cpu = 0; cpu < $(nproc --all); ++cpu)); do
  taskset -c "$cpu" unshare --mount="$probe/ns" true 2>/dev/null || probe_failed=yes
  umount "$probe/ns" 2>/dev/null || true
done
umount "$probe"
rmdir "$probe"
[[ -z "${probe_failed:-}" ]] || exit "$wrong_cpu"

cluster="$3"
shift 3
run="/run/omnitide-cluster.$$"
export OMNITIDE_CLUSTER="$cluster" OMNITIDE_CLUSTER_RUN="$run" OMNITIDE_SHARED="${OMNITIDE_SHARED:?}"

# What a cluster may leave: processes, also those in its containers; groups of them without a process; its folder.
processes() {
  local pid own
  own="$(readlink /proc/self/ns/mnt)"
  for pid in /proc/[0-9]*; do
    if grep -qsaF "$run/" "$pid/cmdline"; then
      printf 'process %s\n' "${pid#/proc/}"
    elif [[ "$(readlink "$pid/ns/mnt" 2>/dev/null)" != "$own" ]] && grep -qsF "$run/" "$pid/mountinfo"; then
      printf 'process %s\n' "${pid#/proc/}"
    fi
  done
}
groups_of_containers() {
  local group
  find /sys/fs/cgroup -type d -path '*/k8s.io/*' 2>/dev/null | while IFS= read -r group; do
    if [[ -z "$(cat "$group/cgroup.procs" 2>/dev/null)" ]]; then printf 'group %s\n' "$group"; fi
  done | sort
}
traces() {
  processes
  comm -13 <(printf '%s\n' "$groups_before") <(groups_of_containers)
  if [[ -e "$run" ]]; then printf 'folder %s\n' "$run"; fi
}

if [[ -n "${OMNITIDE_AUDIT_DIR:-}" ]]; then
  policy="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)/audit-policy.yaml"
  export OMNITIDE_APISERVER_ARGS="--audit-policy-file=$policy --audit-log-path=$OMNITIDE_AUDIT_DIR/$$.log ${OMNITIDE_APISERVER_ARGS:-}"
fi

mkdir -p /run/netns
mount -t tmpfs netns /run/netns
groups_before="$(groups_of_containers)"

down() {
  local code=$? left='' _
  trap - EXIT INT TERM
  "$cluster" down || code=1
  for _ in 1 2 3 4 5; do # what was killed is on its way out for a moment
    left="$(traces)"
    [[ -n "$left" ]] || break
    sleep 1
  done
  if [[ -n "$left" ]]; then
    printf 'cluster: left behind:\n%s\n' "$left" >&2
    code=1
  fi
  exit "$code"
}
trap down EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

"$cluster" up 2 "${OMNITIDE_CLUSTER_CNI:-bridge}"
# A kubelet takes logs of pods that it does not know for garbage, each minute; in one folder those of the other node are such.
for node in 1 2; do
  # shellcheck disable=SC2016 # variables of the inner shell
  "$cluster" node $node bash -euc 'mkdir -p /var/log/pods "$1" && mount --bind "$1" /var/log/pods' - "$run/node-$node/pod-logs"
done
nsenter --net=/run/netns/oc-cp "$@"
