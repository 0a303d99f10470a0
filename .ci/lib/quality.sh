# shellcheck shell=bash
# ./dev check, fmt, fuzz.

# Files of the project with the endings given: what git has, and what it would take.
project_files() {
  git ls-files -z --cached --others --exclude-standard -- "$@" | while IFS= read -r -d '' file; do
    if [[ -f "$file" ]]; then printf '%s\0' "$file"; fi
  done
}

check_format() { project_files '*.cpp' '*.hpp' | xargs -0 clang-format-14 --dry-run -Werror; }
check_shell() { { project_files '*.sh' '*.bash' && printf '%s\0' dev .ci/run manifests/kubectl/kubectl-omnitide; } | xargs -0 shellcheck -x; }
check_house() { tests/unit/house_test.sh; }

# one_check NAME FUNCTION: uses the caller's passed and failed.
one_check() {
  local out
  if out="$("$2" 2>&1)"; then
    passed=$((passed + 1))
    note "ok      $1"
  else
    failed=$((failed + 1))
    note "FAILED  $1"
    head -n 40 <<<"$out"
  fi
}

command_check() {
  local passed=0 failed=0
  need_packages git "${CHECK_PACKAGES[@]}"
  step "Check"
  one_check "format (clang-format 14; ./dev fmt puts it right)" check_format
  one_check "shell scripts (shellcheck)" check_shell
  one_check "rules of the house (tests/unit/house_test.sh)" check_house
  note "$passed passed, $failed failed"
  [[ $failed -eq 0 ]]
}

command_fmt() {
  need_packages git "${CHECK_PACKAGES[@]}"
  project_files '*.cpp' '*.hpp' | xargs -0 clang-format-14 -i
}

# fuzz_one NAME SECONDS: leaves fuzz-NAME.log, and fuzz-NAME.good when nothing was found.
fuzz_one() {
  local found="$STATE/fuzz/$1" log="$STATE/log/fuzz-$1"
  mkdir -p "$found"
  rm -f "$log.good"
  if "build/asan/bin/${1}_fuzz" -max_total_time="$2" -timeout=10 -rss_limit_mb=2048 -verbosity=0 -print_final_stats=1 \
    -artifact_prefix="$found/fault-" "$found" "tests/fuzz/corpus/$1" >"$log.log" 2>&1; then
    touch "$log.good"
  fi
}

# Each fuzzer starts from its seeds in tests/fuzz/corpus; what it finds is kept in .omnitide/fuzz/NAME.
command_fuzz() {
  local seconds=60 names=() name passed=0 failed=0
  while [[ $# -gt 0 ]]; do
    case "$1" in
      --seconds)
        [[ "${2:-}" =~ ^[0-9]+$ ]] || fail "--seconds needs a number"
        seconds="$2"
        shift 2
        ;;
      -*) fail "fuzz: unknown option $1" ;;
      *) names+=("$1") && shift ;;
    esac
  done
  need_packages "${BUILD_PACKAGES[@]}" "${FUZZ_PACKAGES[@]}"
  build asan fuzz
  [[ ${#names[@]} -gt 0 ]] || mapfile -t names < <(cd tests/fuzz && printf '%s\n' *_fuzz.cpp | sed 's/_fuzz\.cpp$//')
  for name in "${names[@]}"; do
    [[ -x "build/asan/bin/${name}_fuzz" ]] || fail "no fuzzer $name in tests/fuzz"
  done
  step "Fuzz ${names[*]}, $seconds s each"
  for name in "${names[@]}"; do
    while (($(jobs -rp | wc -l) >= $(jobs_count))); do wait -n || true; done
    fuzz_one "$name" "$seconds" &
  done
  wait
  for name in "${names[@]}"; do
    if [[ -e "$STATE/log/fuzz-$name.good" ]]; then
      passed=$((passed + 1))
      sed -n "s/^stat::number_of_executed_units: */ok      $name, runs: /p" "$STATE/log/fuzz-$name.log"
    else
      failed=$((failed + 1))
      note "FAILED  $name"
      tail -n 40 "$STATE/log/fuzz-$name.log"
      note "  the input is kept in .omnitide/fuzz/$name"
    fi
  done
  note "$passed passed, $failed failed"
  [[ $failed -eq 0 ]]
}
