# shellcheck shell=bash
# Configure once, build by ninja.

# The compilers at once: the processors, but at most one for each GiB of memory.
jobs_count() {
  local cpus gib
  cpus="$(nproc)"
  gib="$(awk '/^MemAvailable:/ { print int($2 / 1048576) }' /proc/meminfo)"
  ((gib >= 1)) || gib=1
  echo $((cpus < gib ? cpus : gib))
}

# What a preset of users takes beside what it has: warnings are errors where the compiler is the one that CI uses; a newer one may find
# something new.
warnings_as_errors() {
  local compiler
  case "$1" in
    release) compiler=g++ ;;
    arm64) compiler=aarch64-linux-gnu-g++ ;;
    *) return 0 ;;
  esac
  if [[ "$("$compiler" -dumpversion 2>/dev/null)" == 12 ]]; then echo -DOMNITIDE_WERROR=ON; fi
}

configure() {
  local preset="$1" log="$STATE/log/cmake-$1.log" options=()
  mapfile -t options < <(warnings_as_errors "$preset")
  if [[ $preset == *test && -n "${ALLOW_WARNINGS:-}" ]]; then options=(-DOMNITIDE_WERROR=OFF); fi
  mkdir -p "$STATE/log"
  step "Configuring build/$preset"
  if ! cmake --preset "$preset" "${options[@]}" >"$log" 2>&1; then
    tail -n 25 "$log" >&2
    rm -f "build/$preset/build.ninja"
    fail "cmake failed; all it said is in ${log#"$ROOT/"}"
  fi
}

# build PRESET [TARGET...]
build() {
  local preset="$1" dir="build/$1"
  shift
  command -v cmake >/dev/null || fail "cmake is missing"
  command -v ninja >/dev/null || fail "ninja is missing"
  export CCACHE_MAXSIZE="${CCACHE_MAXSIZE:-5G}"
  if [[ -e "$dir/CMakeCache.txt" ]] && ! grep -qxF "CMAKE_HOME_DIRECTORY:INTERNAL=$ROOT" "$dir/CMakeCache.txt"; then
    note "$dir was made for another folder: made anew"
    rm -rf -- "$dir"
  fi
  [[ -e "$dir/build.ninja" ]] || configure "$preset"
  step "Building $dir"
  (cd "$dir" && NINJA_STATUS='[%f/%t, %es] ' exec ninja -j "${JOBS:-$(jobs_count)}" "$@")
}
