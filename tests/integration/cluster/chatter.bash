# shellcheck shell=bash disable=SC2154 # work, here: of the test
# Pods in the namespace shop that send without an end, and sinks that hear: chatter.c, in an image of its own.

load_chatter() { # OTHER IMAGES...: onto every node
  gcc -Wall -Os -static -s -o "$work/chatter" "$here/chatter.c" &&
    "$OMNITIDE_SHARED/cluster/oci-image" localhost/chatter:1 "$work/chatter.tar" --entrypoint /chatter "$work/chatter:/chatter" >/dev/null &&
    "$OMNITIDE_CLUSTER" load "$@" "$work/chatter.tar" >/dev/null
}
addresses() { kubectl -n shop get pod "$1" -o 'jsonpath={.status.podIPs[*].ip}'; }
sent() { kubectl -n shop logs "$1" -c main | grep -q '^sent [1-9]'; }
# hears SINK POD: all of what the pod sends; deaf: nothing of it.
hears() {
  local each lines from
  from="$(addresses "$2")" && [[ -n $from ]] && lines="$(kubectl -n shop logs "$1")" || return 1
  for each in $from; do
    grep -qxF "udp $each" <<<"$lines" && grep -qxF "tcp $each" <<<"$lines" || return 1
  done
}
deaf() {
  local each lines from
  from="$(addresses "$2")" && [[ -n $from ]] && lines="$(kubectl -n shop logs "$1")" || return 1
  for each in $from; do
    if grep -qxF -e "udp $each" -e "tcp $each" <<<"$lines"; then return 1; fi
  done
}
