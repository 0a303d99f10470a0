#!/usr/bin/env bash
# replaced.sh [SECONDS | --quick]: the one agent with its parts on beside the programs whose place it takes: prometheus-node-exporter,
# node-problem-detector, Node Feature Discovery's worker, and an agent that tells metrics by MQTT (collectd). All are scraped every 15
# seconds, as Prometheus would. 150 seconds by default. Root, for a network namespace of their own, and Go. README.md says what each does.
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
# shellcheck source=tests/bench/measure.bash
. "$here/measure.bash"
# shellcheck source=tests/bench/peers.bash
. "$here/peers.bash"
seconds="${1:-150}"
[[ "$seconds" != --quick ]] || seconds=45
[[ "$seconds" =~ ^[0-9]+$ ]] || die "usage: replaced.sh [SECONDS | --quick]"
need prometheus-node-exporter collectd mosquitto mosquitto_sub jq curl strip
if [[ -z ${REPLACED_INSIDE:-} ]]; then
  for peer in node-problem-detector nfd-worker; do build_peer "$peer"; done
  REPLACED_INSIDE=yes exec unshare --net --mount -- "$here/replaced.sh" "$seconds"
fi
ip link set lo up
mount -t bpf bpf /sys/fs/bpf
scratch="$(mktemp -d)"
declare -A pid_of=() size_of=() version_of=() ticks_of=()
broker=0 scraper=0
finish() {
  local pid
  for pid in "$scraper" "${pid_of[@]}" "$broker"; do
    if ((pid)); then end_process "$pid"; fi
  done
  rm -rf --one-file-system "$scratch"
}
trap finish EXIT
trap 'exit 130' INT TERM

start() { # NAME COMMAND...
  "${@:2}" >"$scratch/$1.log" 2>&1 &
  pid_of[$1]=$!
}
until_it() { # WHAT NAME COMMAND...: within 40 seconds the command succeeds
  local end=$((SECONDS + 40))
  until "${@:3}" >/dev/null 2>&1; do
    ((SECONDS < end)) || die "$1: $(tail -n 5 "$scratch/$2.log")"
    sleep 0.2
  done
}
answers() { curl -sf -o /dev/null "http://127.0.0.1:$1/metrics"; }
publishes() { mosquitto_sub -h 127.0.0.1 -t "$1" -C 1 -W 15; }

printf 'user root\nlistener 1883 127.0.0.1\nallow_anonymous true\n' >"$scratch/broker.conf"
mosquitto -c "$scratch/broker.conf" >"$scratch/broker.log" 2>&1 &
broker=$!

# Ours.
mkdir "$scratch/none" "$scratch/policy"
cat >"$scratch/agent.yaml" <<YAML
node: {name: node-1}
paths: {state_dir: $scratch/state, run_dir: $scratch/run}
telemetry: {brokers: ["mqtt://127.0.0.1:1883"]}
policy: {mode: enforce, directory: $scratch/policy}
YAML
start omnitide-agent "$AGENT" run --config-dir "$scratch/none" --config "$scratch/agent.yaml"
wait_ready "$scratch/run" "${pid_of[omnitide-agent]}" || die "the agent is not ready: $(tail -n 5 "$scratch/omnitide-agent.log")"
part_on() { "$AGENT" status --run-dir "$scratch/run" -o json | jq -e --arg part "$1" '.parts[] | select(.name == $part) | .state == "PART_STATE_ON"'; }
for part in discovery metrics ebpf-metrics health policy telemetry; do until_it "the part $part is not on" omnitide-agent part_on "$part"; done
until_it "the agent publishes nothing" omnitide-agent publishes 'spBv1.0/#'

# The others, as their own manifests start them where those say something. nfd-worker wants the address of an API server even when it
# tells it nothing.
start prometheus-node-exporter prometheus-node-exporter --no-collector.systemd --web.listen-address=127.0.0.1:9100
config="$(peer_folder node-problem-detector)/config"
start node-problem-detector env NODE_NAME=node-1 "$(peer_program node-problem-detector)" --logtostderr --enable-k8s-exporter=false \
  --config.system-log-monitor="$config/kernel-monitor.json,$config/readonly-monitor.json"
cat >"$scratch/nowhere" <<'YAML'
apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: "https://127.0.0.1:1"}}]
contexts: [{name: x, context: {cluster: c}}]
current-context: x
YAML
start nfd-worker env NODE_NAME=node-1 KUBERNETES_NAMESPACE=default "$(peer_program nfd-worker)" -no-publish -kubeconfig "$scratch/nowhere"
cat >"$scratch/collectd.conf" <<CONF
Hostname "node-1"
FQDNLookup false
Interval 10
BaseDir "$scratch"
PIDFile "$scratch/collectd.pid"
$(printf 'LoadPlugin %s\n' cpu df disk interface load memory mqtt)
<Plugin mqtt>
  <Publish "broker">
    Host "127.0.0.1"
    Port "1883"
  </Publish>
</Plugin>
CONF
start collectd collectd -f -C "$scratch/collectd.conf"
until_it "node-exporter does not answer" prometheus-node-exporter answers 9100
until_it "node-problem-detector does not answer" node-problem-detector answers 20257
until_it "nfd-worker does not answer" nfd-worker answers 8080
until_it "collectd publishes nothing" collectd publishes 'collectd/#'

scrape() {
  trap 'kill "$!"; exit' TERM
  while true; do
    curl -sf --compressed http://127.0.0.1:{9100,20257,8080,9797}/metrics >/dev/null || true
    sleep 15 &
    wait "$!"
  done
}
scrape &
scraper=$!
others=(prometheus-node-exporter node-problem-detector nfd-worker collectd)
all=(omnitide-agent "${others[@]}")
sleep 20 # what a start costs is over
for who in "${all[@]}"; do ticks_of[$who]="$(cpu_ticks "${pid_of[$who]}")"; done
begin="${EPOCHREALTIME/./}"
sleep "$seconds"
passed_us=$((${EPOCHREALTIME/./} - begin))

# On the disk: programs without debug symbols, and the parts of them that are files of their own.
stripped() { strip -o "$scratch/stripped" "$1" && stat -c %s "$scratch/stripped"; }
size_of[omnitide-agent]=$(($(stripped "$AGENT") + $(stat -Lc %s "$(ldconfig -p | awk '$1 == "libmosquitto.so.1" { print $NF }' | sort -u)")))
size_of[prometheus-node-exporter]="$(stripped "$(command -v prometheus-node-exporter)")"
size_of[collectd]="$(cat "$(command -v collectd)" /usr/lib/collectd/{cpu,df,disk,interface,load,memory,mqtt}.so | wc -c)"
version_of[prometheus-node-exporter]="$(dpkg-query -W -f '${Version}' prometheus-node-exporter)"
version_of[collectd]="$(dpkg-query -W -f '${Version}' collectd-core)"
for who in node-problem-detector nfd-worker; do
  size_of[$who]="$(stripped "$(peer_program "$who")")" version_of[$who]="$(peer_version "$who")"
done

declare -A sum=([pss]=0 [rss]=0 [cpu]=0 [size]=0) of=()
report() { # NAME PSS RSS CPU SIZE
  printf '%-44s %9s %9s %9s %9s\n' "$1" "$(div "$2" 1024 %.1f)" "$(div "$3" 1024 %.1f)" "$4" "$(div "$5" 1000000 %.1f)"
}
printf '%-44s %9s %9s %9s %9s\n' "idle for $seconds s, scraped every 15 s" 'PSS MiB' 'RSS MiB' 'CPU %' 'disk MB'
for who in "${all[@]}"; do
  kill -0 "${pid_of[$who]}" 2>/dev/null || die "$who has ended: $(tail -n 5 "$scratch/$who.log")"
  pss="$(pss_kib "${pid_of[$who]}")" rss="$(rss_kib "${pid_of[$who]}")" size="${size_of[$who]}"
  cpu="$(awk -v t="$(($(cpu_ticks "${pid_of[$who]}") - ticks_of[$who]))" -v hz="$(getconf CLK_TCK)" -v us="$passed_us" \
    'BEGIN { printf "%.2f", t / hz / (us / 1e6) * 100 }')"
  report "$who ${version_of[$who]:-}" "$pss" "$rss" "$cpu" "$size"
  if [[ $who == omnitide-agent ]]; then
    of=([pss]="$pss" [rss]="$rss" [cpu]="$cpu" [size]="$size")
  else
    sum[pss]=$((sum[pss] + pss)) sum[rss]=$((sum[rss] + rss)) sum[size]=$((sum[size] + size))
    sum[cpu]="$(awk -v a="${sum[cpu]}" -v b="$cpu" 'BEGIN { printf "%.2f", a + b }')"
  fi
done
report "the four together" "${sum[pss]}" "${sum[rss]}" "${sum[cpu]}" "${sum[size]}"
kernel=$(($(kernel_kib "${pid_of[omnitide-agent]}" map) + $(kernel_kib "${pid_of[omnitide-agent]}" prog)))
printf 'The agent'\''s BPF maps and programs take %s MiB in the kernel, which is no PSS of any process.\n' "$(div "$kernel" 1024 %.1f)"
mib_row() { row "$1" "$(div "$2" 1024 %.1f) MiB" "$(div "$3" 1024 %.1f) MiB" "$(div "$2" "$3")"; }
mib_row "PSS of one agent; of the four that it replaces" "${of[pss]}" "${sum[pss]}"
mib_row "with its BPF maps and programs" $((of[pss] + kernel)) "${sum[pss]}"
mib_row "RSS of one agent; of the four" "${of[rss]}" "${sum[rss]}"
row "CPU of one agent; of the four" "${of[cpu]} %" "${sum[cpu]} %" "$(div "${of[cpu]}" "${sum[cpu]}")"
row "On the disk, without debug symbols" "$(div "${of[size]}" 1000000 %.1f) MB" "$(div "${sum[size]}" 1000000 %.1f) MB" "$(div "${of[size]}" "${sum[size]}")"
