# shellcheck shell=bash
# Programs of others that Debian 12 does not have, built from their Go modules at fixed versions; the Go client checks what it gets
# against the public sums. They serve the benchmarks alone. Needs Go 1.25 or later. OMNITIDE_PEERS: where they are kept.
# Uses measure.bash.
# shellcheck disable=SC2153  # ROOT is of measure.bash
PEERS="${OMNITIDE_PEERS:-$ROOT/.omnitide/peers}"

# peer_modules NAME: its package, and modules that this one replaces by folders which its published form does not have.
peer_modules() {
  case "$1" in
    node-problem-detector) echo k8s.io/node-problem-detector/cmd/nodeproblemdetector@v1.34.0 ;;
    nfd-worker) echo sigs.k8s.io/node-feature-discovery/cmd/nfd-worker@v0.18.3 sigs.k8s.io/node-feature-discovery/api/nfd@v0.18.3 ;;
    *) die "no peer $1" ;;
  esac
}
peer_version() {
  local modules
  modules="$(peer_modules "$1")"
  modules="${modules%% *}"
  printf '%s\n' "${modules##*@}"
}

# build_peer NAME: $PEERS/NAME/VERSION/NAME, without debug symbols, as ours is measured; and what it brings along: the module's own
# folder as $PEERS/NAME/VERSION/module.
build_peer() {
  local name="$1" modules package folder log
  folder="$PEERS/$name/$(peer_version "$name")"
  if [[ -x "$folder/$name" ]]; then return; fi
  command -v go >/dev/null || die "needs Go 1.25 or later, to build $name"
  rm -rf -- "$folder"
  mkdir -p "$folder/build"
  read -ra modules <<<"$(peer_modules "$name")"
  package="${modules[0]%@*}" log="$folder/log"
  printf 'building %s %s\n' "$name" "$(peer_version "$name")"
  (
    cd "$folder/build"
    export CGO_ENABLED=1 GOTOOLCHAIN=local
    go mod init peer && go get "${modules[@]}" &&
      go build -tags journald -trimpath -ldflags '-s -w' -o "$folder/build/$name" "$package" &&
      go list -f '{{.Module.Dir}}' "$package" >"$folder/build/module"
  ) >"$log" 2>&1 || die "$name cannot be built; see $log: $(tail -n 2 "$log")"
  ln -s "$(<"$folder/build/module")" "$folder/module"
  mv "$folder/build/$name" "$folder/$name"
  rm -rf -- "$folder/build"
}
peer_program() { printf '%s\n' "$PEERS/$1/$(peer_version "$1")/$1"; }
peer_folder() { printf '%s\n' "$PEERS/$1/$(peer_version "$1")/module"; }
