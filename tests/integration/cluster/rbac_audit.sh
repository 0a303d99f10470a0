#!/usr/bin/env bash
# Whether the agent has the rights that it needs and no others: rbac_audit.sh FOLDER. The folder has the API servers' audit logs
# (*.log) of the tests, and granted.json, the roles as the cluster had them. Every request of the agent was allowed, and every verb
# that a role grants was used. Needs jq.
set -euo pipefail
folder="${1:?the folder with audit logs}"
shopt -s nullglob
logs=("$folder"/*.log)
[[ ${#logs[@]} -gt 0 && -s "$folder/granted.json" ]] || { echo "no audit log, or no granted.json, in $folder" >&2 && exit 1; }

# VERB GROUP/RESOURCE[/SUBRESOURCE]: of the agent itself; tests forge requests with its token by other programs. An apply that made
# the object took the right to create, too.
requests() {
  jq -r 'select(.userAgent | startswith("omnitide-agent/")) | select(.objectRef != null) |
    "\(.objectRef.apiGroup // "")/\(.objectRef.resource)\(if .objectRef.subresource then "/" + .objectRef.subresource else "" end)" as $what |
    (.responseStatus.code // 0) as $code |
    (.verb, if .verb == "patch" and $code == 201 then "create" else empty end) | "\($code) \(.) \($what)"' "${logs[@]}"
}
granted() {
  jq -r '.items[].rules[] | .apiGroups[] as $group | .resources[] as $resource | .verbs[] | "\(.) \($group)/\($resource)"' "$folder/granted.json"
}

all="$(requests | sort | uniq -c)"
used="$(awk '$2 != 403 { print $3, $4 }' <<<"$all" | sort -u)"
# What is granted is refused as well while the roles are not there yet, or no more: ours, and those that each cluster has for everybody,
# which an API server that has just started has not read yet. The latter were granted where the same was allowed otherwise.
refused="$(comm -23 <(awk '$2 == 403 { print $3, $4 }' <<<"$all" | sort -u) <({ granted && echo "$used"; } | sort -u))"
unused="$(comm -13 <(printf '%s\n' "$used") <(granted | sort -u))"
printf 'requests by verb and resource, in %d logs:\n' "${#logs[@]}"
awk '{ n[$3 " " $4] += $1 } END { for (each in n) printf "  %7d  %s\n", n[each], each }' <<<"$all" | sort -k2
if [[ -n $refused ]]; then printf 'FAILED  used and not granted:\n%s\n' "$refused"; else echo "ok      each verb that was used is granted"; fi
if [[ -n $unused ]]; then printf 'FAILED  granted and never used:\n%s\n' "$unused"; else echo "ok      each verb that is granted was used"; fi
[[ -n $used && -z $refused && -z $unused ]]
