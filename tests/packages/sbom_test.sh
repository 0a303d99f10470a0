#!/usr/bin/env bash
# The bill of materials says what is true: SPDX 2.3, every archive that the linker took code from, every library that the program
# asks for, versions as dpkg has them, checksums of the packages that lie beside it. sbom_test.sh BUILD [SYSROOT]: the folder of the build, and
# where it had its libraries from, if not from this system.
# shellcheck disable=SC2016  # variables of jq
set -uo pipefail
export LC_ALL=C
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
# shellcheck source=tests/integration/checks.bash
. "$here/../integration/checks.bash"
build="$(realpath "${1:?which build}")"
sysroot="${2:-}"
document="$(echo "$build"/packages/*.spdx.json)"
says() { jq -e "$@" "$document" >/dev/null; }

check "it is SPDX 2.3" says '.spdxVersion == "SPDX-2.3" and .dataLicense == "CC0-1.0" and .SPDXID == "SPDXRef-DOCUMENT"'
check "it has a name, a namespace of its own, a time and a creator" says '(.name | length > 0) and (.documentNamespace | test("^https://[^#]+$"))
  and (.creationInfo.created | test("^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}Z$"))
  and (.creationInfo.creators | length > 0 and all(test("^(Tool|Organization|Person): ")))'
check "every package has what SPDX wants" says '.packages | length > 10 and all(
  (.SPDXID | test("^SPDXRef-[A-Za-z0-9.-]+$")) and (.name | length > 0) and (.versionInfo | length > 0) and has("downloadLocation")
  and .filesAnalyzed == false and has("licenseConcluded") and has("licenseDeclared") and has("copyrightText"))'
check "no two have the same id" says '[.packages[].SPDXID] | length == (unique | length)'
check "every relation leads from and to something that is there" says '([.packages[].SPDXID] + [.SPDXID]) as $ids | .relationships | length > 10
  and all([.spdxElementId, .relatedSpdxElement] | all(. as $id | $ids | index($id) != null))'
check "every package has a relation" says '[.relationships[] | .spdxElementId, .relatedSpdxElement] as $used
  | .packages | all(.SPDXID as $id | $used | index($id) != null)'
check "it describes the .deb and the .rpm" says '[.relationships[] | select(.relationshipType == "DESCRIBES")] | length == 2'
while read -r sum file; do
  check "the checksum of $file" [ "$(sha256sum <"$build/packages/$file" | cut -d' ' -f1)" = "$sum" ]
done < <(jq -r '.packages[] | select(.checksums) | .checksums[0].checksumValue + " " + .packageFileName' "$document")

# What is in the link, told another way: archives of the command whose code has symbols in the program.
for library in libprotobuf-lite libyaml-cpp libre2 libbpf libelf libz libstdc++; do
  check "$library is in it as linked" says --arg name "/$library.a" \
    '[.relationships[] | select(.relationshipType == "STATIC_LINK") | .comment | contains($name)] | any'
done
for library in libc libcrypto libssl libsystemd libcrypt libsqlite3; do
  check "$library is in it as asked for" says --arg name "/$library.so" \
    '[.relationships[] | select(.relationshipType == "DYNAMIC_LINK") | .comment | contains($name)] | any'
done
check "libmosquitto is in it as carried" says '[.relationships[] | select(.relationshipType == "CONTAINS") | .comment // "" | contains("/libmosquitto.so")] | any'
for package in 'libboost[0-9.]*-dev' libfmt-dev libcli11-dev; do
  check "$package is in it by its headers" says --arg name "^$package\$" '[.packages[].name | test($name)] | any'
done
installed() {
  if [[ -n "$sysroot" ]]; then dpkg-query --admindir="$sysroot/var/lib/dpkg" -W -f '${Version}\n' "$1" 2>/dev/null; fi
  dpkg-query -W -f '${Version}\n' "$1" 2>/dev/null
}
wrong="$(jq -r '.packages[] | select(.sourceInfo) | .name + " " + .versionInfo' "$document" | while read -r name version; do
  installed "$name" | grep -xF "$version" >/dev/null || echo "$name $version"
done)"
check "versions are those that are installed" [ -z "$wrong" ]

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
