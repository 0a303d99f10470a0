# shellcheck shell=bash
# An OCI archive by tar and jq: blobs under their digests, without anything of the build's time in them.

# blob FOLDER < CONTENT: keeps it under its digest, and prints {digest, size}.
blob() {
  local file digest
  file="$(mktemp "$1/new.XXXXXX")"
  cat >"$file"
  digest="$(sha256sum <"$file" | cut -d' ' -f1)"
  mv "$file" "$1/$digest"
  chmod 644 "$1/$digest"
  jq -nc --arg digest "sha256:$digest" --argjson size "$(stat -c %s "$1/$digest")" '{digest: $digest, size: $size}'
}

plain_tar() {
  tar --create --format=gnu --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$SOURCE_DATE_EPOCH" "$@"
}

# oci_manifest ROOT ARCHITECTURE OCI: the files in ROOT as one layer, its configuration and its manifest, as blobs below OCI. Prints the
# descriptor of the manifest.
oci_manifest() {
  local root="$1" architecture="$2" blobs="$3/blobs/sha256" layer content config created version
  created="$(date -u -d "@$SOURCE_DATE_EPOCH" +%Y-%m-%dT%H:%M:%SZ)"
  version="$(project_version)"
  mkdir -p "$blobs"
  plain_tar --file="$3/layer.tar" --directory="$root" .
  content="sha256:$(sha256sum <"$3/layer.tar" | cut -d' ' -f1)"
  layer="$(gzip -9nc "$3/layer.tar" | blob "$blobs")"
  rm -f -- "$3/layer.tar"
  config="$(jq -nc --arg created "$created" --arg content "$content" --arg version "$version" --arg architecture "$architecture" '{
    architecture: $architecture, os: "linux", created: $created, rootfs: {type: "layers", diff_ids: [$content]},
    history: [{created: $created, created_by: "./dev image"}],
    config: {Entrypoint: ["/usr/bin/omnitide-agent"], Cmd: ["run"], Env: ["PATH=/usr/bin"], WorkingDir: "/", Labels: {
      "org.opencontainers.image.title": "omnitide-agent", "org.opencontainers.image.version": $version,
      "org.opencontainers.image.licenses": "MIT"}}}' | blob "$blobs")"
  jq -nc --argjson config "$config" --argjson layer "$layer" '{schemaVersion: 2,
    mediaType: "application/vnd.oci.image.manifest.v1+json",
    config: ({mediaType: "application/vnd.oci.image.config.v1+json"} + $config),
    layers: [{mediaType: "application/vnd.oci.image.layer.v1.tar+gzip"} + $layer]}' | blob "$blobs" |
    jq -c --arg architecture "$architecture" '{mediaType: "application/vnd.oci.image.manifest.v1+json"} + .
      + {platform: {architecture: $architecture, os: "linux"}}'
}

# oci_index OCI < DESCRIPTORS: of manifests for several processors, one index as a blob. Prints its descriptor.
oci_index() {
  jq -sc '{schemaVersion: 2, mediaType: "application/vnd.oci.image.index.v1+json", manifests: .}' | blob "$1/blobs/sha256" |
    jq -c '{mediaType: "application/vnd.oci.image.index.v1+json"} + .'
}

# oci_archive OCI DESCRIPTOR OUT: what the descriptor leads to, under the name of the image.
oci_archive() {
  jq -nc --argjson it "$2" --arg name "$IMAGE_NAME" '{schemaVersion: 2, mediaType: "application/vnd.oci.image.index.v1+json",
    manifests: [$it + {annotations: {"io.containerd.image.name": $name, "org.opencontainers.image.ref.name": $name}}]}' >"$1/index.json"
  printf '{"imageLayoutVersion":"1.0.0"}' >"$1/oci-layout"
  plain_tar --file="$3" --directory="$1" oci-layout index.json blobs
}
