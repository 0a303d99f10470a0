# shellcheck shell=bash
# ./dev test --cluster: the tests that need a real Kubernetes, started on this machine by the scripts in OMNITIDE_SHARED.
# Its programs are built by Go once, and kept in OMNITIDE_CLUSTER_BIN (default: a cache folder of the user).

CLUSTER_PACKAGES=(containerd runc containernetworking-plugins conntrack nftables iproute2 openssl curl util-linux procps gcc
  libc6-dev jq bpftool bsdextrautils prometheus mosquitto)

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

# cluster_tests [ARGUMENTS...]: without any all of them; else they go to the program that tests the client (names of tests).
# OMNITIDE_HELM: helm, which is no Debian package; without it what needs it fails. OMNITIDE_OUTAGE_SECONDS: how long the API server is
# away under traffic (30; 300 is the long form).
cluster_tests() {
  local shared file passed=0 failed=0 image="$ROOT/build/image/omnitide-agent.oci.tar"
  [[ "$(id -u)" == 0 ]] || fail "--cluster makes network and mount namespaces: it needs root"
  shared="$(readlink -m "${OMNITIDE_SHARED:-$ROOT/../shared}")"
  for file in cluster/cluster cluster/oci-image cluster/go.mod crds/clusternetworkpolicies.yaml crds/node-feature-discovery.yaml; do
    [[ -e "$shared/$file" ]] || fail "$shared/$file is missing: OMNITIDE_SHARED names the folder that has it"
  done
  command -v go >/dev/null || fail "go is missing: the cluster's programs are built with Go 1.26"
  need_packages "${BUILD_PACKAGES[@]}" catch2 "${CLUSTER_PACKAGES[@]}"
  build test tests_integration_cluster cluster_prober
  step "Programs of the cluster (about 6 minutes when they are not there yet)"
  "$shared/cluster/cluster" build || fail "the cluster's programs cannot be built"
  OMNITIDE_AUDIT_DIR="$(mktemp -d)"
  export OMNITIDE_AUDIT_DIR
  one_cluster "client" build/test/bin/tests_integration_cluster "$@"
  if [[ $# -eq 0 ]]; then
    command_image
    one_cluster "delivery" tests/integration/cluster/delivery_test.sh "$image" "${OMNITIDE_HELM:-}"
    one_cluster "policy" tests/integration/cluster/policy_test.sh "$image"
    one_cluster "semantics" tests/integration/cluster/semantics_test.sh "$image"
    one_cluster "kubectl plugin" tests/integration/cluster/plugin_test.sh "$image"
    one_cluster "new pods, bridge" tests/integration/cluster/cni_test.sh "$image"
    # The oldest version that the plugin speaks, too.
    OMNITIDE_CLUSTER_CNI=ptp OMNITIDE_CNI_VERSION=0.3.1 one_cluster "new pods, ptp" tests/integration/cluster/cni_test.sh "$image"
    OMNITIDE_OUTAGE_SECONDS="${OMNITIDE_OUTAGE_SECONDS:-30}" one_cluster "outage" tests/integration/cluster/outage_test.sh "$image" \
      build/test/bin/cluster_prober
    one_cluster "monitoring" tests/integration/cluster/monitoring_test.sh "$image"
    foreign_objects
    one_cluster "conditions" tests/integration/cluster/conditions_test.sh "$image"
    # Without WatchList, so that lists are used as on older servers.
    OMNITIDE_APISERVER_ARGS=--feature-gates=WatchList=false one_cluster "node" tests/integration/cluster/node_test.sh "$image"
    rights "$OMNITIDE_AUDIT_DIR"
  fi
  rm -rf -- "$OMNITIDE_AUDIT_DIR"
  note "$passed passed, $failed failed"
  [[ $failed -eq 0 ]]
}
