#!/usr/bin/env bash
# The .rpm, where no system of its kind is at hand: what it asks for, which symbols its programs need, a run in a bare root with the
# names that Red Hat's libraries have, and its life in a Debian that systemd runs (`rpm --nodeps`: Debian's database of rpm is empty, and
# its packages have other names). rpm_test.sh PACKAGE; OMNITIDE_ROOTS: see deb_test.sh.
# shellcheck disable=SC2016  # variables of jq, perl and the inner shell
set -uo pipefail
export LC_ALL=C
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
# shellcheck source=tests/integration/checks.bash
. "$here/../integration/checks.bash"
# shellcheck source=tests/packages/machine.bash
. "$here/machine.bash"
package="$(realpath "${1:?which package}")"
roots="${OMNITIDE_ROOTS:?where systems are kept}"
scratch="$(mktemp -d)" agent_pid=0
mkdir -p "$roots"
finish() {
  if ((agent_pid)); then kill -KILL "$agent_pid" 2>/dev/null && wait "$agent_pid" 2>/dev/null; fi
  machine_stop
  rm -rf --one-file-system "$scratch"
}
trap finish EXIT

# 1. What it asks for.
requires="$(rpm -qp --requires "$package" | grep -v '^rpmlib(' | sort -u | tr '\n' ',')"
check "it requires glibc, OpenSSL 3, systemd and a shell, and nothing else" \
  [ "$requires" = '/bin/sh,glibc >= 2.34,openssl-libs >= 3.0,systemd,systemd-libs,' ]
size="$(($(rpm -qp --qf '%{SIZE}' "$package") / 1024))"
check "it takes at most 8 MB: $size KiB" [ "$size" -le 8192 ]

bare="$scratch/bare"
mkdir -p "$bare/usr/lib64" "$bare/usr/bin" "$bare/etc" "$bare/proc" "$bare/run" "$bare/tmp"
ln -s usr/lib64 "$bare/lib64"
check "rpm puts it into a bare root" rpm --root "$bare" -i --nodeps --noscripts --nosignature "$package"
programs=("$bare/usr/bin/omnitide-agent" "$bare/usr/lib/omnitide-agent/libmosquitto.so.1")
needed="$(for file in "${programs[@]}"; do objdump -p "$file"; done | sed -n 's/^ *NEEDED *//p' | sort -u | tr '\n' ' ')"
foreign="$(tr ' ' '\n' <<<"$needed" | grep -vE '^(libc|libm|libcrypto|libssl|ld-linux-[a-z0-9-]+)[.]so[.][0-9]+$' | tr -d '[:space:]')"
check "its programs need glibc and OpenSSL alone: $needed" [ -z "$foreign" ]
newest="$(for file in "${programs[@]}"; do objdump -T "$file"; done | grep -oE 'GLIBC_[0-9.]+' | sort -Vu | tail -n 1)"
check "and no symbol of a glibc after 2.34: $newest" [ "$(printf '%s\n' "$newest" GLIBC_2.34 | sort -V | tail -n 1)" = GLIBC_2.34 ]

# 2. A root with nothing but these libraries, under Red Hat's names: libxcrypt is libcrypt.so.2 there.
library() { ldconfig -p | awk -v name="$1" '$1 == name { print $NF; exit }'; }
for name in libc.so.6 libm.so.6 ld-linux-x86-64.so.2 libcrypto.so.3 libssl.so.3 libsystemd.so.0; do
  for file in "$(library "$name")" $(ldd "$(library "$name")" | grep -oE '/[^ ]+'); do
    cp -n "$(realpath "$file")" "$bare/usr/lib64/$(basename "$file")"
  done
done
cp "$(realpath "$(library libcrypt.so.1)")" "$bare/usr/lib64/libcrypt.so.2"
echo /usr/lib64 >"$bare/etc/ld.so.conf" # where Red Hat's loader looks by itself
ldconfig -r "$bare" 2>/dev/null
in_bare() { chroot "$bare" /usr/bin/omnitide-agent "$@"; }
mount -t proc proc "$bare/proc"
check "the agent runs there" in_bare version
check "it finds out about the machine" eval 'in_bare discover -o json | jq -e ".facts.cpu // .cpu" >/dev/null'
printf 'basic_auth_users: {user: "%s"}\n' "$(perl -e 'print crypt("secret", q($2b$04$abcdefghijklmnopqrstuu))')" >"$bare/etc/web.yaml"
mkdir -p "$bare/etc/omnitide/agent.d"
printf 'http: {web_config_file: /etc/web.yaml}\n' >"$bare/etc/omnitide/agent.d/50-web.yaml"
bare_start() {
  (exec unshare --net -- chroot "$bare" /usr/bin/omnitide-agent run >"$scratch/bare.log" 2>&1) &
  agent_pid=$!
  within 15 bare_is_up
}
bare_is_up() { in_bare status >/dev/null 2>&1 && nsenter -t "$agent_pid" -n ip link set lo up; }
bare_stop() {
  kill -TERM "$agent_pid" && wait "$agent_pid"
  local status=$?
  agent_pid=0
  return "$status"
}
answer() { nsenter -t "$agent_pid" -n curl -s -o /dev/null -w '%{http_code}' -u "user:$1" http://127.0.0.1:9797/metrics; }
check "it comes up there" bare_start
check "it takes a password, by libcrypt.so.2" eval 'within 5 [ "$(answer secret)" = 200 ]'
check "and not another one" [ "$(answer other)" = 401 ]
check "it ends well" bare_stop
mv "$bare/usr/lib64/libcrypt.so.2" "$bare/usr/lib64/other"
check "without libcrypt it comes up too" bare_start
check "and says what is missing" eval "in_bare status | grep 'neither libcrypt.so.2 nor .1 of libxcrypt is installed' >/dev/null"
check "it ends well" bare_stop
umount "$bare/proc"

# 3. Its steps in a system that systemd runs.
root="$(machine_root bookworm)" || { not_ok "a system" "debootstrap failed"; exit 1; }
cp "$package" "$root/root/new.rpm"
machine_start "$root" || { not_ok "it boots" "$(tail -n 5 "$scratch/console")"; exit 1; }
listing() { (cd "$root" && find etc usr var/lib opt -xdev ! -path 'var/lib/rpm/*' ! -path 'var/lib/systemd/*' | sort); }
inside rpm --initdb
listing >"$scratch/before"
by_rpm() { inside rpm "$@" >>"$scratch/rpm.log" 2>&1 </dev/null; }
check "it installs" by_rpm -i --nodeps --nosignature /root/new.rpm
check "the agent runs" within 10 ready
check "it is enabled" eval '[ "$(inside systemctl is-enabled "$unit")" = enabled ]'
check "it is no root" eval '[ "$(inside ps -o user= -p "$(property MainPID)")" = omnitide ]'
check "rpm finds nothing changed" eval '! inside rpm -V --nodeps omnitide-agent | grep -vE "^[.]+ +[cd] "'
check "the configuration is marked as such" eval 'inside rpm -qc omnitide-agent | grep -qx /etc/omnitide/agent.yaml'
inside sh -c 'printf "node: {name: kept}\n" >/etc/omnitide/agent.d/50-site.yaml; chgrp omnitide /etc/omnitide/agent.d/*'
before="$(property MainPID)"
check "an upgrade asks nothing" by_rpm -U --force --nodeps --nosignature /root/new.rpm
check "another agent runs" eval "within 10 ready && [ \"\$(property MainPID)\" != $before ]"
check "the operator's configuration is kept" test -e "$root/etc/omnitide/agent.d/50-site.yaml"
check "it is removed" by_rpm -e omnitide-agent
check "nothing runs" eval '! inside pgrep -x omnitide-agent >/dev/null'
check "what the operator wrote stays" test -e "$root/etc/omnitide/agent.d/50-site.yaml"
listing >"$scratch/after"
# The user, its state and configuration stay, as with any rpm.
left="$(diff "$scratch/before" "$scratch/after" | grep '^>' | grep -vE '^> (etc/omnitide(/.*)?|var/lib/omnitide(/.*)?|etc/(passwd|shadow|group|gshadow)-)$')"
check "nothing else is left" [ -z "$left" ]

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
