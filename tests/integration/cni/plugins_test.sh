#!/usr/bin/env bash
# omnitide-cni behind the CNI plugins bridge and ptp, called by hand as a container runtime calls them: with and without an agent, each
# version of the specification that those two speak. Needs root, containernetworking-plugins, gcc.
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)"
# shellcheck source=tests/bench/measure.bash
. "$here/../../bench/measure.bash"
# shellcheck source=tests/bench/policy_node.bash
. "$here/../../bench/policy_node.bash"
# shellcheck source=tests/integration/checks.bash
. "$here/../checks.bash"
enter_namespaces "$@"
talkers=() # processes of pods and of the node
quiet() {
  local each
  for each in "${talkers[@]}"; do end_process "$each"; done
  talkers=()
}
trap 'quiet; leave_namespaces' EXIT
need gcc jq
plugins=/usr/lib/cni plugin="$BIN/omnitide-cni"
[[ -x $plugins/bridge && -x $plugins/ptp ]] || die "needs the package containernetworking-plugins"
[[ -x $plugin ]] || die "$plugin is missing"
gcc -Wall -Os -o "$scratch/chatter" "$here/../cluster/chatter.c"
export CNI_PATH=$plugins
absent=closed

# settings VERSION: of our plugin. Nobody listens at the socket, and so nobody waits long for it.
settings() {
  jq -nc --arg version "$1" --arg pins "$scratch/bpf/agent" --arg absent "$absent" --arg socket "$scratch/cni.sock" \
    '{cniVersion: $version, name: "pods", type: "omnitide-cni", socket: $socket, pins: $pins, absent: $absent, timeoutSeconds: 1}'
}
# first KIND VERSION: the plugin that makes the interface.
first() {
  jq -nc --arg kind "$1" --arg version "$2" --arg data "$scratch/ipam-$1" '{cniVersion: $version, name: "pods", type: $kind,
    ipam: {type: "host-local", dataDir: $data, ranges: [[{subnet: "10.9.0.0/24"}]], routes: [{dst: "0.0.0.0/0"}]}} +
    (if $kind == "bridge" then {bridge: "cni0", isGateway: true} else {} end)'
}
# call COMMAND POD PROGRAM < CONFIGURATION
call() {
  CNI_COMMAND=$1 CNI_CONTAINERID="$2" CNI_NETNS="/run/netns/$2" CNI_IFNAME=eth0 \
    CNI_ARGS="IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=$2" run_in node "$3"
}
behind() { settings "$1" | jq -c --argjson previous "$2" '. + {prevResult: $previous}'; } # VERSION RESULT

# add KIND VERSION POD: both, and what ours gave. Sets result and address.
add() {
  ip netns add "$3"
  result="$(first "$1" "$2" | call ADD "$3" "$plugins/$1")"
  behind "$2" "$result" | call ADD "$3" "$plugin" >"$scratch/passed" 2>"$scratch/said"
  address="$(jq -r '.ips[0].address | split("/")[0]' <<<"$result")"
}
remove() { # KIND VERSION POD
  settings "$2" | call DEL "$3" "$plugin"
  first "$1" "$2" | call DEL "$3" "$plugins/$1"
  ip netns del "$3"
}

passed_on() { [[ "$(jq -S . "$scratch/passed")" == "$(jq -S . <<<"$result")" ]]; }

listen() { # the node hears what comes to the pods' gateway
  nsenter --net=/run/netns/node "$scratch/chatter" sink >"$scratch/heard" &
  talkers+=("$!")
}
speak() { # POD: from now on
  nsenter --net="/run/netns/$1" "$scratch/chatter" send 60 10.9.0.1 >/dev/null &
  talkers+=("$!")
}
heard() { grep -qxF "udp $address" "$scratch/heard"; }
unheard() { ! grep -qF "$address" "$scratch/heard"; }
code() { jq -r .code <"$scratch/answer"; }
refused() { # CODE < CONFIGURATION
  ! call ADD none "$plugin" >"$scratch/answer" && [[ "$(code)" == "$1" ]]
}
no_guards() { [[ -z "$(find "$scratch/bpf/agent/closed" -type f 2>/dev/null)" ]]; }

write_pod() { # NAME ADDRESS: an object that allows everything
  printf 'apiVersion: v1\nkind: Pod\nmetadata: {name: %s, namespace: shop}\nspec: {nodeName: here}\nstatus: {podIP: %s}\n' \
    "$1" "$2" >"$scratch/agent/policy/$1.yaml"
}

protocol() {
  settings 1.0.0 >"$scratch/settings"
  check "VERSION" jq -e '.supportedVersions == ["0.3.1", "0.4.0", "1.0.0", "1.1.0"]' < <(CNI_COMMAND=VERSION "$plugin" <"$scratch/settings")
  check "ADD without a result before it: 7" refused 7 <"$scratch/settings"
  check "an unknown version: 1" refused 1 < <(jq -c '.cniVersion = "0.2.0"' "$scratch/settings")
  check "no JSON: 6" refused 6 <<<'{"cniVersion"'
  check "input without end: 5" refused 5 < <(head -c 1100000 /dev/zero)
}

with_plugin() { # KIND VERSION
  local kind=$1 version=$2 what="$1 $2"
  add_node node
  listen
  absent=open
  add "$kind" "$version" open1
  check "$what, absent is open: the result is passed on" passed_on
  speak open1
  check "$what, absent is open: heard" within 5 heard
  absent=closed
  add "$kind" "$version" closed1
  check "$what: the result is passed on" passed_on
  speak closed1
  sleep 1
  check "$what, without an agent: nothing passes" unheard
  [[ $version == 0.3.1 ]] || check "$what: CHECK" call CHECK closed1 "$plugin" < <(behind "$version" "$result")
  start_policy_agent node agent
  policy_wait agent
  sleep 1
  check "$what, an agent that knows nothing of it: nothing passes" unheard
  check "$what: the agent has taken the guards over" no_guards
  write_pod closed1 "$address"
  check "$what, a pod that is known: heard" within 10 heard
  add "$kind" "$version" closed2
  speak closed2
  sleep 1
  check "$what, an agent that runs: nothing passes before the pod is known" unheard
  write_pod closed2 "$address"
  check "$what, an agent that runs: then it is heard" within 10 heard
  [[ $version == 0.3.1 ]] || check "$what: CHECK of a judged pod" call CHECK closed2 "$plugin" < <(behind "$version" "$result")
  stop_policy_agent
  add "$kind" "$version" closed3
  settings "$version" | call DEL closed3 "$plugin"
  check "$what: DEL takes nothing from a pod that lives" test "$(find "$scratch/bpf/agent/closed" -type f | wc -l)" = 2
  remove "$kind" "$version" closed3
  settings "$version" | call DEL closed3 "$plugin"
  check "$what: DEL again, of what is gone, leaves no pin" no_guards
  detach_policy agent
  check "$what: detached, no pin is left" test -z "$(find "$scratch/bpf" -mindepth 1 -type f ! -name '*.debug')"
  quiet
  for pod in open1 closed1 closed2; do remove "$kind" "$version" "$pod"; done
  ip netns del node
  rm -rf "$scratch/agent" "$scratch/ipam-$kind"
  rmdir "$cgroup/agent"
}

add_node node
protocol
ip netns del node
for kind in bridge ptp; do
  for version in 0.3.1 1.0.0; do with_plugin $kind $version; done
done
echo "$passed passed, $failed failed"
[[ $failed -eq 0 ]]
