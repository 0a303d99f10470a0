#!/usr/bin/env bash
# A real Prometheus scrapes a real agent: it negotiates OpenMetrics, has every value, evaluates what people alert on; and
# promtool finds nothing in our text that it does not find in node_exporter's. Our own alerts fire when they should, and the dashboard's
# queries have data.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/../metrics_lib.bash"
need curl jq prometheus promtool prometheus-node-exporter gzip
here=$(cd "$(dirname "$0")" && pwd -P)
# shellcheck source=tests/integration/prometheus/dashboard.bash
. "$here/dashboard.bash"
rule_file="$here/../../../manifests/kustomize/components/alerts/prometheus-rule.yaml" runbooks="$here/../../../docs/runbooks"

start_agent "http: {listen: \"127.0.0.1:0\"}"
text() { curl -sS --max-time 10 "$@"; }

strictly() { "$OMNITIDE_PROGRAMS/openmetrics_check" <"$work/open"; }

# --- the two formats
text "$url/metrics" >"$work/plain"
check "text 0.0.4 by default" grep -qi '^content-type: text/plain; version=0.0.4' <(curl -sSI "$url/metrics")
check "OpenMetrics for who likes it better" grep -qi '^content-type: application/openmetrics-text; version=1.0.0' \
  <(curl -sSI -H 'Accept: application/openmetrics-text;version=1.0.0,text/plain;q=0.5' "$url/metrics")
text -H 'Accept: application/openmetrics-text' "$url/metrics" >"$work/open"
check "a strict reader takes every line of it" strictly
check "which ends as it should" [ "$(tail -n 1 "$work/open")" = "# EOF" ]
text -H 'Accept-Encoding: gzip' "$url/metrics" | gzip -dc >"$work/unzipped" 2>"$work/gzip.log"
families() { grep '^# TYPE' "$1" | cut -d' ' -f3 | sort; }
# A family appears with the first event that it counts, which may come between the two.
empty "gzip holds the same families" "$(comm -23 <(families "$work/plain") <(families "$work/unzipped"))"
check "collect[] gives only what it names" \
  [ "$(text -g "$url/metrics?collect[]=loadavg" | grep -c '^node_load')" = 3 ]
empty "and nothing else of the node" "$(text -g "$url/metrics?collect[]=loadavg" | grep '^node_' | grep -v '^node_load\|^node_scrape_collector')"
check "a collector that is none is an error" \
  [ "$(text -g -o /dev/null -w '%{http_code}' "$url/metrics?collect[]=nonsense")" = 400 ]

# --- docs/metrics.md
check "docs/metrics.md is what the program says" diff <("$agent" metrics --docs) "$here/../../../docs/metrics.md"
# shellcheck disable=SC2016 # the backquotes of Markdown
names=$(grep -oE '^\| `[^`]+`' "$here/../../../docs/metrics.md" | tr -d '|` ')
undocumented() { # names with a star are patterns
  local name pattern
  while IFS= read -r name; do
    while IFS= read -r pattern; do
      # shellcheck disable=SC2053 # a pattern is meant; "*" alone is of text files
      if [[ $pattern != '*' && $name == $pattern ]]; then continue 2; fi
    done <<<"$names"
    echo "$name"
  done
}
empty "and has every family that is served" "$(families "$work/plain" | undocumented)"

# --- promtool
exporter_port=$(free_port)
prometheus-node-exporter --web.listen-address="127.0.0.1:$exporter_port" >"$work/exporter.log" 2>&1 &
pids+=("$!")
within 10 curl -sf -o "$work/theirs" "http://127.0.0.1:$exporter_port/metrics" || not_ok "node_exporter answers"
promtool check metrics <"$work/plain" >"$work/ours.lint" 2>&1
promtool check metrics <"$work/theirs" >"$work/theirs.lint" 2>&1
empty "promtool finds nothing that it does not find in node_exporter's text" \
  "$(comm -23 <(sort -u "$work/ours.lint") <(sort -u "$work/theirs.lint"))"
empty "and nothing in omnitide_*" "$(grep '^omnitide_' "$work/ours.lint")"

# --- our own alerts
sed '1,/^spec:/d; s/^  //' "$rule_file" >"$work/omnitide.rules.yaml"
cp "$here/omnitide_alerts_test.yaml" "$work/"
check "promtool takes the rules of the alerts" promtool check rules "$work/omnitide.rules.yaml"
check "each alert fires when it should, alone, and none on a good node" promtool test rules "$work/omnitide_alerts_test.yaml"
alerts() { sed -n 's/^ *- alert: //p' "$work/omnitide.rules.yaml" | sort; }
empty "each alert has a test" "$(comm -23 <(alerts) <(grep -oE '^# Omnitide[A-Za-z]+' "$here/omnitide_alerts_test.yaml" | cut -c3- | sort -u))"
empty "each alert has a runbook, each runbook an alert" \
  "$(comm -3 <(alerts) <(cd "$runbooks" && printf '%s\n' Omnitide*.md | sed 's/\.md$//' | sort))"
empty "and names it" "$(comm -3 <(alerts) <(sed -n 's|^ *runbook_url: docs/runbooks/\(.*\)\.md$|\1|p' "$work/omnitide.rules.yaml" | sort))"
empty "the index of the runbooks has all of them" "$(comm -3 <(alerts) <(sed -n 's/^| \[\([A-Za-z]*\)\].*/\1/p' "$runbooks/README.md" | sort))"
metrics_of_rules() { grep -ohE '\b(omnitide|node|process)_[a-zA-Z0-9_]+' "$work/omnitide.rules.yaml" "$dashboard" | sed -E 's/_(bucket|sum|count)$//' | sort -u; }
empty "alerts and dashboard name metrics that are documented" "$(metrics_of_rules | undocumented)"

# --- a real Prometheus
port=$(free_port)
cat >"$work/prometheus.yaml" <<YAML
global: {scrape_interval: 1s, evaluation_interval: 1s}
rule_files: [$here/alerts.yaml, $work/omnitide.rules.yaml]
scrape_configs:
  - {job_name: omnitide-agent, static_configs: [{targets: ["${url#http://}"]}]}
YAML
prometheus --config.file="$work/prometheus.yaml" --storage.tsdb.path="$work/tsdb" \
  --web.listen-address="127.0.0.1:$port" >"$work/prometheus.log" 2>&1 &
pids+=("$!")
api() { curl -sSfG --max-time 5 "http://127.0.0.1:$port/api/v1/$1" "${@:2}" 2>/dev/null; }
target_is_up() { [ "$(api targets | jq -r '.data.activeTargets[0].health')" = up ]; }
check "Prometheus scrapes it" within 20 target_is_up
value() { api query --data-urlencode "query=$1" | jq -r '.data.result[0].value[1] // "none"'; }
has_value() { local got; got=$(value "$1") && [ -n "$got" ] && [ "$got" != none ]; }
check "and has its values" within 15 has_value 'node_memory_MemTotal_bytes'
total=$(awk '$1 == "MemTotal:" {printf "%.0f", $2 * 1024}' /proc/meminfo)
check "which are right" [ "$(value node_memory_MemTotal_bytes)" = "$total" ]
unit() { api targets/metadata --data-urlencode "metric=$1" | jq -r '.data[0].unit'; }
check "it came as OpenMetrics: units are known" [ "$(unit process_resident_memory_bytes)" = bytes ]
check "counters have rates" within 20 has_value 'sum(rate(node_cpu_seconds_total[10s]))'
check "no sample was dropped as a duplicate or out of order" \
  [ "$(value 'prometheus_target_scrapes_sample_duplicate_timestamp_total or vector(0)')" = 0 ]
check "it keeps as many samples as we gave" \
  [ "$(value 'scrape_samples_scraped - scrape_samples_post_metric_relabeling')" = 0 ]

# --- what people alert on
rules_ran() { [ "$(api rules | jq '[.data.groups[].rules[] | select(.health == "unknown")] | length')" = 0 ]; }
check "every rule of the node alerts was evaluated" within 15 rules_ran
empty "without an error" "$(api rules | jq -r '.data.groups[].rules[] | select(.health != "ok") | .name + ": " + .lastError')"
for name in 'instance:node_cpu_utilisation:rate5m' 'instance:node_memory_utilisation:ratio' \
  'node_filesystem_avail_bytes{fstype!=""}' 'node_filesystem_files_free' 'node_network_receive_errs_total' \
  'node_textfile_scrape_error' 'node_timex_sync_status' 'node_filefd_maximum' 'node_vmstat_pgmajfault' 'node_load1'; do
  check "$name has values" within 5 has_value "$name"
done

# --- what people look at
check_dashboard host 20

# --- faults
scrapers() {
  local i list=()
  for ((i = 0; i < 100; i++)); do
    curl -sf --max-time 20 -o /dev/null "$url/metrics" & list+=("$!")
  done
  local bad=0
  for i in "${list[@]}"; do wait "$i" || bad=$((bad + 1)); done
  [ "$bad" = 0 ]
}
check "a hundred scrapes at once are all answered" scrapers
rss() { awk '$1 == "VmRSS:" {print $2}' "/proc/${pids[0]}/status"; }
before=$(rss)
requests=$(for ((i = 0; i < 200; i++)); do printf 'GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n~'; done)
for ((i = 0; i < 60; i++)); do # they ask for more than the kernel keeps for them, and never read
  exec {sloth}<>"/dev/tcp/127.0.0.1/${url##*:}" && printf '%s' "${requests//\~/}" >&"$sloth"
done
sleep 2
after=$(rss)
check "sixty scrapers that never read cost less than 8 MB (they cost $((after - before)) KB)" [ $((after - before)) -lt 8192 ]
check "and keep nobody else out" curl -sf --max-time 5 -o /dev/null "$url/metrics"
end_test
