# shellcheck shell=bash
# The bill of materials of what `./dev package` made, SPDX 2.3 as JSON: told by the linker which static libraries gave code, by the
# program which shared ones it asks for, by ninja whose headers were compiled, and by dpkg which version of which package each is of.

# linked_archives BUILD PROGRAM: the archives of which the linker takes members, from its own trace.
linked_archives() {
  local command
  command="$(ninja -C "$1" -t commands "bin/$2" | tail -n 1)"
  command="${command/ -o bin\/$2 / -o $PWD/$1/sbom-trace -Wl,--trace }"
  (cd "$1" && eval "$command") | grep -oE '/[^() ]+\.a\b' | xargs -d '\n' realpath | sort -u
  rm -f -- "$1/sbom-trace"
}

# compiled_headers BUILD: of the system, that objects of this build were made of.
compiled_headers() { ninja -C "$1" -t deps | sed -n 's|^ *\(/usr/include/.*\)|\1|p' | sort -u | xargs -d '\n' realpath | sort -u; }

# opened_libraries PROGRAM: that it names, and those that it opens when they are called.
opened_libraries() {
  local name
  {
    objdump -p "$1" | sed -n 's/^ *NEEDED *//p'
    strings -a "$1" | grep -xE 'lib(crypto|ssl|systemd|crypt)\.so\.[0-9]+'
  } | sort -u | while IFS= read -r name; do
    ldconfig -p | awk -v name="$name" '$1 == name { print $NF; exit }'
  done | xargs -d '\n' realpath | sort -u
}

# owners < FILES: "FILE PACKAGE" for each; one that no package of Debian owns is an error. A merged /usr: dpkg knows a file under one of
# two names.
owners() {
  local asked merged found
  asked="$(cat)"
  merged="$(printf '%s\n' "$asked" | sed 's|^/usr/|/|' | sort -u)"
  found="$(printf '%s\n' "$asked" "$merged" | grep -x -F -f /dev/stdin /var/lib/dpkg/info/*.list |
    sed 's|^/var/lib/dpkg/info/\(.*\)[.]list:\(.*\)|\2 \1|; s|^/usr/|/|' | sort -u)"
  [[ "$(cut -d' ' -f1 <<<"$found" | sort -u)" == "$merged" ]] ||
    fail "some of these files are of no Debian package: $(head -n 5 <<<"$asked" | tr '\n' ' ')"
  printf '%s\n' "$found" | sed 's|^/|/usr/|'
}

# components RELATION < FILES: a line of JSON for each package, with the files that are of it.
components() {
  owners | sort -k 2 | awk -v relation="$1" '{ files[$2] = files[$2] (files[$2] == "" ? "" : " ") $1 }
    END { for (name in files) print name, relation, files[name] }' | sort | while read -r name relation files; do
    # shellcheck disable=SC2016  # dpkg-query's own format
    dpkg-query -W -f "\${Package}\t\${Version}\t\${Architecture}\t\${source:Package}\t\${source:Version}\t\${Maintainer}" "$name" |
      jq -Rc --arg relation "$relation" --arg files "$files" 'split("\t") | {name: .[0], version: .[1], architecture: .[2],
        source: .[3], sourceVersion: .[4], maintainer: .[5], relation: $relation, files: ($files | split(" "))}'
  done
}

# sbom BUILD PACKAGES: the document, for the .deb and the .rpm that lie in the folder PACKAGES.
sbom() {
  local build="$1" program="$1/bin/omnitide-agent"
  local deb rpm version
  deb="$(echo "$2"/*.deb)" rpm="$(echo "$2"/*.rpm)"
  version="$(dpkg-deb -f "$deb" Version)"
  {
    linked_archives "$build" omnitide-agent | components STATIC_LINK
    opened_libraries "$program" | components DYNAMIC_LINK
    ldconfig -p | awk '$1 == "libmosquitto.so.1" { print $NF; exit }' | xargs -d '\n' realpath | components CONTAINS
    compiled_headers "$build" | owners | awk '!seen[$2]++ { print $1 }' | components BUILD_DEPENDENCY_OF
  } | jq -s --arg version "$version" --arg deb "$(basename "$deb")" --arg rpm "$(basename "$rpm")" \
    --arg debSum "$(sha256sum <"$deb" | cut -d' ' -f1)" --arg rpmSum "$(sha256sum <"$rpm" | cut -d' ' -f1)" \
    --arg architecture "$(dpkg-deb -f "$deb" Architecture)" \
    --arg created "$(date -u -d "@$SOURCE_DATE_EPOCH" +%Y-%m-%dT%H:%M:%SZ)" -f .ci/lib/sbom.jq
}
