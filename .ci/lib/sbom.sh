# shellcheck shell=bash
# The bill of materials of what `./dev package` made, SPDX 2.3 as JSON: told by the linker which static libraries gave code, by the
# program which shared ones it asks for, by ninja whose headers were compiled, and by dpkg which version of which package each is of.
# A cross build has libraries below its sysroot, with a database of dpkg of their own; what is not below it is this system's.

# Of the build that is looked at; empty for a native one.
sysroot=''

# build_sysroot BUILD
build_sysroot() { sed -n 's|^OMNITIDE_ARM64:PATH=\(.*\)|\1/sysroot|p' "$1/CMakeCache.txt" | xargs -r realpath; }

# linked_archives BUILD PROGRAM: the archives of which the linker takes members, from its own trace.
linked_archives() {
  local command
  command="$(ninja -C "$1" -t commands "bin/$2" | tail -n 1)"
  command="${command/ -o bin\/$2 / -o $PWD/$1/sbom-trace -Wl,--trace }"
  (cd "$1" && eval "$command") | grep -oE '/[^() ]+\.a\b' | xargs -d '\n' realpath | sort -u
  rm -f -- "$1/sbom-trace"
}

# compiled_headers BUILD: of the system or the sysroot, that objects of this build were made of.
compiled_headers() {
  ninja -C "$1" -t deps | sed -n 's|^ \{1,\}||p' | sort -u | (cd "$1" && xargs -d '\n' realpath) | sort -u |
    grep -E "^($sysroot/usr|/usr|/usr/aarch64-linux-gnu)/include/"
}

# library_path NAME: where the program would find it; nothing when it is not there. All of the cache is read: who stops early ends ldconfig
# with an error.
library_path() {
  if [[ -n "$sysroot" ]]; then
    find "$sysroot/usr/lib" -name "$1" -print -quit
  else
    ldconfig -p | awk -v name="$1" '$1 == name && !seen++ { print $NF }'
  fi | xargs -r -d '\n' realpath
}

# opened_libraries PROGRAM: that it names, and those that it opens when they are called.
opened_libraries() {
  local name
  {
    named_libraries "$1" | grep -v '^libmosquitto'
    strings -a "$1" | grep -xE 'lib(crypto|ssl|systemd|crypt|sqlite3)\.so\.[0-9]+'
  } | sort -u | while IFS= read -r name; do library_path "$name"; done | sort -u
}

# owners [DATABASE] < FILES: "FILE PACKAGE" for each; one that no package of Debian owns is an error. A merged /usr: dpkg knows a file under
# one of two names.
owners() {
  local database="${1:-/var/lib/dpkg}" asked merged found
  asked="$(cat)"
  merged="$(printf '%s\n' "$asked" | sed 's|^/usr/|/|' | sort -u)"
  found="$(printf '%s\n' "$asked" "$merged" | grep -x -F -f /dev/stdin "$database"/info/*.list |
    sed "s|^$database/info/\(.*\)[.]list:\(.*\)|\2 \1|; s|^/usr/|/|" | sort -u)"
  [[ "$(cut -d' ' -f1 <<<"$found" | sort -u)" == "$merged" ]] ||
    fail "some of these files are of no Debian package: $(head -n 5 <<<"$asked" | tr '\n' ' ')"
  printf '%s\n' "$found" | sed 's|^/|/usr/|'
}

# components RELATION [FIRST] < FILES: a line of JSON for each package, with the files that are of it; FIRST: with one of them.
components() {
  local files below
  files="$(cat)"
  if [[ -n "$sysroot" ]]; then
    below="$(sed -n "s|^$sysroot/|/|p" <<<"$files")"
    files="$(grep -v "^$sysroot/" <<<"$files" || true)"
    [[ -z "$below" ]] || database_components "$sysroot/var/lib/dpkg" "$@" <<<"$below" || return
  fi
  [[ -z "$files" ]] || database_components /var/lib/dpkg "$@" <<<"$files"
}

# database_components DATABASE RELATION [FIRST] < FILES
database_components() {
  local database="$1" name relation files
  owners "$database" | sort -k 2 | awk -v relation="$2" -v first="${3:-}" '
    { if (first == "" || !($2 in files)) files[$2] = files[$2] (files[$2] == "" ? "" : " ") $1 }
    END { for (name in files) print name, relation, files[name] }' | sort | while read -r name relation files; do
    # shellcheck disable=SC2016  # dpkg-query's own format
    dpkg-query --admindir="$database" -W \
      -f "\${Package}\t\${Version}\t\${Architecture}\t\${source:Package}\t\${source:Version}\t\${Maintainer}" "$name" |
      jq -Rc --arg relation "$relation" --arg files "$files" 'split("\t") | {name: .[0], version: .[1], architecture: .[2],
        source: .[3], sourceVersion: .[4], maintainer: .[5], relation: $relation, files: ($files | split(" "))}'
  done
}

# shipped_components BUILD: what the program of a build is made of and what it opens.
shipped_components() {
  local sysroot
  sysroot="$(build_sysroot "$1")"
  linked_archives "$1" omnitide-agent | components STATIC_LINK &&
    opened_libraries "$1/bin/omnitide-agent" | components DYNAMIC_LINK &&
    compiled_headers "$1" | components BUILD_DEPENDENCY_OF first
}

# document VERSION ARCHITECTURE FILE... < COMPONENTS: SPDX of these files, which all have the program in them.
document() {
  local version="$1" architecture="$2" file
  shift 2
  for file in "$@"; do
    jq -n --arg name "omnitide-agent.${file##*.}" --arg file "$(basename "$file")" --arg sum "$(sha256sum <"$file" | cut -d' ' -f1)" \
      '{name: $name, file: $file, sum: $sum}'
  done | jq -s . >"$STATE/sbom-files"
  jq -s --arg version "$version" --arg architecture "$architecture" --slurpfile artifacts "$STATE/sbom-files" \
    --arg created "$(date -u -d "@$SOURCE_DATE_EPOCH" +%Y-%m-%dT%H:%M:%SZ)" -f .ci/lib/sbom.jq
  rm -f -- "$STATE/sbom-files"
}

# sbom BUILD PACKAGES: the document, for the .deb and the .rpm that lie in the folder PACKAGES.
sbom() {
  local deb rpm sysroot
  sysroot="$(build_sysroot "$1")"
  deb="$(echo "$2"/*.deb)" rpm="$(echo "$2"/*.rpm)"
  {
    shipped_components "$1" && library_path libmosquitto.so.1 | components CONTAINS
  } | document "$(dpkg-deb -f "$deb" Version)" "$(dpkg-deb -f "$deb" Architecture)" "$deb" "$rpm"
}
