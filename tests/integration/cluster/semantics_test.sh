#!/usr/bin/env bash
# What the words of a NetworkPolicy mean, on a real cluster, where implementations differ: protocols and ranges of ports, named ports,
# blocks with exceptions, through Services too. Each for IPv4 and IPv6, from pods of both nodes. SCTP: connections need a kernel that has
# it; here only that it opens nothing else. Arguments: the image of ./dev image, then parts of this test; all of them without. Run by run.sh.
set -uo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)"
root="$(cd "$here/../../.." && pwd -P)"
# shellcheck source=tests/integration/checks.bash
source "$here/../checks.bash"
# shellcheck source=tests/integration/cluster/nodes.bash
source "$here/nodes.bash"
image="${1:?the image}" parts=("${@:2}")
[[ ${#parts[@]} -gt 0 ]] || parts=(protocols named_ports blocks)
: "${OMNITIDE_CLUSTER:?}" "${OMNITIDE_CLUSTER_RUN:?}"
declare -A address process
patience=5

# A server: TCP 8080 to 8083 by porter, UDP 8081 by netexec. `web` is 8080 on node 1, 8082 on node 2.
server() { # NAME NODE
  local port
  cat <<YAML
---
apiVersion: v1
kind: Pod
metadata: {name: $1, namespace: shop, labels: {app: server, name: $1}}
spec:
  nodeName: node-$2
  terminationGracePeriodSeconds: 0
  automountServiceAccountToken: false
  containers:
  - name: ports
    image: localhost/agnhost:1
    imagePullPolicy: Never
    args: [porter]
    env:
$(for port in 8080 8081 8082 8083; do echo "    - {name: SERVE_PORT_$port, value: ok}"; done)
    ports: [{name: web, containerPort: $((8078 + 2 * $2))}, {name: udp-web, containerPort: 8083, protocol: UDP}]
  - name: main
    image: localhost/agnhost:1
    imagePullPolicy: Never
    args: [netexec, --http-port=9090, --udp-port=8081]
YAML
}
client() { # NAME NODE LABEL
  cat <<YAML
---
apiVersion: v1
kind: Pod
metadata: {name: $1, namespace: shop, labels: {app: $3, name: $1}}
spec:
  nodeName: node-$2
  terminationGracePeriodSeconds: 0
  automountServiceAccountToken: false
  containers:
  - {name: main, image: 'localhost/agnhost:1', imagePullPolicy: Never, args: [pause]}
YAML
}
service() { # NAME SELECTOR
  cat <<YAML
---
apiVersion: v1
kind: Service
metadata: {name: $1, namespace: shop}
spec: {ipFamilyPolicy: PreferDualStack, selector: {$2}, ports: [{port: 80, targetPort: 8080}]}
YAML
}
# A policy named NAME for pods of SELECTOR; the rest is what its spec has beside, on stdin. In the place of the one before.
policy() { # SELECTOR
  {
    printf '%s\n' 'apiVersion: networking.k8s.io/v1' 'kind: NetworkPolicy' 'metadata: {name: tested, namespace: shop}' 'spec:' "  podSelector: {matchLabels: {$1}}"
    sed 's/^/  /'
  } | kubectl apply -f - >/dev/null
}
no_policy() { kubectl -n shop delete networkpolicy --all >/dev/null; }

find_pod() { # NAME NODE
  local pid
  read -r "address[${1}4]" "address[${1}6]" < <(kubectl -n shop get pod "$1" -o 'jsonpath={.status.podIPs[*].ip}{"\n"}')
  for pid in $(on_node "$2" ctr -a "$OMNITIDE_CLUSTER_RUN/node-$2/containerd.sock" -n k8s.io tasks ls | awk 'NR > 1 { print $2 }'); do
    if nsenter -t "$pid" -n ip -4 -o addr show 2>/dev/null | grep -q "${address[${1}4]}/"; then process[$1]=$pid; fi
  done
  [[ -n ${process[$1]:-} ]]
}
ask() { # CLIENT tcp|udp ADDRESS PORT: as the pod
  local inside=(-t "${process[$1]}" -n)
  # shellcheck disable=SC2016  # of the inner shell
  if [[ $2 == tcp ]]; then
    timeout 1 nsenter "${inside[@]}" bash -c 'exec 3<>"/dev/tcp/$0/$1"' "$3" "$4" 2>/dev/null
  else
    timeout 1 nsenter "${inside[@]}" bash -c 'exec 3<>"/dev/udp/$0/$1" && echo hostname >&3 && read -r -n 1 -t 0.8 <&3' "$3" "$4" 2>/dev/null
  fi
}
refused() { ! ask "$@"; }
settled() { # WHAT COMMAND...: soon, and still so a moment later
  check "$1" eval "within $patience ${*:2} && ${*:2}"
}
passes() { both ask "$@"; }
drops() { both refused "$@"; }
both() { # ask|refused CLIENT PROTOCOL SERVER PORT: by both families; `service:NAME` for a Service
  local family how=passes
  [[ $1 == ask ]] || how='does not pass'
  for family in 4 6; do
    settled "$what: $2 to $4 port $5 by $3, IPv$family: $how" "$1" "$2" "$3" "${address[$4$family]}" "$5"
  done
}

set_up() {
  local node each
  "$OMNITIDE_CLUSTER" load "$image" >/dev/null || exit 1
  kubectl create namespace shop >/dev/null
  {
    for node in 1 2; do server server$node $node && client client$node $node client; done
    client stranger 2 stranger
    service one 'name: server1' && service two 'name: server2'
  } | kubectl apply -f - >/dev/null
  kubectl apply -k "$root/manifests/kustomize/overlays/local" >/dev/null 2>&1
  check "pods start" kubectl -n shop wait --for=condition=Ready pods --all --timeout=90s
  check "agents rolled out" kubectl -n omnitide-system rollout status ds/omnitide-agent --timeout=90s
  for each in server1:1 server2:2 client1:1 client2:2 stranger:2; do find_pod "${each%:*}" "${each#*:}" || not_ok "no process of $each"; done
  for each in one two; do
    read -r "address[service:${each}4]" "address[service:${each}6]" < <(kubectl -n shop get service $each -o 'jsonpath={.spec.clusterIPs[*]}{"\n"}')
  done
}

protocols() {
  what="UDP 8081 alone"
  policy 'app: server' <<'YAML'
ingress: [{from: [{podSelector: {matchLabels: {app: client}}}], ports: [{port: 8081, protocol: UDP}]}]
YAML
  passes client1 udp server2 8081
  drops client1 tcp server2 8081
  drops stranger udp server2 8081
  what="TCP 8081 alone"
  policy 'app: server' <<'YAML'
ingress: [{from: [{podSelector: {matchLabels: {app: client}}}], ports: [{port: 8081}]}]
YAML
  passes client2 tcp server1 8081
  drops client2 udp server1 8081
  what="all of UDP"
  policy 'app: server' <<'YAML'
ingress: [{ports: [{protocol: UDP}]}]
YAML
  passes stranger udp server1 8081
  drops client1 tcp server2 8080
  what="SCTP 8080 alone"
  policy 'app: server' <<'YAML'
ingress: [{ports: [{port: 8080, protocol: SCTP}]}]
YAML
  drops client2 tcp server1 8080
  what="a range of ports"
  policy 'app: server' <<'YAML'
ingress: [{ports: [{port: 8081, endPort: 8082}]}]
YAML
  drops client1 tcp server2 8080
  passes client1 tcp server2 8081
  passes client1 tcp server2 8082
  drops client1 tcp server2 8083
}

named_ports() {
  what="a named port, for egress of each server's own number"
  policy 'app: client' <<'YAML'
policyTypes: [Egress]
egress: [{ports: [{port: web}]}]
YAML
  passes client1 tcp server1 8080
  passes client1 tcp server2 8082
  drops client1 tcp server1 8082
  drops client2 tcp server2 8080
  what="a named port of another protocol"
  policy 'app: client' <<'YAML'
policyTypes: [Egress]
egress: [{ports: [{port: udp-web, protocol: TCP}]}]
YAML
  drops client1 tcp server2 8083
  kubectl -n shop delete networkpolicy tested >/dev/null
}

blocks() {
  what="a block with an exception"
  policy 'app: server' <<YAML
ingress:
- from:
  - ipBlock: {cidr: 10.244.0.0/16, except: [${address[client24]}/32]}
  - ipBlock: {cidr: 'fd00:10:244::/48', except: ['${address[client26]}/128']}
YAML
  passes client1 tcp server2 8080
  drops client2 tcp server1 8080
  what="an exception that another block lets in"
  policy 'app: server' <<YAML
ingress:
- from:
  - ipBlock: {cidr: 10.244.0.0/16, except: [${address[client24]}/32]}
  - ipBlock: {cidr: ${address[client24]}/32}
  - ipBlock: {cidr: 'fd00:10:244::/48', except: ['${address[client26]}/128']}
  - ipBlock: {cidr: '${address[client26]}/128'}
YAML
  passes client2 tcp server1 8080
  no_policy
  what="egress to a block with an exception, through a Service"
  policy 'app: client' <<YAML
policyTypes: [Egress]
egress:
- to:
  - ipBlock: {cidr: 10.244.0.0/16, except: [${address[server24]}/32]}
  - ipBlock: {cidr: 'fd00:10:244::/48', except: ['${address[server26]}/128']}
YAML
  for node in 1 2; do
    passes client$node tcp service:one 80
    drops client$node tcp service:two 80
  done
  what="egress to the Services' own block, judged behind it"
  policy 'app: client' <<'YAML'
policyTypes: [Egress]
egress: [{to: [{ipBlock: {cidr: 10.96.0.0/16}}, {ipBlock: {cidr: 'fd00:10:96::/112'}}]}]
YAML
  drops client1 tcp service:two 80
  no_policy
}

set_up
for each in "${parts[@]}"; do "$each"; done
echo "$passed passed, $failed failed"
[[ $failed -eq 0 ]]
