#!/usr/bin/env bash
# kubernetes_scale.sh [--quick | --small]: the agent on a node of a large cluster, beside client-go's informers over the same objects: 10,000
# pods, 1,000 namespaces, 1,000 policies, 100 changes a second, made by the API alone on the cluster of OMNITIDE_SHARED. --small: a
# twentieth of it. Root, Go; some 8 minutes. README.md says what is measured.
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)"
# shellcheck source=tests/bench/measure.bash
. "$here/measure.bash"
TEST_BIN="${OMNITIDE_TEST_BIN:-$ROOT/build/test/bin}"
shared="${OMNITIDE_SHARED:-$ROOT/../shared}"
pods=10000 namespaces=1000 policies=1000 nodes=100 local_pods=20 rate=100 watchers=40
idle=30 alone=20 busy=120 crowded=40
case "${1:-}" in
  '' | --inside) ;;
  --quick) idle=15 alone=10 busy=40 crowded=20 ;;
  --small) pods=500 namespaces=50 policies=50 nodes=5 local_pods=5 watchers=10 idle=10 alone=5 busy=20 crowded=10 ;;
  *) die "usage: kubernetes_scale.sh [--quick | --small]" ;;
esac

if [[ -z "${SCALE_PROGRAMS:-}" ]]; then
  [[ "$(id -u)" == 0 ]] || die "needs root"
  [[ -x "$shared/cluster/cluster" ]] || die "needs $shared/cluster: OMNITIDE_SHARED names the folder that has it"
  need go jq ss
  for program in "$AGENT" "$TEST_BIN/kubernetes_lag"; do [[ -x "$program" ]] || die "$program is not built"; done
  SCALE_PROGRAMS="$ROOT/.omnitide/peers/kubernetes_scale"
  mkdir -p "$SCALE_PROGRAMS"
  for program in load informer; do
    (cd "$here/kubernetes_scale" && GOTOOLCHAIN=local GOFLAGS='-p=1 -buildvcs=false' go build -trimpath -ldflags '-s -w' \
      -o "$SCALE_PROGRAMS/$program" "./$program") || die "$program cannot be built"
  done
  scratch="$(mktemp -d)"
  trap 'rm -rf -- "$scratch"' EXIT
  cat >"$scratch/audit.yaml" <<'YAML'
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: Metadata
  users: ["system:serviceaccount:omnitide-system:omnitide-agent", "system:serviceaccount:omnitide-system:informer-1", "system:serviceaccount:omnitide-system:informer-2"]
- level: None
YAML
  export SCALE_PROGRAMS SCALE_SCRATCH="$scratch" OMNITIDE_SHARED="$shared"
  # The API server holds a gigabyte: on two cores each of its collections stops the writes for a second or more. Seldom ones, then.
  GOGC=400 OMNITIDE_APISERVER_ARGS="--audit-policy-file=$scratch/audit.yaml --audit-log-path=$scratch/audit.log" \
    "$ROOT/tests/integration/cluster/run.sh" "$shared/cluster/cluster" "$0" "$@"
  exit
fi

# From here on within the cluster, in the control plane's network namespace.
unset GOGC # is the control plane's alone
scratch="$SCALE_SCRATCH" run="${OMNITIDE_CLUSTER_RUN:?}"
load="$SCALE_PROGRAMS/load"
size=(-pods "$pods" -namespaces "$namespaces" -policies "$policies" -nodes "$nodes" -local "$local_pods")
declare -A pid_of=() started=() cpu_of=() bytes_of=()
kubectl() { "${OMNITIDE_CLUSTER:?}" kubectl "$@"; }
in_node() { nsenter --mount="$run/node-1/mnt" --uts="$run/node-1/uts" --net=/run/netns/oc-n1 "$@"; }
start() { # NAME COMMAND...: COMMAND is a program, so that its process is known
  "${@:2}" >"$scratch/$1.out" 2>"$scratch/$1.err" &
  pid_of[$1]=$! started[$1]=$!
}
start_in_node() { # NAME COMMAND...
  nsenter --mount="$run/node-1/mnt" --uts="$run/node-1/uts" --net=/run/netns/oc-n1 "${@:2}" >"$scratch/$1.out" 2>"$scratch/$1.err" &
  pid_of[$1]=$! started[$1]=$!
}
finish() {
  local code=$? name
  if [[ -n "${changer_PID:-}" ]]; then end_process "$changer_PID"; fi
  for name in "${!started[@]}"; do end_process "${started[$name]}"; done
  in_node "$AGENT" policy detach --config-dir "$scratch/none" --config "$scratch/agent.yaml" >/dev/null 2>&1 || true
  if ((code)); then tail -n 5 "$scratch"/*.err >&2 || true; fi
}
trap finish EXIT
trap 'exit 130' INT TERM
until_it() { # SECONDS WHAT COMMAND...
  local end=$((SECONDS + $1))
  until "${@:3}" >/dev/null 2>&1; do
    ((SECONDS < end)) || die "$2"
    sleep 0.2
  done
}

# account NAME [ARGUMENTS...]: a kubeconfig with a token of that account.
account() {
  local token
  token="$(kubectl -n omnitide-system create token "$1" --duration=2h "${@:2}")"
  cat >"$scratch/$1.conf" <<YAML
apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: "https://172.30.0.1:6443", certificate-authority: $run/pki/ca.crt}}]
users: [{name: u, user: {token: $token}}]
contexts: [{name: x, context: {cluster: c, user: u, namespace: omnitide-system}}]
current-context: x
YAML
}

# The agent's account has what the manifests give it; the informers may read what it may read.
accounts() {
  local i
  kubectl apply --server-side -f "$shared/crds/clusternetworkpolicies.yaml" >/dev/null
  kubectl apply -k "$ROOT/manifests/crds" >/dev/null
  # All but the DaemonSet, whose place the program takes that is measured.
  kubectl kustomize "$ROOT/manifests/kustomize/base" | awk 'BEGIN { RS = "---\n"; ORS = RS } !/\nkind: DaemonSet\n/' | kubectl apply -f - >/dev/null
  account omnitide-agent --bound-object-kind Node --bound-object-name node-1
  for i in 1 2; do
    kubectl -n omnitide-system create serviceaccount "informer-$i" >/dev/null
    kubectl create clusterrolebinding "informer-$i" --clusterrole omnitide-agent --serviceaccount "omnitide-system:informer-$i" >/dev/null
    account "informer-$i"
  done
}

# Policies for all pods, of the kind that is no NetworkPolicy.
cluster_policies() {
  local tier
  for tier in Admin Baseline; do
    kubectl apply -f - >/dev/null <<YAML
apiVersion: policy.networking.k8s.io/v1alpha2
kind: ClusterNetworkPolicy
metadata: {name: staging-${tier,,}}
spec:
  tier: $tier
  priority: 10
  subject: {namespaces: {matchLabels: {env: production}}}
  ingress:
  - {name: staging, action: Deny, from: [{namespaces: {matchLabels: {env: staging}}}]}
YAML
  done
}

all_there() {
  local config_maps
  config_maps="$(kubectl get --raw '/api/v1/configmaps?limit=1&fieldSelector=metadata.name=kube-root-ca.crt' | jq '(.items | length) + (.metadata.remainingItemCount // 0)')"
  # The server does not count what a field selects: by all of them then.
  [[ "$config_maps" -ge 1 ]] && [[ "$(kubectl get --raw '/api/v1/configmaps?limit=1' | jq '1 + (.metadata.remainingItemCount // 0)')" -ge "$namespaces" ]] &&
    [[ "$(kubectl get pods -A --field-selector spec.nodeName=node-1,status.phase=Running --no-headers | wc -l)" -ge "$local_pods" ]]
}

# received PID: bytes that came on the connections of a process to the API server.
received() {
  nsenter --net=/run/netns/oc-n1 ss -tinpH dst 172.30.0.1 |
    awk -v mark="pid=$1," 'index($0, "users:") { mine = index($0, mark) } mine && match($0, /bytes_received:[0-9]+/) { sum += substr($0, RSTART + 15, RLENGTH - 15) } END { printf "%.0f", sum }'
}
connections() { nsenter --net=/run/netns/oc-n1 ss -tnpH dst 172.30.0.1 | grep -c "pid=$1,"; }

watchers_of=(agent informer-1 informer-2)
names=(agent informer-1 informer-2 apiserver etcd kcm)
mark() {
  local name
  marked="${EPOCHREALTIME/./}"
  for name in "${names[@]}"; do cpu_of[$name]="$(cpu_ticks "${pid_of[$name]}")"; done
  for name in "${watchers_of[@]}"; do bytes_of[$name]="$(received "${pid_of[$name]}")"; done
}
# since_mark: sets cpu (of a core, percent), came (bytes) and rates (bytes a second) of each since mark().
declare -A cpu=() rates=() came=()
since_mark() {
  local name took=$((${EPOCHREALTIME/./} - marked)) hertz
  hertz="$(getconf CLK_TCK)"
  for name in "${names[@]}"; do
    cpu[$name]="$(awk -v t="$(($(cpu_ticks "${pid_of[$name]}") - cpu_of[$name]))" -v us="$took" -v hz="$hertz" 'BEGIN { printf "%.2f", t / hz / us * 1e8 }')"
  done
  for name in "${watchers_of[@]}"; do
    came[$name]="$(($(received "${pid_of[$name]}") - bytes_of[$name]))"
    rates[$name]="$(awk -v b="${came[$name]}" -v us="$took" 'BEGIN { printf "%.0f", b / us * 1e6 }')"
  done
}
tell() { # WHAT
  local name
  printf '%s:\n' "$1"
  for name in "${names[@]}"; do printf '  %-12s %7s %% of a core  %s\n' "$name" "${cpu[$name]}" "${rates[$name]:+${rates[$name]} bytes/s}"; done
}
memory() { # WHAT
  local name
  printf '%s:\n' "$1"
  for name in "${watchers_of[@]}"; do
    printf '  %-12s PSS %7s KiB, RSS %7s KiB, most %7s KiB\n' "$name" "$(pss_kib "${pid_of[$name]}")" "$(rss_kib "${pid_of[$name]}")" \
      "$(awk '/^VmHWM/ { print $2 }' "/proc/${pid_of[$name]}/status")"
  done
  printf '  %-12s maps %s KiB, programs %s KiB in the kernel\n' agent "$(kernel_kib "${pid_of[agent]}" map)" "$(kernel_kib "${pid_of[agent]}" prog)"
}
# phase FILE RATE SECONDS all|labels: sets answer.
phase() {
  printf '%s %s %s %s\n' "$scratch/$1" "${@:2}" >&"${changer[1]}"
  read -r answer <&"${changer[0]}" || die "the changer ended"
  printf '%s: %s\n' "$1" "$answer"
}

printf 'cores %s, load before %s\n' "$(nproc)" "$(cut -d' ' -f1-3 /proc/loadavg)"
accounts
start nodes "$load" nodes -kubeconfig "$run/admin.conf" -nodes "$nodes"
until_it 60 "the nodes are not made" grep -q ^nodes "$scratch/nodes.out"
"$load" make -kubeconfig "$run/admin.conf" -node node-1 "${size[@]}"
cluster_policies
until_it 180 "the cluster does not come to rest" all_there
printf 'all there after %s s\n' "$SECONDS"
for name in apiserver etcd kcm; do pid_of[$name]="$(<"$run/$name.pid")"; done

cat >"$scratch/agent.yaml" <<YAML
node: {name: node-1}
paths: {state_dir: $scratch/state, run_dir: $scratch/run}
http: {enabled: false}
metrics: {enabled: false}
health: {enabled: false}
kubernetes: {enabled: true, kubeconfig: $scratch/omnitide-agent.conf}
policy: {mode: enforce, directory: ""}
YAML
begin="${EPOCHREALTIME/./}"
asked_since="$EPOCHREALTIME"
start_in_node agent "$AGENT" run --config-dir "$scratch/none" --config "$scratch/agent.yaml"
enforces() { "$AGENT" policy wait --run-dir "$scratch/run" --timeout 1s; }
until_it 60 "the agent does not enforce" enforces
printf 'agent: from its start to all that is there enforced %s s, %s bytes\n' "$(div "$((${EPOCHREALTIME/./} - begin))" 1000000)" "$(received "${pid_of[agent]}")"
start_in_node informer-1 "$SCALE_PROGRAMS/informer" -kubeconfig "$scratch/informer-1.conf" -heard "$scratch/heard-1" -strip
until_it 60 "the informer does not come to an end" grep -q synced "$scratch/informer-1.out"
start_in_node informer-2 "$SCALE_PROGRAMS/informer" -kubeconfig "$scratch/informer-2.conf" -heard "$scratch/heard-2"
until_it 60 "the informer does not come to an end" grep -q synced "$scratch/informer-2.out"
for name in informer-1 informer-2; do printf '%s: %s s, %s bytes\n' "$name" "$(<"$scratch/$name.out")" "$(received "${pid_of[$name]}")"; done
sleep 10
memory "memory, all known"
mark
sleep "$idle"
since_mark
tell "idle, $idle s"

port="$(nsenter --net=/run/netns/oc-n1 ss -tnpH dst 172.30.0.1 | awk -v mark="pid=${pid_of[agent]}," 'index($0, mark) { n = split($4, part, ":"); print part[n] }')"
[[ "$port" =~ ^[0-9]+$ ]] || die "the agent has not one connection: $port"
coproc changer { exec nsenter --mount="$run/node-1/mnt" --net=/run/netns/oc-n1 "$load" change -kubeconfig "$run/admin.conf" "${size[@]}" \
  -kernel "$TEST_BIN/kubernetes_lag /sys/fs/bpf/omnitide eth0 $port" 2>"$scratch/change.err"; }
phase alone 10 "$alone" labels
mark
phase busy "$rate" "$busy" all
since_mark
tell "$rate changes a second, $busy s"
busy_apiserver="${cpu[apiserver]}" busy_agent="${cpu[agent]}" busy_informer="${cpu[informer-1]}" 
# What is late at the end is waited for: the time is longer than that of the changes.
read -r _ changes _ <<<"$answer"
change_bytes="$((came[agent] / changes))" change_informer_bytes="$((came[informer-1] / changes))"
memory "memory, after them"
agent_kib="$(pss_kib "${pid_of[agent]}")" informer_kib="$(pss_kib "${pid_of[informer-1]}")" plain_kib="$(pss_kib "${pid_of[informer-2]}")"
maps_kib="$(kernel_kib "${pid_of[agent]}" map)"
start watch nsenter --net=/run/netns/oc-n2 "$load" watch -kubeconfig "$run/admin.conf" -count "$watchers"
until_it 30 "the watchers do not start" grep -q ^watching "$scratch/watch.out"
sleep 3
mark
phase crowded "$rate" "$crowded" all
since_mark
tell "$rate changes a second, $watchers nodes more, $crowded s"
node_cost="$(awk -v a="$busy_apiserver" -v b="${cpu[apiserver]}" -v n="$watchers" 'BEGIN { printf "%.3f", (b - a) / n }')"
printf 'API server, a node more: %s %% of a core (%s without, %s with %s)\n' "$node_cost" "$busy_apiserver" "${cpu[apiserver]}" "$watchers"
memory "memory, at the end"
end_process "${pid_of[watch]}"
minutes="$(awk -v a="$asked_since" -v b="$EPOCHREALTIME" 'BEGIN { printf "%.2f", (b - a) / 60 }')"
printf 'lines in the log of the agent: %s\n' "$(wc -l <"$scratch/agent.err")"
for name in informer-1 informer-2; do kill -TERM "${pid_of[$name]}" && wait "${pid_of[$name]}"; done
for each in alone busy crowded; do
  printf 'lag %s (p50 p99 most, ms; count)\n' "$each"
  "$load" report "$scratch/$each" "$scratch/heard-1" "$scratch/heard-2" >"$scratch/$each.lags"
  sed 's/^/  /' "$scratch/$each.lags"
done
printf 'requests in %s minutes:\n' "$minutes"
"$load" asked "$scratch/audit.log" "$asked_since" >"$scratch/asked"
sed 's/^/  /' "$scratch/asked"

lag() { awk -v name="$2" -v column="$3" '$1 == name { print $column }' "$scratch/$1.lags"; } # PHASE NAME COLUMN
asked() { awk -v account="$1" '$1 == account && $2 == "all" { print $3 }' "$scratch/asked"; }
mib() { div "$1" 1024 %.1f; }
what="$pods pods, $rate changes a second"
row "$what: PSS" "$(mib "$agent_kib") MiB" "informer $(mib "$informer_kib"), plain $(mib "$plain_kib")" "$(div "$agent_kib" "$informer_kib")"
row "  maps in the kernel" "$(mib "$maps_kib") MiB" - -
row "  CPU of a core" "$busy_agent %" "informer $busy_informer %" "$(div "$busy_agent" "$busy_informer")"
for column in 2 3; do
  for each in alone busy; do
    row "  $each: write to kernel, to handler, p$([[ $column == 2 ]] && echo 50 || echo 99)" "$(lag $each enforced $column) ms" \
      "informer $(lag $each handler_1 $column) ms" "$(div "$(lag $each enforced $column)" "$(lag $each handler_1 $column)")"
  done
done
row "  alone: packet of the event to kernel, p50" "$(lag alone enforced_since_arrival 2) ms" - -
row "  p99" "$(lag alone enforced_since_arrival 3) ms" - -
row "  bytes to a node for each change" "$(div "$change_bytes" 1000 %.1f) kB" "informer $(div "$change_informer_bytes" 1000 %.1f) kB" "$(div "$change_bytes" "$change_informer_bytes")"
row "  requests a minute" "$(div "$(asked omnitide-agent)" "$minutes" %.1f)" "informer $(div "$(asked informer-1)" "$minutes" %.1f)" -
row "  CPU of the API server, a node more" "$node_cost %" - -
row "  nodes that 1 Gbit/s feeds with $rate changes a second" "$((125000000 / change_bytes / rate))" - -
if [[ "$node_cost" =~ [1-9] && "$node_cost" != -* ]]; then # else the machine was not quiet
  row "  nodes that a core of the API server feeds" "$(div 100 "$node_cost" %.0f)" - -
fi
if [[ -n "${SCALE_KEEP:-}" ]]; then cp -r "$scratch" "$SCALE_KEEP"; fi
