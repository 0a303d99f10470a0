#!/usr/bin/env bash
# Kubernetes' own end-to-end tests of NetworkPolicy, of the cluster's version: what it expects of whoever enforces. Not those that need SCTP
# sockets (and say so by a feature of their own): the kernel has to have them. Arguments: the image of ./dev image, the program of ./netpol,
# and what Ginkgo shall focus on (default: all). Run by run.sh.
set -uo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)"
root="$(cd "$here/../../.." && pwd -P)"
# shellcheck source=tests/integration/checks.bash
source "$here/../checks.bash"
# shellcheck source=tests/integration/cluster/nodes.bash
source "$here/nodes.bash"
image="${1:?the image}" program="$(readlink -f "${2:?the tests}")" focus="${3:-NetworkPolicy}"
: "${OMNITIDE_CLUSTER:?}" "${OMNITIDE_CLUSTER_RUN:?}"


set_up() {
  local node tests_image
  "$OMNITIDE_CLUSTER" load "$image" >/dev/null || exit 1
  # The tests take their image from a registry of a name that a variable sets; the cluster has it already.
  tests_image="localhost/agnhost:$("$program" --list-images 2>/dev/null | sed -n 's|^localhost/agnhost:||p' | head -n 1)"
  for node in 1 2; do
    on_node $node ctr -a "$OMNITIDE_CLUSTER_RUN/node-$node/containerd.sock" -n k8s.io images tag localhost/agnhost:1 "$tests_image" >/dev/null || exit 1
  done
  kubectl apply -k "$root/manifests/kustomize/overlays/local" >/dev/null 2>&1
  check "agents rolled out" kubectl -n omnitide-system rollout status ds/omnitide-agent --timeout=90s
  for node in 1 2; do check "node $node follows the API server and enforces" within 30 policy_ready $node; done
}

export KUBE_TEST_REPO_LIST
KUBE_TEST_REPO_LIST="$(mktemp)"
echo 'promoterE2eRegistry: localhost' >"$KUBE_TEST_REPO_LIST"
log="$(mktemp)"
trap 'rm -f -- "$KUBE_TEST_REPO_LIST" "$log"' EXIT

set_up
timeout 3000 "$program" --kubeconfig "$OMNITIDE_CLUSTER_RUN/admin.conf" --provider=local --num-nodes=2 --ginkgo.no-color \
  --ginkgo.focus="$focus" --ginkgo.skip='SCTPConnectivity' >"$log" 2>&1
code=$?
# One line for each case; all that a failed one said.
awk '/^• \[FAILED\]|^\[FAIL\]/ { print }' "$log"
summary="$(sed -n 's/^Ran \(.*\)$/\1/p' "$log") $(sed -n 's/^\(SUCCESS\|FAIL\)! -- \(.*\)/\2/p' "$log")"
if [[ $code -eq 0 && $summary == *Passed* ]]; then
  ok "Kubernetes' own tests of NetworkPolicy: $summary"
else
  not_ok "Kubernetes' own tests of NetworkPolicy: $summary" "$(tail -n 40 "$log")"
fi
echo "$passed passed, $failed failed"
[[ $failed -eq 0 ]]
