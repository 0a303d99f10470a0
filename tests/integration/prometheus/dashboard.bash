# shellcheck shell=bash
# The queries of manifests/dashboards, each put to a Prometheus that scrapes agents. `api PATH OPTIONS...` is the caller's.
dashboard="$(cd "$(dirname "${BASH_SOURCE[0]}")/../../.." && pwd -P)/manifests/dashboards/omnitide-nodes.json"
without_data="$(dirname "${BASH_SOURCE[0]}")/dashboard_without_data.txt"

# Lines "TITLE|QUERY", with the variables as they are when nothing is chosen.
dashboard_queries() {
  # shellcheck disable=SC2016 # Grafana's variables, not the shell's
  jq -r '.panels[] | select(.targets) | .title as $title | .targets[] | $title + "|" + .expr' "$dashboard" |
    sed 's/\$__rate_interval/15s/g; s/\$node/.*/g; s/\$namespace/.*/g'
}

# has_result QUERY: the error on standard output, or nothing when there is none; fails when there is no value.
has_result() {
  local answer
  answer="$(api query --data-urlencode "query=$1")" || { echo "no answer" && return 1; }
  jq -e '.data.result | length > 0' <<<"$answer" >/dev/null || { jq -r '.error // "no data"' <<<"$answer" && return 1; }
}

# check_dashboard WHERE SECONDS: every query has data within that time, or its panel is on the list for WHERE with a reason.
check_dashboard() {
  local title query reason
  while IFS='|' read -r title query; do
    reason="$(awk -F '|' -v where="$1" -v title="$title" '$1 == where && $2 == title { print $3 }' "$without_data")"
    if [[ -n "$reason" ]]; then
      # The query must be one that Prometheus understands, all the same.
      check "dashboard: $title (no data here: $reason)" api query -o /dev/null --data-urlencode "query=$query"
    else
      check "dashboard: $title" within "$2" has_result "$query"
    fi
  done < <(dashboard_queries)
  check "dashboard: the list of panels without data names panels" panels_are_known
}
panels_are_known() {
  [[ -z "$(comm -13 <(jq -r '.panels[].title' "$dashboard" | sort -u) <(grep -v '^#' "$without_data" | cut -d'|' -f2 | sort -u))" ]]
}
