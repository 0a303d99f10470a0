#!/usr/bin/env bash
# What Prometheus has of a cluster's agents: the overlay with the components for it is applied, a real Prometheus (Debian's) finds the
# agents of both nodes by the PodMonitor as its operator would write it out, with the token; samples bear the names of pods as cAdvisor's
# do; every query of the dashboard has data; no alert is wrong. Run by run.sh.
set -uo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)"
root="$(cd "$here/../../.." && pwd -P)"
# shellcheck source=tests/integration/checks.bash
source "$here/../checks.bash"
# shellcheck source=tests/integration/cluster/nodes.bash
source "$here/nodes.bash"
# shellcheck source=tests/integration/prometheus/dashboard.bash
source "$here/../prometheus/dashboard.bash"
image="${1:?the image}"
: "${OMNITIDE_CLUSTER:?}" "${OMNITIDE_CLUSTER_RUN:?}"
space=omnitide-system token=4f1d7c5e9a2b
work="$(mktemp -d)"
pids=()
finish() {
  for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null && wait "$pid" 2>/dev/null; done
  rm -rf -- "$work"
}
trap finish EXIT
for program in prometheus promtool mosquitto jq; do
  command -v $program >/dev/null || { echo "FAILED  needs $program (see .ci/lib/cluster.sh)" && exit 1; }
done

same() { [[ "$1" == "$2" ]] || { echo "\"$1\" is not \"$2\"" >&2 && return 1; }; }
api() { curl -sSfG --max-time 10 "http://127.0.0.1:9090/api/v1/$1" "${@:2}" 2>/dev/null; }
value() { api query --data-urlencode "query=$1" | jq -r '.data.result[0].value[1] // "none"'; }
is() { same "$(value "$1")" "$2"; }

# Only what the API server must know to take the objects: their own schemas are those of Prometheus Operator, and a test of its own
# (tests/integration/manifests) holds them against its types.
definitions() {
  local kind plural
  for kind in PodMonitor ServiceMonitor PrometheusRule; do
    plural="${kind,,}s"
    cat <<YAML
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: $plural.monitoring.coreos.com, annotations: {api-approved.kubernetes.io: "unapproved, a test"}}
spec:
  group: monitoring.coreos.com
  scope: Namespaced
  names: {kind: $kind, plural: $plural, singular: ${kind,,}}
  versions: [{name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}}]
YAML
  done
}

workload() {
  cat <<'YAML'
apiVersion: v1
kind: Pod
metadata: {name: busy, namespace: shop}
spec:
  nodeName: node-1
  terminationGracePeriodSeconds: 0
  automountServiceAccountToken: false
  containers:
  - name: server
    image: localhost/agnhost:1
    imagePullPolicy: Never
    args: [netexec, --http-port=8080, --udp-port=-1]
    resources: {limits: {cpu: 20m}}
  - {name: sidecar, image: "localhost/agnhost:1", imagePullPolicy: Never, args: [netexec, --http-port=8081, --udp-port=-1]}
---
apiVersion: v1
kind: Pod
metadata: {name: client, namespace: shop}
spec:
  nodeName: node-2
  dnsPolicy: None
  dnsConfig: {nameservers: [192.0.2.53]} # nobody answers there
  terminationGracePeriodSeconds: 0
  automountServiceAccountToken: false
  containers:
  - {name: main, image: "localhost/agnhost:1", imagePullPolicy: Never, args: [netexec, --http-port=8080, --udp-port=-1]}
YAML
}

# The pods of the namespace as Prometheus itself finds them (kubernetes_sd_configs, role pod). Debian's is built without that.
targets() {
  kubectl -n $space get pods -o json | jq '[.items[] | . as $pod | .spec.containers[] | . as $container | .ports[]? |
    {targets: [$pod.status.podIP + ":" + (.containerPort | tostring)],
     labels: ({"__meta_kubernetes_namespace": $pod.metadata.namespace, "__meta_kubernetes_pod_name": $pod.metadata.name,
       "__meta_kubernetes_pod_node_name": $pod.spec.nodeName, "__meta_kubernetes_pod_container_name": $container.name,
       "__meta_kubernetes_pod_container_port_name": (.name // "")}
      + ($pod.metadata.labels | with_entries(.key |= "__meta_kubernetes_pod_label_" + gsub("[^a-zA-Z0-9]"; "_"))))}]'
}

# The PodMonitor as Prometheus Operator writes it into the configuration, as far as ours goes.
scrape_config() {
  kubectl -n $space get podmonitor omnitide-agent -o json | jq --arg targets "$work/targets.json" --arg token $token '
    .spec as $spec | .metadata.namespace as $space | $spec.podMetricsEndpoints[0] as $endpoint
    | {job_name: ("podMonitor/" + $space + "/" + .metadata.name + "/0"), honor_labels: ($endpoint.honorLabels // false), scrape_interval: "1s", scrape_timeout: "1s",
       metrics_path: $endpoint.path, scheme: $endpoint.scheme, authorization: {type: $endpoint.authorization.type, credentials: $token},
       file_sd_configs: [{files: [$targets]}],
       relabel_configs: (
         [$spec.selector.matchLabels | to_entries[] | {action: "keep", source_labels: ["__meta_kubernetes_pod_label_" + (.key | gsub("[^a-zA-Z0-9]"; "_"))], regex: .value},
          {action: "keep", source_labels: ["__meta_kubernetes_pod_container_port_name"], regex: $endpoint.port},
          {source_labels: ["__meta_kubernetes_namespace"], target_label: "namespace"},
          {source_labels: ["__meta_kubernetes_pod_container_name"], target_label: "container"},
          {source_labels: ["__meta_kubernetes_pod_name"], target_label: "pod"},
          {target_label: "endpoint", replacement: $endpoint.port},
          {source_labels: ["__meta_kubernetes_pod_label_" + ($spec.jobLabel | gsub("[^a-zA-Z0-9]"; "_"))], target_label: "job", regex: "(.+)"}]
         + [$endpoint.relabelings[] | with_entries(.key |= gsub("(?<c>[A-Z])"; "_" + (.c | ascii_downcase)))])}'
}

set_up() {
  "$OMNITIDE_CLUSTER" load "$image" >/dev/null || exit 1
  definitions | kubectl apply -f - >/dev/null
  cp -r "$root/manifests/kustomize" "$root/manifests/crds" "$root/manifests/dashboards" "$work/"
  sed -i 's|^images:|components: [../../components/metrics, ../../components/pod-monitor, ../../components/service-monitor, ../../components/alerts, ../../../dashboards]\nimages:|' \
    "$work/kustomize/overlays/local/kustomization.yaml"
  printf 'telemetry:\n  brokers: ["mqtt://172.30.0.1:1883"]\n  sparkplug: {interval: 1s}\n' >>"$work/kustomize/base/10-kubernetes.yaml"
  printf 'listener 1883 172.30.0.1\nallow_anonymous true\n' >"$work/mosquitto.conf"
  mosquitto -c "$work/mosquitto.conf" >"$work/mosquitto.log" 2>&1 &
  pids+=("$!")
  kubectl create namespace $space >/dev/null
  kubectl create namespace shop >/dev/null
  kubectl -n $space create secret generic omnitide-agent-metrics --from-literal=token=$token >/dev/null
  workload | kubectl apply -f - >/dev/null
  kubectl wait --for=condition=Established crd podmonitors.monitoring.coreos.com prometheusrules.monitoring.coreos.com --timeout=20s >/dev/null
  check "the overlay with all components is taken" kubectl apply -k "$work/kustomize/overlays/local"
  check "agents rolled out" kubectl -n $space rollout status ds/omnitide-agent --timeout=90s
  check "pods start" kubectl -n shop wait --for=condition=Ready pods --all --timeout=60s
  check "the Service names both agents" same "$(kubectl -n $space get endpoints omnitide-agent-metrics -o json | jq '[.subsets[].addresses[]] | length')" 2
  kubectl -n $space get prometheusrule omnitide-agent -o json | jq '.spec' >"$work/rules.json"
  check "the rules are good ones as the cluster has them" promtool check rules "$work/rules.json"
  targets >"$work/targets.json"
  check "both agents are found by their pods" jq -e 'length == 2' "$work/targets.json"
  scrape_config | jq --arg rules "$work/rules.json" '{global: {evaluation_interval: "1s"}, rule_files: [$rules], scrape_configs: [.]}' >"$work/prometheus.json"
  check "the PodMonitor is a good configuration" promtool check config "$work/prometheus.json"
  check "it has something to scrape" jq -e '.scrape_configs | length == 1' "$work/prometheus.json"
  prometheus --config.file="$work/prometheus.json" --storage.tsdb.path="$work/tsdb" --web.listen-address=127.0.0.1:9090 >"$work/prometheus.log" 2>&1 &
  pids+=("$!")
}

# A container with a CPU limit, connections between nodes, some of them to a port where nobody listens, questions to a name server
# that is none, and one process that is killed for nothing.
traffic() {
  local address
  address="$(kubectl -n shop get pod busy -o 'jsonpath={.status.podIP}')"
  while true; do
    for _ in 1 2 3 4 5; do kubectl -n shop exec client -- /agnhost connect "$address:8080" --timeout=1s --protocol=tcp; done
    kubectl -n shop exec client -- /agnhost connect "$address:7" --timeout=1s --protocol=tcp
    kubectl -n shop exec client -- /agnhost connect nobody.example:80 --timeout=1s --protocol=tcp
    for _ in 1 2 3 4 5; do kubectl -n shop exec busy -c server -- /agnhost connect 127.0.0.1:8081 --timeout=1s --protocol=tcp; done
    kubectl -n shop exec busy -c sidecar -- /agnhost connect 127.0.0.1:8080 --timeout=1s --protocol=tcp # else it started nothing since the agent did
  done >/dev/null 2>&1
}

# By the node's hierarchy of cgroup v2, wherever the node has it.
all_collectors() { agent "$1" status -o json | jq -e '.parts[] | select(.name == "ebpf-metrics") | .state == "PART_STATE_ON" and (.reason | test(" off: ") | not)' >/dev/null; }
delivers() { agent "$1" policy status -o json | jq -e '.localDelivery // "" | . == ""' >/dev/null; }

names() {
  local node
  for node in 1 2; do
    check "node $node: no collector by eBPF is off" within 10 all_collectors $node
    check "node $node: what pods send to the node itself is judged" within 10 delivers $node
  done
  check "Prometheus scrapes both nodes" within 30 is 'sum(up{job="omnitide-agent"})' 2
  check "a target is its node" is 'count(up{job="omnitide-agent", instance="node-1", node="node-1", pod="", container=""})' 1
  check "nobody without the token" same "$(on_node 2 curl -s -o /dev/null -w '%{http_code}' http://172.30.0.11:9797/metrics)" 401
  local container
  for container in server sidecar; do
    check "the container $container has its own values, with names" within 20 is \
      "count(count by (namespace, pod, container) (omnitide_process_starts_total{instance=\"node-1\", namespace=\"shop\", pod=\"busy\", container=\"$container\"}))" 1
  done
  check "of the other node only its own" is 'count(omnitide_process_starts_total{pod="busy", instance="node-2"}) or vector(0)' 0
  check "container_id is that of the API" same \
    "$(api query --data-urlencode 'query=omnitide_process_starts_total{pod="busy", container="server"}' | jq -r '.data.result[0].metric.container_id')" \
    "$(kubectl -n shop get pod busy -o json | jq -r '.status.containerStatuses[] | select(.name == "server") | .containerID | sub(".*://"; "")')"
  check "a cgroup without a pod has no names, those of the agent neither" is \
    'count(omnitide_process_starts_total{cgroup="other", pod=~".+"} or omnitide_process_starts_total{cgroup="other", namespace=~".+"}) or vector(0)' 0
  check "cAdvisor's labels join" within 20 has_value 'sum by (namespace, pod, container) (omnitide_tcp_connections_total{container="server"})'
}
has_value() { local got && got="$(value "$1")" && [[ -n "$got" && "$got" != none ]]; }

ends_of_pods() {
  local id
  id="$(kubectl -n shop get pod busy -o json | jq -r '.status.containerStatuses[0].containerID | sub(".*://"; "")')"
  kubectl -n shop delete pod busy --wait=true >/dev/null
  sleep 3
  check "the values of a pod that is gone count under \"other\"" within 20 is "count(omnitide_process_starts_total{container_id=\"$id\"}) or vector(0)" 0
}

quiet() {
  sleep 2
  check "no rule is wrong" same "$(api rules | jq -r '[.data.groups[].rules[] | select(.health != "ok") | .name] | join(" ")')" ""
  check "no alert of a failed part, a held policy or a lost agent" same \
    "$(api rules | jq -r '[.data.groups[].rules[] | select(.alerts | length > 0) | .name] | unique | map(select(test("PartFailed|NotApplied|AgentDown|AgentsAbsent|ModesDiffer|Exhausted|SpoolReadOnly"))) | join(" ")')" ""
}

set_up
traffic &
pids+=("$!")
names
check_dashboard cluster 25
quiet
ends_of_pods
kubectl delete -k "$work/kustomize/overlays/local" --wait=true --timeout=90s >/dev/null
echo "$passed passed, $failed failed"
[[ $failed -eq 0 ]]
