#!/usr/bin/env bash
# The rules of the house that the compiler does not hold: run by ctest and by ./dev check. Needs bash, git and awk.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1

passed=0
failed=0
promise() {  # promise NAME FINDINGS: no findings is good
  if [[ -z "$2" ]]; then
    passed=$((passed + 1))
    printf 'ok      %s\n' "$1"
  else
    failed=$((failed + 1))
    printf 'FAILED  %s\n          %s\n' "$1" "${2//$'\n'/$'\n'          }"
  fi
}

# Tracked and new files of the project that match; without git (a source archive), what find sees.
files() {
  local pattern
  if git rev-parse --git-dir >/dev/null 2>&1; then
    git ls-files --cached --others --exclude-standard -- "$@" 2>/dev/null | while IFS= read -r file; do
      if [[ -f "$file" ]]; then printf '%s\n' "$file"; fi
    done
  else
    for pattern in "$@"; do find . -path ./build -prune -o -path ./.omnitide -prune -o -type f -path "./$pattern" -print; done | sed 's|^\./||'
  fi
}
in_sources() { files 'agent/*' 'discovery/*' 'ebpf/*' | grep -E '\.(cpp|hpp)$'; }
found() { xargs -d '\n' grep -nE "$@" /dev/null || true; }  # lines of the files on stdin that match

# "ROOM USES..." a line, from the table in CMakeLists.txt.
rooms() {
  tr '\n' ' ' <CMakeLists.txt | grep -oE 'omnitide_(room|protobuf)\([^)]+\)' |
    sed -E 's/omnitide_(room|protobuf)\(//; s/ LIBS .*//; s/\)//; s/ USES / /; s/ +/ /g; s/ $//'
}

# A room includes only itself and what its USES line names.
foreign_includes() {
  local room uses used allowed
  while read -r room uses; do
    [[ -d "$room" ]] || continue
    allowed="$room/"
    for used in $uses; do allowed+="|$used/"; done
    files "$room/*.cpp" "$room/*.hpp" | found '^#include "(agent|discovery|ebpf|health|tests)/' |
      grep -vE "#include \"(($allowed)[^/]*|ebpf/programs/[a-z_]+\.bpf\.hpp)\"" || true  # generated ones come by LIBS
  done < <(rooms)
}

untested_rooms() {
  local room uses tests
  while read -r room uses; do
    [[ -n "$(files "$room/*.cpp")" ]] || continue  # values and generated code have nothing to test
    case "$room" in
      agent/*) tests="tests/unit/${room#agent/}" ;;
      ebpf/loader) tests=tests/bpf ;;
      *) tests="tests/unit/${room%%/*}" ;;
    esac
    [[ -n "$(files "$tests/*_test.cpp")" ]] || printf '%s has no test in %s\n' "$room" "$tests"
  done < <(rooms)
}

tests_not_built() {
  files 'tests/unit/*_test.cpp' 'tests/bpf/*_test.cpp' 'tests/integration/*_test.cpp' | while IFS= read -r file; do
    grep -qE "omnitide_tests\($(dirname "$file")[ )]" tests/CMakeLists.txt || printf '%s is in no omnitide_tests()\n' "$file"
  done
}

third_party='<(sqlite3\.h|bpf/|yaml-cpp/|google/protobuf/|systemd/|CLI/|zlib\.h|libelf\.h|zstd\.h)'
unfinished='\b(TO''DO|FIX''ME|XX''X|HA''CK)\b'

promise "a room includes only the rooms of its USES line" "$(foreign_includes)"
promise "third-party types stay out of headers" "$(in_sources | grep '\.hpp$' | found "#include $third_party")"
promise "OpenSSL shows only in headers of agent/io, Asio also in those of its direct users, messages in the registry's" "$(
  in_sources | grep '\.hpp$' | found '#include (<openssl/|<boost/(asio|beast)|"omnitide/.*\.pb\.h")' |
    grep -vE '^agent/io/|^agent/(kubernetes|registration|registry|daemon|cli|metrics|telemetry)/.*<boost/asio|^agent/registry/.*\.pb\.h' || true
)"
promise "nothing but main and tests includes agent/daemon" \
  "$(in_sources | grep -vE '^agent/daemon/|^agent/main\.cpp$' | found '#include "agent/daemon/')"
promise "no std::random_device, std::regex, iostream, shell-outs" \
  "$(in_sources | found '^[^/]*(std::random_device|std::regex|#include <(iostream|regex)>|\b(popen|system|execlp|execvp) ?\()')"
# GCC 12 destroys the temporaries of `c ? co_await a : co_await b` twice, and a const Result<bool> that leaves a
# coroutine becomes true by its operator bool.
promise "no coroutine that GCC 12 or Result<bool> would break" \
  "$(in_sources | found '\? co_await|awaitable<Result<bool>>' | grep -v '//' || true)"
promise "every room with code has its tests" "$(untested_rooms)"
promise "every test file is built" "$(tests_not_built)"
promise "files stay within 400 lines" \
  "$(files '*.cpp' '*.hpp' '*.sh' '*.bash' '*.proto' '*.cmake' dev .ci/run | xargs -d '\n' wc -l | awk '$2 != "total" && $1 > 400')"
promise "nothing unfinished is left behind" \
  "$(files | grep -vE '^tests/(fixtures|fuzz/corpus|golden)/' | found -I "$unfinished")"
promise "docs/cli.md has the exit codes that the code has" "$(
  comm -3 <({ echo 0 && sed -n '/kCodes/,/};/p' agent/base/error.cpp | grep -oE ', [0-9]\}' | grep -oE '[0-9]+'; } | sort -u) \
    <(sed -n '/^## Exit codes/,/^## F/p' docs/cli.md | grep -oE '^\| [0-9]+' | grep -oE '[0-9]+' | sort -u)
)"
promise "headers are included once (#pragma once)" "$(files '*.hpp' | xargs -d '\n' grep -L '^#pragma once' || true)"

printf '%d passed, %d failed\n' "$passed" "$failed"
[[ $failed -eq 0 ]]
