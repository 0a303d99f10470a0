#!/usr/bin/env bash
# A real agent and mosquitto as operators set them up: client certificates of the registration, passwords, wrong ones, a
# reload, and what the commands say, with the agent dead too.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/../metrics_lib.bash"
need mosquitto mosquitto_sub mosquitto_passwd jq openssl tar
here=$(cd "$(dirname "$0")" && pwd -P)

broker_pid=
broker() { # LINE OF CONFIGURATION...: starts mosquitto on $port, anew if it runs
  stop_broker
  printf '%s\n' "user root" "persistence_location $work/" "log_type all" "$@" >"$work/mosquitto.conf"
  mosquitto -c "$work/mosquitto.conf" >>"$work/mosquitto.log" 2>&1 &
  broker_pid=$!
  pids+=("$broker_pid")
}
stop_broker() {
  if [ -n "$broker_pid" ]; then kill "$broker_pid" && wait "$broker_pid" 2>/dev/null; fi
  broker_pid=
}
telemetry() { "$agent" telemetry "$@" --run-dir "$work/run"; }
field() { telemetry status -o json 2>/dev/null | jq -r "$1"; }
is_link() { [ "$(field .link)" = "$1" ]; }
is_phase() { [ "$(field .sparkplug.phase)" = "$1" ]; }
part() { "$agent" status --run-dir "$work/run" -o json | jq -r ".parts[] | select(.name == \"telemetry\") | $1"; }
configure() { # LINE OF CONFIGURATION...: below what start_agent wrote
  sed -i '/^telemetry:/,$d' "$work/agent.yaml"
  printf '%s\n' "telemetry:" "$@" >>"$work/agent.yaml"
}
reload() { kill -HUP "$agent_pid"; }
says() { grep -qF -- "$1" "$2"; }
connected_as() { grep -qE "as $1 \(p[0-9]+, c1, k[0-9]+, u'$2'\)" "$work/mosquitto.log"; }

port=$(free_port)
# --- configuration
refused() { # KEY: VALUE, WORDS
  printf '%s\n' "telemetry:" "  $1" >"$work/wrong.yaml"
  "$agent" config check --config-dir "$work/none" --config "$work/wrong.yaml" >"$work/check" 2>&1
  [ $? = 2 ] && says "$2" "$work/check" && says "wrong.yaml:2" "$work/check"
}
check "MQTT over WebSocket is refused, with file, line and reason" refused 'brokers: ["wss://a.example"]' "the MQTT library of this build cannot do"
check "so is a password in the URL" refused 'brokers: ["mqtt://u:p@a.example"]' "telemetry.username and telemetry.password_file"

# --- off
registry=$OMNITIDE_PROGRAMS/omnitide-registry
"$registry" init --dir "$work/registry" >/dev/null
"$registry" token --dir "$work/registry" -o "$work/token" >/dev/null
: >"$work/registry.log"
"$registry" serve --dir "$work/registry" --listen 127.0.0.1:0 --certificate-lifetime 8s --heartbeat-interval 1s >"$work/registry.log" 2>&1 &
registry_pid=$!
within 10 grep -qoE 'https://127\.0\.0\.1:[0-9]+' "$work/registry.log" || { cat "$work/registry.log"; exit 1; }
endpoint=$(grep -oE 'https://127\.0\.0\.1:[0-9]+' "$work/registry.log" | head -n 1)
mkdir "$work/credentials" && (umask 077 && printf 'reading\n' >"$work/credentials/mqtt-password")
export CREDENTIALS_DIRECTORY="$work/credentials"
start_agent "http: {listen: \"127.0.0.1:0\"}" \
  "registration: {endpoint: \"$endpoint\", token_file: $work/token, start_jitter: 0s}"
pids+=("$registry_pid")
agent_pid=${pids[0]}
check "telemetry is off without a broker, with the reason" [ "$(part .reason)" = "telemetry.brokers names no broker" ]
telemetry status >"$work/off" 2>&1
check "and its commands say how to turn it on" says "name a broker in telemetry.brokers" "$work/off"

# --- TLS by the registration's certificate
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost \
  -addext subjectAltName=DNS:localhost -keyout "$work/broker.key" -out "$work/broker.crt" 2>/dev/null
tls=("listener $port 127.0.0.1" "certfile $work/broker.crt" "keyfile $work/broker.key"
  "cafile $work/registry/ca.crt" "require_certificate true" "use_identity_as_username true")
configure "  brokers: [\"mqtts://localhost:$port\"]" "  tls: {ca_file: $work/broker.crt, certificate: registration}" \
  "  backoff_base: 100ms" "  backoff_cap: 1s" "  sparkplug.interval: 1s"
reload
check "a reload turns it on; without a broker it is degraded, and the agent stays ready" within 10 is_link waiting
check "the part says why" [ "$(part .state)" = PART_STATE_DEGRADED ]
check "and readiness is not lost" curl -sf -o /dev/null "$url/readyz"
check "status exits with 1 then" [ "$(telemetry status >/dev/null; echo $?)" = 1 ]
broker "${tls[@]}"
check "the node is known by the certificate that the registration got" within 15 is_phase online
id=$("$agent" status --run-dir "$work/run" -o json | jq -r .nodeId)
check "under its node id" connected_as "omnitide-$id" "$id"
connections() { grep -cE "New client connected .* as omnitide-$id " "$work/mosquitto.log"; }
is_renewed() { [ "$(connections)" -ge 2 ] && is_phase online; }
check "a renewed certificate is taken into use by a new connection" within 20 is_renewed
check "the part is on, with the broker's URL" [ "$(part '.state + " " + .urls[0]')" = "PART_STATE_ON mqtts://localhost:$port" ]
check "doctor finds nothing wrong with it" says "takes connections" <("$agent" doctor --config-dir "$work/none" --config "$work/agent.yaml" 2>&1)

# --- a broker that is not who it should be
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost \
  -addext subjectAltName=DNS:localhost -keyout "$work/other.key" -out "$work/other.crt" 2>/dev/null
broker "listener $port 127.0.0.1" "certfile $work/other.crt" "keyfile $work/other.key" "allow_anonymous true"
check "a broker with another certificate is not talked to" within 10 is_link waiting
check "and the reason is told" [ -n "$(field .problem)" ]
printed=$(telemetry status)
check "by the command too" grep -qF "$(field .problem | cut -c1-20)" <<<"$printed"

# --- a shared key
(umask 077 && printf 'press:%s\n' 00112233445566778899aabbccddeeff | tee "$work/broker.psk" >"$work/psk.right")
(umask 077 && printf 'press:%s\n' ffeeddccbbaa99887766554433221100 >"$work/psk")
configure "  brokers: [\"mqtts://localhost:$port\"]" "  tls: {psk_file: $work/psk}" \
  "  backoff_base: 100ms" "  backoff_cap: 1s" "  sparkplug.interval: 1s"
broker "listener $port 127.0.0.1" "psk_hint plant" "psk_file $work/broker.psk" "use_identity_as_username true" \
  "allow_anonymous true"
reload
check "a wrong shared key is no connection" within 15 is_link waiting
cp "$work/psk.right" "$work/psk"
reload
check "the right shared key is one" within 15 is_phase online
check "under the key's identity" connected_as "omnitide-$id" press

# --- passwords
mosquitto_passwd -b -c "$work/passwords" press "s3cret-word" 2>/dev/null
mosquitto_passwd -b "$work/passwords" reader reading 2>/dev/null
password=("listener $port 127.0.0.1" "password_file $work/passwords" "allow_anonymous false")
(umask 077 && printf 'wrong\n' >"$work/password")
configure "  brokers: [\"mqtt://127.0.0.1:$port\"]" "  username: press" "  password_file: $work/password" \
  "  backoff_base: 100ms" "  backoff_cap: 1s" "  sparkplug.interval: 1s" "  plain.format: json" "  group: plant" \
  "  node: press-7"
broker "${password[@]}"
reload
refused_by_broker() { field .problem | grep -qiE 'not authori[sz]ed|bad user'; }
check "a wrong password is told in the broker's words" within 15 refused_by_broker
(umask 077 && printf 's3cret-word\n' >"$work/password")
reload
check "the right one in the same file counts after a reload" within 15 is_phase online
mosquitto_sub -h 127.0.0.1 -p "$port" -u reader -P reading -t 'omnitide/v1/plant/press-7/+' -v >"$work/heard" 2>&1 &
pids+=("$!")
within 5 says status "$work/heard" || not_ok "the reader hears the retained status"
check "the status is retained" says "omnitide/v1/plant/press-7/status online" "$work/heard"
"$agent" log-level http info --run-dir "$work/run" >/dev/null
check "an event comes at once, as JSON" within 5 says '"message":"log level set' "$work/heard"

# --- a password from a credential of systemd
configure "  brokers: [\"mqtt://127.0.0.1:$port\"]" "  username: reader" "  password_file: credential:mqtt-password" \
  "  backoff_base: 100ms" "  backoff_cap: 1s" "  sparkplug.interval: 1s" "  plain.format: json" "  group: plant" \
  "  node: press-7"
reload
is_reader() { connected_as omnitide-press-7 reader && is_phase online; }
check "a password comes from a credential too" within 15 is_reader

# --- tail
timeout 20 "$agent" telemetry tail -n 1 --topic NDATA -o json --run-dir "$work/run" >"$work/tail"
check "tail shows what is sent, with names in place of aliases" [ "$(jq -r '.values[0].name' "$work/tail")" != null ]
check "and without an alias that it cannot name" [ "$(jq '[.values[] | select(.name | startswith("alias "))] | length' "$work/tail")" = 0 ]

# --- what must not be told
"$agent" config show --config-dir "$work/none" --config "$work/agent.yaml" >"$work/shown"
"$agent" support -o "$work/support.tar.gz" --config-dir "$work/none" --config "$work/agent.yaml" >/dev/null 2>&1
mkdir "$work/support" && tar -xzf "$work/support.tar.gz" -C "$work/support"
empty "the password stands in nothing that is shown" "$(grep -rl s3cret-word "$work/shown" "$work/support" "$work/agent.log")"
check "support has telemetry's state" grep -rq "Sparkplug  online" "$work/support"

# --- the spool of a dead agent
stop_broker
"$agent" log-level http info --run-dir "$work/run" >/dev/null
has_backlog() { [ "$(field '[.spool.streams[].backlog | tonumber] | add')" -gt 0 ]; }
check "without a broker records wait" within 10 has_backlog
kill -9 "$agent_pid" && wait "$agent_pid" 2>/dev/null
"$agent" telemetry spool -o json --config-dir "$work/none" --config "$work/agent.yaml" >"$work/spool"
check "and are seen with the agent dead" [ "$(jq '[.streams[].backlog | tonumber] | add' "$work/spool")" -gt 0 ]
check "telemetry status then exits with 3" [ "$(telemetry status >/dev/null 2>&1; echo $?)" = 3 ]
check "docs/cli.md has the commands" says 'telemetry spool' "$here/../../../docs/cli.md"
end_test
