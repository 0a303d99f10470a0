#!/bin/sh
# shellcheck shell=dash
# In an emulated machine: the agent as a user runs it, with two pods behind veths and one policy between them.
agent=/programs/omnitide-agent
web=10.9.0.2 client=10.9.0.3

ok() { echo "ok      $1"; }
not_ok() { echo "FAILED  $1"; }
# check NAME COMMAND...: the command succeeds. refuse NAME COMMAND...: it does not.
check() {
  name=$1
  shift
  if "$@"; then ok "$name"; else not_ok "$name: $*"; fi
}
refuse() {
  name=$1
  shift
  if "$@"; then not_ok "$name: $*"; else ok "$name"; fi
}
within() { # SECONDS COMMAND...
  tries=$(($1 * 5))
  shift
  until "$@"; do
    tries=$((tries - 1))
    [ "$tries" -gt 0 ] || return 1
    sleep 0.2
  done
}

pod() { # NAME ADDRESS
  ip netns add "$1"
  ip link add "veth-$1" type veth peer name eth0 netns "$1"
  ip link set "veth-$1" up
  ip address add 10.9.0.1/32 dev "veth-$1"
  ip route add "$2/32" dev "veth-$1"
  ip -n "$1" link set lo up
  ip -n "$1" link set eth0 up
  ip -n "$1" address add "$2/32" dev eth0
  ip -n "$1" route add 10.9.0.1 dev eth0 scope link
  ip -n "$1" route add default via 10.9.0.1
}
asks() { [ "$(ip netns exec client curl -s -m 3 "http://$web:$1/page")" = here ]; } # PORT
node_asks() { [ "$(curl -s -m 3 "http://$web:$1/page")" = here ]; }
policy() { # PORT: the only one that the client may ask for
  cat >/tmp/policies/.new <<YAML
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: web, namespace: shop}
spec:
  podSelector: {matchLabels: {app: web}}
  policyTypes: [Ingress]
  ingress:
  - from: [{podSelector: {matchLabels: {app: client}}}]
    ports: [{port: $1}]
YAML
  mv /tmp/policies/.new /tmp/policies/policy.yaml
}
objects() {
  echo '{apiVersion: v1, kind: Namespace, metadata: {name: shop}}'
  for each in "web $web" "client $client"; do
    echo '---'
    echo "{apiVersion: v1, kind: Pod, metadata: {name: ${each% *}, namespace: shop, labels: {app: ${each% *}}}, \
spec: {nodeName: emulated}, status: {phase: Running, podIPs: [{ip: ${each#* }}]}}"
  done
}
start_agent() {
  "$agent" run --config /tmp/agent.yaml >>/tmp/agent.log 2>&1 &
  agent_pid=$!
}

hostname emulated
mkdir -p /tmp/policies /tmp/www /run/netns
echo here >/tmp/www/page
cat >/tmp/agent.yaml <<YAML
node: {name: emulated}
policy: {mode: enforce, directory: /tmp/policies}
http: {enabled: false}
YAML
echo 1 >/proc/sys/net/ipv4/ip_forward
pod web "$web"
pod client "$client"
for port in 80 81; do ip netns exec web httpd -p "$port" -h /tmp/www; done
check "without an agent every port answers (80)" within 10 asks 80
check "without an agent every port answers (81)" asks 81

"$agent" doctor --config /tmp/agent.yaml >/tmp/doctor 2>&1
doctor=$?
sed 's/^/  /' /tmp/doctor # its own lines begin with ok, too
check "doctor answers and finds the kernel good" test "$doctor" -le 1
check "doctor knows this kernel" grep -qF "Linux $(uname -r)" /tmp/doctor

objects >/tmp/policies/objects.yaml
policy 80
start_agent
check "the agent enforces the policy" within 30 "$agent" policy wait --timeout 10s
"$agent" policy status
"$agent" policy status | grep -oE 'tcx|clsact' | head -n 1 | sed 's/^/attached by /'
check "the allowed port answers" asks 80
refuse "the other one does not" asks 81
check "the node reaches its own pod" node_asks 81
policy 81
check "a change is enforced" "$agent" policy wait --timeout 10s
refuse "the port that was allowed is closed" asks 80
check "the port that was closed answers" asks 81
"$agent" flows --verdict dropped --last 5 >/tmp/flows
cat /tmp/flows
check "flows tell what was dropped" grep -q 'shop/client.*shop/web' /tmp/flows

kill -9 "$agent_pid"
wait "$agent_pid" 2>/dev/null
refuse "the policy holds without the agent (80)" asks 80
check "the policy holds without the agent (81)" asks 81
policy 80
start_agent
check "the next agent takes over" within 30 "$agent" policy wait --timeout 10s
check "and enforces what changed meanwhile" asks 80
refuse "in both directions" asks 81
kill -TERM "$agent_pid"
wait "$agent_pid"
check "the agent ends well" test $? -eq 0
check "detach takes everything away" "$agent" policy detach
check "afterwards every port answers" asks 81
tail -n 40 /tmp/agent.log
