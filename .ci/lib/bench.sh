# shellcheck shell=bash
# ./dev bench: every program of tests/bench, one table. Each prints lines "ROW<tab>name<tab>ours<tab>peer<tab>ratio".

command_bench() {
  local quick='' names=() name script rows status=0
  while [[ $# -gt 0 ]]; do
    case "$1" in
      --quick) quick=--quick ;;
      -*) fail "bench: unknown option $1" ;;
      *) names+=("$1") ;;
    esac
    shift
  done
  need_packages "${BUILD_PACKAGES[@]}" "${TEST_PACKAGES[@]}" "${BENCH_PACKAGES[@]}"
  build release
  build test
  [[ ${#names[@]} -gt 0 ]] || mapfile -t names < <(cd tests/bench && printf '%s\n' *.sh | sed 's/\.sh$//')
  mkdir -p "$STATE/bench"
  rows="$STATE/bench/rows"
  : >"$rows"
  for name in "${names[@]}"; do
    script="tests/bench/$name.sh"
    [[ -x "$script" ]] || fail "no benchmark $name in tests/bench"
    step "Bench $name"
    OMNITIDE_BENCH_DIR="$STATE/bench" "$script" ${quick:+"$quick"} | tee "$STATE/bench/$name.out" | grep -v '^ROW' || true
    grep '^ROW' "$STATE/bench/$name.out" >>"$rows" || { warn "$name printed no row" && status=1; }
  done
  step "Ours and peers, medians of one run"
  awk -F '\t' 'BEGIN { printf "%-44s %16s %24s %8s\n", "what", "ours", "peer or aim", "ratio" }
    { printf "%-44s %16s %24s %8s\n", $2, $3, $4, $5 }' "$rows"
  return "$status"
}
