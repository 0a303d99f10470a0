# The lines of .ci/lib/sbom.sh as one SPDX 2.3 document. A package that several relations name is described once.
def id: "SPDXRef-" + gsub("[^A-Za-z0-9.-]"; "-");
def described($name; $file; $sum): {
  SPDXID: ($name | id), name: $name, versionInfo: $version, packageFileName: $file, primaryPackagePurpose: "INSTALL",
  supplier: "Organization: Omnitide", downloadLocation: "NOASSERTION", filesAnalyzed: false, licenseConcluded: "MIT",
  licenseDeclared: "MIT", copyrightText: "2026 The Omnitide authors",
  checksums: [{algorithm: "SHA256", checksumValue: $sum}]
};
def component: {
  SPDXID: (.name | id), name, versionInfo: .version, supplier: ("Organization: " + .maintainer), downloadLocation: "NOASSERTION",
  filesAnalyzed: false, licenseConcluded: "NOASSERTION", licenseDeclared: "NOASSERTION", copyrightText: "NOASSERTION",
  sourceInfo: "Debian source package \(.source) \(.sourceVersion); its licenses: /usr/share/doc/\(.name)/copyright",
  externalRefs: [{referenceCategory: "PACKAGE-MANAGER", referenceType: "purl",
    referenceLocator: "pkg:deb/debian/\(.name)@\(.version | @uri)?arch=\(.architecture)"}]
};
def relationship: (.name | id) as $it | if .relation == "BUILD_DEPENDENCY_OF"
  then {spdxElementId: $it, relationshipType: .relation, relatedSpdxElement: "SPDXRef-omnitide-agent",
        comment: "headers; code of templates and inline functions is compiled in"}
  else {spdxElementId: "SPDXRef-omnitide-agent", relationshipType: .relation, relatedSpdxElement: $it, comment: (.files | join(" "))}
  end;
$artifacts[0] as $files | . as $all | {
  spdxVersion: "SPDX-2.3", dataLicense: "CC0-1.0", SPDXID: "SPDXRef-DOCUMENT", name: "omnitide-agent-\($version)-\($architecture)",
  documentNamespace: "https://omnitide.io/spdx/omnitide-agent-\($version)-\($architecture)-\($files[0].sum)",
  creationInfo: {created: $created, creators: ["Organization: Omnitide", "Tool: omnitide-dev-package"]},
  packages: ([
    ($files[] | described(.name; .file; .sum)),
    (described("omnitide-agent"; ""; "") | del(.packageFileName, .checksums) | .primaryPackagePurpose = "APPLICATION")
  ] + ($all | group_by(.name) | map(.[0] | component))),
  relationships: ([
    ($files[] | (.name | id) as $it |
      {spdxElementId: "SPDXRef-DOCUMENT", relationshipType: "DESCRIBES", relatedSpdxElement: $it},
      {spdxElementId: $it, relationshipType: "CONTAINS", relatedSpdxElement: "SPDXRef-omnitide-agent"})
  ] + ($all | map(relationship)))
}
