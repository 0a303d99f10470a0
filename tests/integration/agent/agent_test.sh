#!/usr/bin/env bash
# The agent as its user runs it, against a real registry: join, renewal and re-join under kill -9, offline changes, a
# cloned disk, a full disk, damaged files, one agent a node. Needs root (a veth, a tmpfs); says so and fails without.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"

[ "$(id -u)" = 0 ] || { echo "FAILED  needs root for a veth and a tmpfs"; exit 1; }
"$registry" init --dir "$work/registry" >/dev/null || exit 1
start_registry --certificate-lifetime 8s --heartbeat-interval 1s
within 10 curl -sk -o /dev/null "https://127.0.0.1:$port/healthz" || { cat "$work/registry.log"; exit 1; }

# --- joining
configure a "$(new_token 1)"
for round in 1 2 3 4 5 6 7 8 9 10; do # killed at another moment each time, from before the key to after the join
  start_agent a
  sleep "0.0$((round * 9 % 10))$round"
  stop_agent 9 "$agent_pid"
done
start_agent a
a_pid=$agent_pid
check "joins after ten kills during the join" within 15 is_state a registered
id=$(status a | jq -r .nodeId)
check "ten kills made one node" [ "$(operator GET /v1/nodes | jq '.items | length')" = 1 ]
check "and took one use of the token" [ "$(operator GET /v1/tokens | jq '.items[0].used')" = 1 ]
check "the key is the owner's alone" [ "$(stat -c %a "$work/a/state/identity/node.key")" = 600 ]
check "the registry holds the facts as sent" \
  [ "$(node_field "$id" .factsSha256 | base64 -d | od -An -tx1 | tr -d ' \n')" = "$(status a | jq -r .factsSha256)" ]

# --- one agent a node
"$agent" run --config-dir "$work/none" --config "$work/a/agent.yaml" >"$work/second.log" 2>&1
check "a second agent exits 3" [ $? = 3 ]
check "and says who holds the lock" grep -q "process $a_pid" "$work/second.log"

# --- events
before=$(status a | jq -r .factsSha256)
facts_changed() { [ "$(status a | jq -r .factsSha256)" != "$before" ]; }
# Up to three tries: a machine that is busy elsewhere may take longer than a second for anything, but not three times.
veth_is_seen() {
  for _ in 1 2 3; do
    before=$(status a | jq -r .factsSha256)
    ip link add "$veth"0 type veth peer name "$veth"1 || return 1
    within 1 facts_changed && return 0
    ip link del "$veth"0
    sleep 2
  done
  return 1
}
check "a new veth is in the facts within a second" veth_is_seen
registry_has_facts() { [ "$(node_field "$id" .factsSha256 | base64 -d | od -An -tx1 | tr -d ' \n')" = "$(status a | jq -r .factsSha256)" ]; }
check "and at the registry soon after" within 3 registry_has_facts

# --- renewal
serial() { openssl x509 -noout -serial -in "$work/a/state/identity/node.crt"; }
first=$(serial)
renewed() { [ "$(serial)" != "$first" ]; }
check "the certificate is renewed before its end" within 9 renewed
for round in 1 2 3 4 5 6 7 8; do # over renewals at about 5 s of 8
  stop_agent 9 "$a_pid"
  start_agent a
  a_pid=$agent_pid
  sleep "$((round % 3)).$((round * 37 % 10))"
done
check "registered after eight kills around renewals" within 10 is_state a registered
check "as the same node" [ "$(status a | jq -r .nodeId)" = "$id" ]

# --- re-join by the old key
stop_agent TERM "$a_pid"
check "SIGTERM ends it cleanly" grep -q stopped "$work/a/log"
sleep 9
start_agent a
a_pid=$agent_pid
check "an expired certificate re-joins by proof of the old key" within 10 is_state a registered

# --- offline
stop_registry 9
ip link del "$veth"0
before=$(status a | jq -r .factsSha256)
ip link add "$veth"0 type veth peer name "$veth"1
check "offline, facts go on" within 2 facts_changed
stop_agent 9 "$a_pid"
start_agent a
a_pid=$agent_pid
sleep 1
start_registry --certificate-lifetime 1h --heartbeat-interval 1s
check "back online after kill -9 of both" within 15 is_state a registered
check "what changed offline has arrived" within 5 registry_has_facts
check "a restart is no clone" [ "$(node_field "$id" .state)" = NODE_STATE_APPROVED ]

# --- damaged files
stop_agent TERM "$a_pid"
cp -r "$work/a/state" "$work/kept"
echo garbage >"$work/a/state/identity/node.crt"
echo garbage >"$work/a/state/identity/registration.json"
start_agent a
a_pid=$agent_pid
check "a damaged certificate is named" within 5 grep -q "node.crt is damaged" "$work/a/log"
stop_agent TERM "$a_pid"
echo garbage >"$work/a/state/identity/node.key"
chmod 600 "$work/a/state/identity/node.key"
start_agent a
a_pid=$agent_pid
part() { status a | jq -r ".parts[] | select(.name == \"$1\") | .state"; }
registration_failed() { [ "$(part registration)" = PART_STATE_FAILED ]; }
check "a corrupt key turns registration off with a reason" within 5 registration_failed
check "and discovery goes on" [ "$(part discovery)" = PART_STATE_ON ]
check "the key file is left as it is" grep -q garbage "$work/a/state/identity/node.key"
stop_agent TERM "$a_pid"
rm -rf "$work/a/state"
cp -r "$work/kept" "$work/a/state"

# --- a cloned disk
start_agent a
a_pid=$agent_pid
check "the original is back" within 10 is_state a registered
configure b ""
cp -r "$work/a/state" "$work/b/state"
start_agent b
b_pid=$agent_pid
quarantined() { [ "$(node_field "$id" .state)" = NODE_STATE_QUARANTINED ]; }
check "a clone that speaks beside the original is quarantined" within 20 quarantined
check "with a reason" [ -n "$(node_field "$id" .stateReason)" ]
stop_agent TERM "$b_pid"
operator POST "/v1/nodes/$id:approve" -H 'Content-Type: application/json' -d '{"reason":"clone removed"}' >/dev/null
check "an operator's approval brings the original back" within 30 is_state a registered
stop_agent TERM "$a_pid"

# --- a full disk
mkdir -p "$work/full"
mount -t tmpfs -o size=64k tmpfs "$work/full"
configure c "$(new_token 1)"
sed -i "s|$work/c/state|$work/full/state|" "$work/c/agent.yaml"
dd if=/dev/zero of="$work/full/fill" bs=4k status=none 2>/dev/null
start_agent c
c_pid=$agent_pid
up() { status c | jq -e '.parts | length > 0' >/dev/null; }
check "with a full disk the agent is up" within 5 up
check "and says what is wrong" within 5 grep -qi "no space left" "$work/c/log"
stop_agent TERM "$c_pid"
rm "$work/full/fill"
start_agent c
c_pid=$agent_pid
check "with room again it joins" within 10 is_state c registered
stop_agent TERM "$c_pid"

echo "$passed passed, $failed failed"
if [ "$failed" != 0 ]; then
  tail -n 30 "$work"/a/log "$work/registry.log"
  exit 1
fi
