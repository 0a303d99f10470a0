#!/usr/bin/env bash
# The page at "/" in a real browser: it loads, its charts move, its facts are there without script, nothing is asked of
# another host, and the console stays quiet.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/../metrics_lib.bash"
need curl jq chromium

start_agent "http: {listen: \"127.0.0.1:0\"}"
html() { curl -sS --max-time 10 -H 'Accept: text/html,*/*;q=0.8' "$@"; }

# browse NAME FLAG...: what the browser says is $work/NAME.html.
browse() {
  local name=$1
  shift
  HOME=$work timeout 90 chromium --headless --no-sandbox --disable-gpu --disable-dev-shm-usage --no-first-run \
    --disable-background-networking --disable-component-update --disable-sync --disable-extensions \
    --user-data-dir="$work/profile-$name" --enable-logging=stderr --log-level=0 --log-net-log="$work/$name.net.json" \
    "$@" "$url/" >"$work/$name.html" 2>"$work/$name.log" </dev/null
}
has() { grep -qF -- "$2" "$work/$1.html"; }

# The document after ten seconds of the page's own time.
check "a browser loads the page" browse full --virtual-time-budget=10000 --dump-dom
check "it says which node this is" has full '<h1>press-7</h1>'
check "and that it is ready" grep -q '<strong id="ready" class="on">ready</strong>' "$work/full.html"
points=$(grep -oE 'data-points="[0-9]+"' "$work/full.html" | tr -dc '0-9\n' | sort -n | head -n 1)
check "every chart has moved (${points:-no} points)" [ "${points:-0}" -ge 3 ]
check "there are six of them" [ "$(grep -oE 'data-points=' "$work/full.html" | wc -l)" = 6 ]
check "the CPU has a value" grep -qE 'class="s0">CPU [0-9.]+ %' "$work/full.html"
empty "the console is quiet" "$(grep ':CONSOLE' "$work/full.log")"
origin=$url
elsewhere=$(jq -r --arg origin "$origin" '.events[].params | select(.url? and (.initiator? == $origin)) | .url' \
  "$work/full.net.json" 2>/dev/null | grep -v "^$origin/" | grep -v '^data:' | sort -u)
empty "nothing is asked of another host" "$elsewhere"
asked=$(jq -r --arg origin "$origin" '[.events[].params | select(.url? and (.initiator? == $origin)) | .url] | length' \
  "$work/full.net.json" 2>/dev/null)
check "and what is asked was seen ($asked requests)" [ "${asked:-0}" -gt 5 ]

mkdir -p "$work/profile-plain/Default"
echo '{"profile": {"default_content_setting_values": {"javascript": 2}}}' >"$work/profile-plain/Default/Preferences"
check "a browser without script loads it" browse plain --dump-dom
check "the kernel is there" has plain "$(uname -r)"
check "the parts are there" has plain '<td>discovery</td>'
check "the memory is there" has plain '<td>Memory</td>'
check "and a word on the charts" has plain 'Charts need JavaScript'
check "without script no chart is drawn" [ "$(grep -c 'data-points' "$work/plain.html")" = 0 ]
check "without script nothing was asked but page and style" \
  [ "$(jq -r --arg origin "$origin" '.events[].params | select(.url? and (.initiator? == $origin)) | .url' "$work/plain.net.json" |
    grep -cE '/metrics|/page/state')" = 0 ]

# --- what the browser is told
html -D "$work/head" -o "$work/index.html" "$url/"
check "the policy allows nothing from elsewhere" grep -qi "^content-security-policy: default-src 'none'; script-src 'self'" "$work/head"
check "and nothing inline" [ "$(grep -ciE 'unsafe|<script>|<style|style=|onload=' "$work/index.html" "$work/head" | awk -F: '{n += $2} END {print n}')" = 0 ]
bytes=$(($(stat -c %s "$work/index.html") + $(curl -sS "$url/page.js" | wc -c) + $(curl -sS "$url/page.css" | wc -c)))
check "all of it is small ($bytes bytes)" [ "$bytes" -lt 65536 ]
check "curl gets a few lines of text" [ "$(curl -sS "$url/" | head -c 14)" = omnitide-agent ]
check "its state is JSON" [ "$(curl -sS "$url/page/state" | jq -r .ready)" = true ]
check "a page with another Host is refused" \
  [ "$(html -o /dev/null -w '%{http_code}' -H 'Host: rebound.example' "$url/")" = 403 ]

# --- off
kill -TERM "${pids[0]}" && wait "${pids[0]}" 2>/dev/null
pids=()
start_agent "http: {listen: \"127.0.0.1:0\", page: false}"
check "off, there is text only" [ "$(html "$url/" | head -c 14)" = omnitide-agent ]
check "and no script" [ "$(html -o /dev/null -w '%{http_code}' "$url/page.js")" = 404 ]
end_test
