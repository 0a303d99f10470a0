#!/usr/bin/env bash
# policy_traffic.sh [--quick]: what policy costs a connection between two pods of one node: no policy, ours, nftables
# with a verdict map, nftables with a rule for each, iptables with an ipset, at 1 to 10,000 rules. README.md says how.
set -euo pipefail
# shellcheck source=tests/bench/measure.bash
. "$(dirname "${BASH_SOURCE[0]}")/measure.bash"
# shellcheck source=tests/bench/policy_node.bash
. "$(dirname "${BASH_SOURCE[0]}")/policy_node.bash"
need iperf3 nft iptables ipset taskset chrt ss
enter_namespaces "$@"
scales=(1 100 1000 10000) rounds=7 seconds=0.3
if [[ "${1:-}" == --quick ]]; then scales=(1 10000) rounds=2 seconds=0.2; fi
load="$TEST_BIN/traffic_load"
[[ -x "$load" ]] || die "$load is not built"
readonly CLIENT=10.1.0.2 SERVER=10.1.0.3 PORT=5201
# The second no policy tells how far apart two measurements of the same thing are, empty programs what the hooks cost.
candidates=(none again floor ours map linear ipset)
declare -A title=([none]="no policy" [again]="no policy, again" [floor]="empty programs" [ours]="ours" [map]="nftables verdict map"
  [linear]="nftables linear" [ipset]="iptables and ipset")
metrics=(throughput packets connections)
declare -A unit=([throughput]="Gbit/s" [packets]="packets/s" [connections]="connections/s")

# rules N FORM: FORM for each rule but the last, with its source and port for SOURCE and PORT.
rules() { awk -v n="$1" -v form="$2" 'BEGIN { for (i = 1; i < n; i++) {
  line = form
  gsub("SOURCE", "10.200." int(i / 250) "." i % 250 + 1, line)
  gsub("PORT", 10000 + i, line)
  print line
} }'; }

set_ours() {
  {
    printf 'apiVersion: v1\nkind: Pod\nmetadata: {name: server, labels: {app: server}}\n'
    printf 'spec: {nodeName: here}\nstatus: {podIP: %s}\n---\n' "$SERVER"
    printf 'apiVersion: v1\nkind: Pod\nmetadata: {name: client, labels: {app: client}}\n'
    printf 'spec: {nodeName: here}\nstatus: {podIP: %s}\n---\n' "$CLIENT"
    printf 'apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: server}\nspec:\n'
    printf '  podSelector: {matchLabels: {app: server}}\n  ingress:\n'
    rules "$1" '  - from:\n    - ipBlock: {cidr: SOURCE/32}\n    ports: [{port: PORT}, {port: PORT, protocol: UDP}]'
    printf '  - from:\n    - podSelector: {matchLabels: {app: client}}\n'
    printf '    ports: [{port: %s}, {port: %s, protocol: UDP}]\n' "$PORT" "$PORT"
  } >"$scratch/ours/policy/new"
  mv "$scratch/ours/policy/new" "$scratch/ours/policy/all.yaml"
  policy_wait ours
}

# nft_table FILE: what chain `server` needs is in the file.
nft_table() {
  printf 'flush ruleset\ntable ip pods {\n'
  cat "$1"
  printf '  chain forward {\n    type filter hook forward priority 0; policy accept;\n'
  printf '    ct state established,related accept\n    ip daddr vmap { %s : jump server }\n  }\n}\n' "$SERVER"
}

set_map() {
  {
    printf '  map allowed {\n    type inet_proto . ipv4_addr . inet_service : verdict\n    elements = {\n'
    rules "$1" '      tcp . SOURCE . PORT : accept, udp . SOURCE . PORT : accept,'
    printf '      tcp . %s . %s : accept, udp . %s . %s : accept }\n  }\n' "$CLIENT" "$PORT" "$CLIENT" "$PORT"
    printf '  chain server {\n    meta l4proto . ip saddr . th dport vmap @allowed\n    drop\n  }\n'
  } >"$scratch/nft"
  nft_table "$scratch/nft" | run_in n-map nft -f -
}

set_linear() {
  local protocol
  {
    for protocol in tcp udp; do
      printf '  chain server_%s {\n' "$protocol"
      rules "$1" "    ip saddr SOURCE $protocol dport PORT accept"
      printf '    ip saddr %s %s dport %s accept\n    drop\n  }\n' "$CLIENT" "$protocol" "$PORT"
    done
    printf '  chain server {\n    meta l4proto vmap { tcp : goto server_tcp, udp : goto server_udp }\n    drop\n  }\n'
  } >"$scratch/nft"
  nft_table "$scratch/nft" | run_in n-linear nft -f -
}

set_ipset() {
  {
    printf '%s\n' "create allowed hash:ip,port maxelem 65536" "flush allowed"
    rules "$1" 'add allowed SOURCE,tcp:PORT\nadd allowed SOURCE,udp:PORT'
    printf 'add allowed %s,tcp:%s\nadd allowed %s,udp:%s\n' "$CLIENT" "$PORT" "$CLIENT" "$PORT"
  } | run_in n-ipset ipset restore -exist
  run_in n-ipset iptables-restore <<RULES
*filter
:FORWARD ACCEPT
-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A FORWARD -d $SERVER/32 -m set --match-set allowed src,dst -j ACCEPT
-A FORWARD -d $SERVER/32 -j DROP
COMMIT
RULES
}

# pod CANDIDATE SIDE COMMAND...: side a is the client, on CPU 0; b the server, on CPU 1 where there is one. In front of
# all ordinary processes, so that others do not count.
pod() {
  local cpu=0
  if [[ $2 == b ]]; then cpu=$(($(nproc) > 1)); fi
  echo "$BASHPID" >"$cgroup/$1/cgroup.procs"
  exec chrt -f 1 taskset -c "$cpu" nsenter --net="/run/netns/$2-$1" "${@:3}"
}

# listening CANDIDATE: somebody waits at the server's port.
listening() {
  local try
  for ((try = 0; try < 200; try++)); do
    if [[ -n "$(run_in "b-$1" ss -Hltn "sport = :$PORT")" ]]; then return 0; fi
    sleep 0.01
  done
  die "the server of $1 does not listen"
}

declare -A bytes # of a measurement of throughput, so that it takes about $seconds
measure() {
  local value
  if [[ $2 == throughput ]]; then
    (pod "$1" b iperf3 -s -1 -p "$PORT") >/dev/null 2>&1 &
    POLICY_SERVER=$!
    listening "$1"
    (pod "$1" a iperf3 -c "$SERVER" -p "$PORT" -J -n "${bytes[$1]:-500M}") >"$scratch/iperf" || die "iperf3 failed for $1"
    value="$(jq '.end.sum_received.bits_per_second / 1e9' <"$scratch/iperf")"
    bytes[$1]="$(awk -v g="$value" -v s="$seconds" 'BEGIN { printf "%.0f", g * 1e9 / 8 * s }')"
  else
    (pod "$1" b "$load" serve "$SERVER" "$PORT") &
    POLICY_SERVER=$!
    listening "$1"
    value="$(pod "$1" a "$load" "${2/connections/connect}" "$SERVER" "$PORT" "$seconds")" || die "$2 failed for $1"
  fi
  wait "$POLICY_SERVER" || die "the server of $1 failed"
  POLICY_SERVER=''
  printf '%s\n' "$value" >>"$scratch/$3-$2-$1"
}

# No answer at all from a port that is not allowed; without a policy, a refusal.
check_candidate() {
  local status=0
  run_in "a-$1" timeout 1 bash -c "exec 3<>/dev/tcp/$SERVER/5299" 2>/dev/null || status=$?
  if [[ $1 == none || $1 == again || $1 == floor ]]; then [[ $status == 1 ]]; else [[ $status == 124 ]]; fi ||
    die "$1 does not judge as it should ($status)"
}

report() {
  local n="$1" metric candidate form=%.0f
  local -A value ratio
  for metric in "${metrics[@]}"; do
    if [[ $metric == throughput ]]; then form=%.1f; else form=%.0f; fi
    for candidate in "${candidates[@]}"; do
      value[$candidate]="$(median <"$scratch/$n-$metric-$candidate")"
      ratio[$candidate]="$(paste "$scratch/$n-$metric-$candidate" "$scratch/$n-$metric-none" | awk '{ print $1 / $2 }' | median)"
      printf '%6s rules  %-14s %-22s %12s  %.3f of no policy\n' "$n" "${unit[$metric]}" "${title[$candidate]}" \
        "$(div "${value[$candidate]}" 1 "$form")" "${ratio[$candidate]}"
    done
    row "${unit[$metric]}, $n rules, aim 0.95" "$(div "${value[ours]}" 1 "$form")" \
      "no policy $(div "${value[none]}" 1 "$form")" "$(div "${ratio[ours]}" 1 %.3f)"
    for candidate in floor map linear ipset; do
      row "  peer: ${title[$candidate]}" "$(div "${value[ours]}" 1 "$form")" "$(div "${value[$candidate]}" 1 "$form")" \
        "$(div "${ratio[ours]}" "${ratio[$candidate]}" %.3f)"
    done
  done
}

printf '%s, %s; %s rounds of %s s; load of the machine before: %s\n' "$(iptables --version)" "$(nft --version | cut -d'(' -f1)" \
  "$rounds" "$seconds" "$(cut -d' ' -f1-3 /proc/loadavg)"
for candidate in "${candidates[@]}"; do
  add_node "n-$candidate"
  add_pod "n-$candidate" client "$CLIENT" "a-$candidate"
  add_pod "n-$candidate" server "$SERVER" "b-$candidate"
  mkdir -p "$cgroup/$candidate"
done
start_policy_agent n-ours ours
mkdir "$scratch/bpf/floor"
run_in n-floor "$TEST_BIN/policy_floor" "$scratch/bpf/floor" client server
for n in "${scales[@]}"; do
  for candidate in ours map linear ipset; do "set_$candidate" "$n"; done
  for candidate in "${candidates[@]}"; do check_candidate "$candidate"; done
  for ((round = 0; round < rounds; round++)); do
    for metric in "${metrics[@]}"; do
      for ((i = 0; i < ${#candidates[@]}; i++)); do
        measure "${candidates[(i + round) % ${#candidates[@]}]}" "$metric" "$n"
      done
    done
  done
  report "$n"
done
