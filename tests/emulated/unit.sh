#!/usr/bin/env bash
# unit.sh PROGRAM EMULATOR...: a program of unit tests under qemu-user, without the test cases that not_run.tsv names for it. Each is
# told with its reason; one that does not exist is an error.
set -euo pipefail
program="$1" name="$(basename "$1")"
shift
cases="$("$@" "$program" --list-test-names-only || true)" # Catch2 v2 ends with the number of cases
filter=()
while IFS=$'\t' read -r of case reason; do
  [[ "$of" == "$name" ]] || continue
  grep -qxF -- "$case" <<<"$cases" || { echo "$name has no test case '$case', which not_run.tsv names" && exit 1; }
  printf 'not run: %s: %s\n' "$case" "$reason"
  case="${case//\\/\\\\}" case="${case//,/\\,}"
  filter+=("~\"${case//\"/\\\"}\"")
done < <(grep -v '^#' "$(dirname "${BASH_SOURCE[0]}")/not_run.tsv")
left="$(("$(wc -l <<<"$cases")" - ${#filter[@]}))" runs="$("$@" "$program" "${filter[@]}" --list-test-names-only | wc -l || true)"
((runs == left)) || { echo "$name: $runs test cases are left of $(wc -l <<<"$cases"), and not $left" && exit 1; }
exec "$@" "$program" "${filter[@]}"
