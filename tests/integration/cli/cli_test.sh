#!/usr/bin/env bash
# The command line against a real agent with the embedded registry, as an operator types it.
# OMNITIDE_PROGRAMS: the folder of the programs. Needs bash, coreutils, grep, sed, tar.
set -uo pipefail
export LC_ALL=C
agent="${OMNITIDE_PROGRAMS:?}/omnitide-agent"
scratch="$(mktemp -d)"
state="$scratch/state" run="$scratch/run"
passed=0 failed=0 pid=0 second_pid=0

finish() {
  for one in "$pid" "$second_pid"; do
    if ((one)); then kill -TERM "$one" 2>/dev/null && wait "$one" 2>/dev/null; fi
  done
  rm -rf "$scratch"
}
trap finish EXIT
export HOME="$scratch/home"
unset "${!OMNITIDE_@}" 2>/dev/null || true

# expect NAME CODE PATTERN COMMAND...: the command ends with CODE and prints what matches PATTERN, on either stream.
expect() {
  local name="$1" code="$2" pattern="$3" out got=0
  shift 3
  out="$("$@" 2>&1 </dev/null)" || got=$?
  if [[ $got -eq $code ]] && grep -qE -- "$pattern" <<<"$out"; then
    passed=$((passed + 1))
    printf 'ok      %s\n' "$name"
  else
    failed=$((failed + 1))
    printf 'FAILED  %s: code %s instead of %s, looked for /%s/ in:\n%s\n' "$name" "$got" "$code" "$pattern" "$out" | head -n 40
  fi
}
here=(--config-dir "$scratch/none" --run-dir "$run")
registry() { "$agent" registry "$@" "${here[@]}"; }

# Completion, in the shells themselves, from the scripts as the packages install them.
mkdir -p "$scratch/shells"
"$agent" completion bash >"$scratch/shells/bash" && "$agent" completion fish >"$scratch/shells/fish"
"$agent" completion zsh >"$scratch/shells/_omnitide-agent"
in_bash() { # WORD...
  # shellcheck disable=SC2016 # the shell below
  PATH="$OMNITIDE_PROGRAMS:$PATH" bash --norc -c '. "$0"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _omnitide_agent; printf "%s " "${COMPREPLY[@]}"' "$scratch/shells/bash" omnitide-agent "$@"
}
in_fish() { PATH="$OMNITIDE_PROGRAMS:$PATH" fish --no-config -c "source $scratch/shells/fish; complete -C 'omnitide-agent $*'"; }
# What is typed at a terminal, with a Tab behind it, until the answer is seen.
in_zsh() { # ANSWER WORD...
  local expected="$1"
  shift
  PATH="$OMNITIDE_PROGRAMS:$PATH" TERM=dumb timeout 60 zsh -f <<ZSH
zmodload zsh/zpty zsh/zselect
zpty shell zsh -f -i
zpty -w shell 'PS1=; fpath=($scratch/shells \$fpath); autoload -U compinit; compinit -u -D; print rea""dy'
for ((i = 0; i < 500; ++i)); do zpty -r -t shell out '*ready*' && break; zselect -t 5; done
zpty -n -w shell \$'omnitide-agent $*\t'
seen=''
for ((i = 0; i < 200; ++i)); do zpty -r -t shell out && seen+=\$out; [[ \$seen == *$expected* ]] && break; zselect -t 5; done
print -r -- "\$seen"
zpty -d shell
ZSH
}
OMNITIDE_PROGRAMS="$(readlink -f "$(dirname "$agent")")"
expect "bash completes a command" 0 '^quarantine $' in_bash registry nodes qu
expect "bash completes a choice" 0 '^table json yaml $' in_bash status -o ''
expect "bash completes a file" 0 "^$scratch/shells/bash $" in_bash status -c "$scratch/shells/ba"
expect "bash completes an option where a file may stand, too" 0 '(^| )--help ' in_bash registry restore --
expect "fish completes a command and says what it does" 0 "^quarantine$(printf '\t')Refuse a node" in_fish registry nodes qu
expect "fish completes a choice" 0 '^yaml$' in_fish 'status -o '
expect "zsh completes a command" 0 'registry nodes quarantine' in_zsh quarantine registry nodes qu
expect "zsh completes a choice" 0 'status -o json' in_zsh json status -o js

expect "no agent: status exits with 3 and a hint" 3 '^hint: is it running' "$agent" status "${here[@]}"
expect "no agent: log-level exits with 3" 3 'no agent answers' "$agent" log-level http debug "${here[@]}"
# Loading OpenSSL takes as long as discover itself; x86-64 programs have it loaded when they call it.
maps_openssl() { LD_DEBUG=files "$agent" "$@" 2>&1 >/dev/null </dev/null | grep -c 'libcrypto.*generating link map'; }
if [[ "$(uname -m)" == x86_64 ]]; then
  expect "discover and version load no OpenSSL" 1 '^0$' maps_openssl discover "${here[@]}"
  expect "a digest of the facts loads it" 0 '^1$' maps_openssl discover -o json "${here[@]}"
fi
expect "no agent: discover works" 0 '^CPU ' "$agent" discover "${here[@]}"
expect "no agent: support works" 0 'written' "$agent" support -o "$scratch/dead.tar.gz" "${here[@]}"
printf 'http:\n  listn: 1\n  enabled: yes\n' >"$scratch/bad.yaml"
expect "every fault of a configuration, and 2" 2 'bad.yaml:2: http.listn: is not a known key \(did you mean http.listen\?\)' \
  "$agent" config check -c "$scratch/bad.yaml" "${here[@]}"
expect "run refuses a bad configuration" 2 'bad.yaml:3: http.enabled' "$agent" run -c "$scratch/bad.yaml" "${here[@]}"
expect "config show says where values come from" 0 'listen: .127.0.0.1:9797. +# default' "$agent" config show "${here[@]}"

# Policy files, without an agent.
mkdir "$scratch/policies"
cat >"$scratch/policies/a.yaml" <<'END'
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: web, namespace: shop}
spec:
  podSelecter: {}
---
kind: Service
apiVersion: v1
---
apiVersion: v1
kind: Namespace
metadata: {name: shop}
END
expect "policy check: a fault with file and line, and 1" 1 'a.yaml:5 +NetworkPolicy shop/web +spec.podSelecter +is not known here \(did you mean podSelector\?\)' \
  "$agent" policy check "$scratch/policies"
expect "policy check: what is there is counted" 1 '^others, skipped +1$' "$agent" policy check "$scratch/policies"
expect "policy check -o json" 1 '"field": "spec.podSelecter"' "$agent" policy check "$scratch/policies" -o json
sed -i s/podSelecter/podSelector/ "$scratch/policies/a.yaml"
expect "policy check: hints are no problem" 0 'All 2 objects are good, with 1 hint' "$agent" policy check "$scratch/policies/a.yaml"
expect "policy check --strict: hints are one" 1 'there are no pods here' "$agent" policy check --strict "$scratch/policies"
# Questions to files of objects, without an agent.
mkdir "$scratch/old" "$scratch/new"
cat >"$scratch/old/a.yaml" <<'END'
apiVersion: v1
kind: Pod
metadata: {name: web, namespace: shop, labels: {app: web}}
status: {podIPs: [{ip: 10.1.0.1}, {ip: 'fd00::1'}]}
---
apiVersion: v1
kind: Pod
metadata: {name: db, namespace: shop, labels: {app: db}}
spec: {containers: [{ports: [{name: pg, containerPort: 5432}]}]}
status: {podIPs: [{ip: 10.1.0.2}, {ip: 'fd00::2'}]}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: db, namespace: shop}
spec:
  podSelector: {matchLabels: {app: db}}
  ingress:
  - from: [{podSelector: {matchLabels: {app: web}}}]
    ports: [{port: pg}]
  - from: [{ipBlock: {cidr: 10.1.0.1/32}}]
    ports: [{port: 9000}]
END
sed 's/port: pg/port: 80/' "$scratch/old/a.yaml" >"$scratch/new/a.yaml"
ask=("$agent" policy explain --objects "$scratch/old" --from shop/web --to shop/db)
expect "policy explain: the rule that decides, with its file and line" 0 \
  'spec.ingress.0. +accept +yes +yes +[^ ]*/old/a.yaml:18 +decides' "${ask[@]}" --port pg
expect "policy explain: isolated, and why" 0 'shop/db is isolated for ingress, and no rule allows this connection' "${ask[@]}" --port 80
expect "policy explain: of both families where they differ" 0 '^DENIED .*TCP 9000 over IPv6' "${ask[@]}" --port 9000
expect "policy explain -o json" 0 '"portMatches": true' "${ask[@]}" --port pg -o json
expect "policy explain: a pod that is not there" 1 '^hint: did you mean shop/web' "$agent" policy explain \
  --objects "$scratch/old" --from shop/wep --to shop/db --port 80
expect "policy matrix: one object a line" 0 \
  '^\{"from":"shop/web","to":"shop/db","port":"pg","protocol":"TCP","ingress":"allow","egress":"allow","verdict":"allow"\}$' \
  "$agent" policy matrix --objects "$scratch/old" --ports 80,pg --protocols TCP,UDP -o json
expect "policy matrix: a pod to itself, and a port by number" 0 \
  '^\{"from":"shop/db","to":"shop/db","port":80,"protocol":"UDP",.*"verdict":"allow"\}$' \
  "$agent" policy matrix --objects "$scratch/old" --ports 80,pg --protocols TCP,UDP -o json
# shellcheck disable=SC2016  # the inner shell expands them
expect "policy matrix: 2 x 2 pods, 2 ports, 2 protocols are 16 rows" 0 '^16$' \
  bash -c '"$0" policy matrix --objects "$1" --ports 80,pg --protocols TCP,UDP -o json | wc -l' "$agent" "$scratch/old"
expect "policy matrix: where the families differ" 0 '"port":9000.*"verdict":"allow","ipv6":.*"verdict":"deny"\}\}$' \
  "$agent" policy matrix --objects "$scratch/old" --ports 9000 -o json
expect "policy matrix as a table" 0 '^2 +shop/web +I +\.$' "$agent" policy matrix --objects "$scratch/old" --ports 80
expect "policy diff: what changes, and 1" 1 'denies +shop/web +shop/db +TCP 5432' "$agent" policy diff "$scratch/old" "$scratch/new"
expect "policy diff of the same is nothing, and 0" 0 'No connection is judged differently' "$agent" policy diff "$scratch/old" "$scratch/old"
expect "policy check of standard input" 0 'There are no policy objects here' "$agent" policy check -
expect "policy check of nothing" 1 'cannot read .*/nowhere: No such file' "$agent" policy check "$scratch/nowhere"

# Starts that fail, or lose a part: each says which setting it was and what to do.
: >"$scratch/file"
start() { # SECONDS [NAME=VALUE...]
  env OMNITIDE_HTTP_LISTEN=127.0.0.1:0 OMNITIDE_REGISTRATION_START_JITTER=0s OMNITIDE_PATHS_STATE_DIR="$scratch/state1" \
    OMNITIDE_PATHS_RUN_DIR="$scratch/run1" "${@:2}" timeout "$1" "$agent" run --config-dir "$scratch/none"
}
expect "a state folder that cannot be made" 2 'paths.state_dir: cannot make .*: Not a directory hint="name a folder .*--state-dir' \
  start 5 OMNITIDE_PATHS_STATE_DIR="$scratch/file/state"
expect "a run folder that cannot be made" 2 'paths.run_dir: cannot make .*: Not a directory hint="name a folder .*--run-dir' \
  start 5 OMNITIDE_PATHS_RUN_DIR="$scratch/file/run"
mkdir -p "$scratch/run1/agent.sock"
expect "something else in the socket's place" 2 'cannot make the socket .*/agent.sock, something else is there: .* hint=' start 5
rmdir "$scratch/run1/agent.sock"
expect "a web configuration that is not there" 124 'the HTTP endpoint is off .*http.web_config_file: cannot read /none/web.yml: No such file' \
  start 1 OMNITIDE_HTTP_WEB_CONFIG_FILE=/none/web.yml
printf 'tls_server_config: {cert_file: x.pem, key_file: y.pem}\n' >"$scratch/web.yml"
expect "a certificate that is not there" 124 'http.web_config_file: cannot use the certificate .*/x.pem: No such file or directory' \
  start 1 OMNITIDE_HTTP_WEB_CONFIG_FILE="$scratch/web.yml"
expect "a bearer token that is not there" 124 'http.bearer_token_file: cannot read /none/token' start 1 OMNITIDE_HTTP_BEARER_TOKEN_FILE=/none/token
expect "no join token" 124 'there is no join token, waiting for one reason="registration.token_file is not set" hint=' \
  start 1 OMNITIDE_REGISTRATION_ENDPOINT=https://127.0.0.1:1
expect "a join token that cannot be read" 124 'waiting for one reason="/none/token: No such file' \
  start 1 OMNITIDE_REGISTRATION_ENDPOINT=https://127.0.0.1:1 OMNITIDE_REGISTRATION_TOKEN_FILE=/none/token

cat >"$scratch/agent.yaml" <<YAML
paths: {state_dir: $state, run_dir: $run}
registry: {embedded: true, listen: 127.0.0.1:0, dir: $scratch/own}
http: {listen: 127.0.0.1:0}
YAML
"$agent" run --config-dir "$scratch/none" -c "$scratch/agent.yaml" 2>"$scratch/log" &
pid=$!
for ((i = 0; i < 200; i++)); do
  if "$agent" status "${here[@]}" -o json 2>/dev/null | grep -q '"ready": true' &&
    registry nodes list -o json 2>/dev/null | grep -q NODE_STATE_APPROVED; then break; fi
  if ! kill -0 "$pid" 2>/dev/null; then break; fi
  sleep 0.1
done

# The program puts the addresses in its data right by itself (agent/relocate.cpp), in pages that nobody may write afterwards.
sealed_pages() {
  local program address size base range mode begin end
  program="$(readlink -f "$agent")"
  read -r _ _ address _ size _ < <(readelf -lW "$program" | grep GNU_RELRO)
  base="$(grep -m 1 -F " $program" "/proc/$pid/maps")" base=$((16#${base%%-*}))
  begin=$((base + address)) end=$(((base + address + size) & ~4095))
  while read -r range mode _; do
    if ((16#${range%-*} < end && 16#${range#*-} > begin)); then printf '%s\n' "$mode"; fi
  done <"/proc/$pid/maps" | sort -u | tr '\n' ' '
}
expect "addresses in the program's data are sealed" 0 '^r--p $' sealed_pages

expect "status shows parts and URLs" 0 'http +on +http://127.0.0.1:[0-9]+/metrics' "$agent" status "${here[@]}"
expect "status finds the agent by its state folder" 0 '^discovery +on' "$agent" status --config-dir "$scratch/none" --state-dir "$state"
expect "status finds it by its configuration" 0 '^discovery +on' "$agent" status --config-dir "$scratch/none" -c "$scratch/agent.yaml"
expect "a second agent exits with 3 and names the first" 3 "process $pid" "$agent" run --config-dir "$scratch/none" -c "$scratch/agent.yaml"
expect "doctor looks at the running agent" 0 'agent +runs and is ready' "$agent" doctor "${here[@]}" --state-dir "$state"
expect "a log level is set for a while" 0 'registration logs at debug for 10m' "$agent" log-level registration debug --for 10m "${here[@]}"

node="$(registry nodes list -o json | sed -n 's/.*"nodeId": "\([^"]*\)".*/\1/p' | head -n 1)"
expect "nodes are listed" 0 "^$node .*approved" registry nodes
expect "a node is shown with its facts" 0 '^CPU ' registry nodes show "$node"
expect "labels are set" 0 'site=hall-3' registry nodes label "$node" site=hall-3 old=1
expect "labels are taken away" 0 "^$node: site=hall-3\$" registry nodes label "$node" old-
expect "nodes are found by labels" 0 "^$node" registry nodes list -l site=hall-3
expect "a selector that fits none" 0 'No nodes' registry nodes list -l site=other
expect "a word that is no label is a usage fault" 2 'is no label' registry nodes label "$node" nonsense
expect "a node is quarantined" 0 'is quarantined now' registry nodes quarantine "$node" --reason ticket-7
expect "the reason is kept" 0 'ticket-7' registry nodes show "$node"
expect "a node is approved" 0 'is approved now' registry nodes approve "$node"
expect "an unknown node is 1" 1 'there is no node' registry nodes ban n-none
expect "a watch begins with all nodes" 124 "added +$node" timeout 2 "$agent" registry nodes watch "${here[@]}"
expect "a token goes into a file" 0 'is in' registry tokens create --uses 2 --label a=b --to "$scratch/token"
expect "that nobody else can read" 0 '^600$' stat -c %a "$scratch/token"
expect "tokens are listed" 0 '0/2 .*valid +a=b' registry tokens
token="$(cut -d. -f2 <"$scratch/token")"
expect "a token is revoked" 0 'is revoked' registry tokens revoke "$token"
expect "an operator is made" 0 'for alice are in' registry operators create alice --to "$scratch/alice"
expect "whose certificate works" 0 'alice +valid' registry operators --operator-dir "$scratch/alice"
serial="$(registry operators | sed -n 's/^\([0-9a-f]*\) *alice.*/\1/p')"
expect "and can be revoked" 0 'alice is revoked' registry operators revoke "$serial"
expect "then it is refused with 4" 4 'was revoked' registry operators --operator-dir "$scratch/alice"
expect "without a certificate nothing is asked" 4 'no operator certificate' registry nodes --operator-dir "$scratch/nobody"
expect "the next CA is made" 0 'is next now' registry ca next
expect "it is not activated while nodes lack it" 1 'nodes have the next CA' registry ca activate
expect "unless that is wanted" 0 'is active now' registry ca activate --force
expect "and this operator still gets in" 0 'retired' registry ca
expect "a backup is taken" 0 'written' registry backup "$scratch/backup.db"
expect "and restored" 0 'holds what' registry restore "$scratch/backup.db"
expect "a registry that is away is 3" 3 'cannot reach' registry nodes --endpoint https://127.0.0.1:1 --operator-dir "$scratch/own/operator"

expect "support packs a running agent" 0 'written' "$agent" support -o "$scratch/live.tar.gz" "${here[@]}" --state-dir "$state"
expect "with mode 0600" 0 '^600$' stat -c %a "$scratch/live.tar.gz"
expect "status, facts, events, memory and descriptors are in it" 0 '^5$' bash -c \
  "tar tzf '$scratch/live.tar.gz' | grep -cE '/(status.json|facts.json|events.txt|agent/smaps_rollup|agent/fd.txt)\$'"
expect "and no key or token" 1 '^$' bash -c "tar xzOf '$scratch/live.tar.gz' | grep -E 'PRIVATE KEY|$(cut -d. -f3 <"$scratch/token")'"

# A second agent beside it, whose ports the first one has: it runs, and is not ready.
taken="$(sed -n 's|.*http://127.0.0.1:\([0-9]*\)/metrics.*|\1|p' < <("$agent" status "${here[@]}") | head -n 1)"
second=(--config-dir "$scratch/none" --run-dir "$scratch/run2")
printf 'http: {listen: "127.0.0.1:%s"}\nregistry: {embedded: true, listen: "localhost:%s"}\n' "$taken" "$taken" >"$scratch/second.yaml"
"$agent" run "${second[@]}" --state-dir "$scratch/state2" -c "$scratch/second.yaml" 2>"$scratch/log2" &
second_pid=$!
for ((i = 0; i < 100; i++)); do
  if "$agent" status "${second[@]}" 2>/dev/null | grep -q '^discovery *on'; then break; fi
  sleep 0.1
done
expect "an embedded registry whose port is taken is named by readiness" 0 \
  'Not ready: registry failed: .*cannot listen on localhost:[0-9]+: Address already in use' "$agent" status "${second[@]}"
expect "and so is the HTTP server" 0 '^http +failed .*Address already in use' "$agent" status "${second[@]}"
expect "doctor says so and ends with 1" 1 'agent +runs but is not ready: registry failed' "$agent" doctor "${second[@]}"
expect "its log does not say that it is ready" 1 '^$' grep ' ready' "$scratch/log2"
kill -TERM "$second_pid"
wait "$second_pid"
second_pid=0

kill -TERM "$pid"
wait "$pid"
expect "the agent ended well" 0 '' test $? -eq 0
expect "without it, the configuration says where the operator's files are" 3 'cannot reach|Connection refused' \
  "$agent" registry nodes --config-dir "$scratch/none" -c "$scratch/agent.yaml"
pid=0
if ((failed)); then tail -n 20 "$scratch/log"; fi
printf '%d passed, %d failed\n' "$passed" "$failed"
((failed == 0))
