// v1 Namespace, Pod and Node: the few fields that policy needs. Fields that are not known here are skipped.
#include <fmt/format.h>

#include <algorithm>

#include "agent/base/text.hpp"
#include "agent/policy/common.hpp"
#include "agent/policy/words.hpp"

namespace omnitide::policy {

namespace {

constexpr std::string_view kNamespaceName = "kubernetes.io/metadata.name";
constexpr std::string_view kInterface = "omnitide.io/interface", kAllowSource = "omnitide.io/allow-source";

std::optional<Address> read_address(Reader& reader, const Field& field) {
  const auto text = reader.text(field);
  if (!text || text->empty()) return std::nullopt;
  const auto address = parse_address(*text);
  if (!address) reader.fault(field, fmt::format("\"{}\" is no IP address", printable(*text, 80)));
  return address;
}

void read_pod_addresses(Reader& reader, const Field& status, Pod& out) {
  const Field list = status["podIPs"];
  if (list && reader.list(list)) {
    for (const Field item : list) {
      if (!reader.map(item)) continue;
      const auto address = read_address(reader, item["ip"]);
      if (!address) continue;
      const bool twice = std::any_of(out.addresses.begin(), out.addresses.end(),
                                     [&](const Address& other) { return other.is_v4() == address->is_v4(); });
      if (twice) reader.fault(item, "is a second address of the same family");
      out.addresses.push_back(*address);
    }
  }
  if (!out.addresses.empty()) return;
  if (const auto address = read_address(reader, status["podIP"])) out.addresses.push_back(*address);
}

void read_container_ports(Reader& reader, const Field& container, Pod& out) {
  const Field list = container["ports"];
  if (!reader.list(list)) return;
  for (const Field port : list) {
    if (!reader.map(port)) continue;
    if (!port["containerPort"]) reader.missing(port, "containerPort");
    const auto number = reader.number(port["containerPort"], 1, kMostPort);
    const auto protocol = read_protocol(reader, port["protocol"]);
    const auto name = reader.text(port["name"]);
    if (!name || name->empty()) continue;
    const std::string_view wrong = wrong_port_name(*name);
    if (!wrong.empty()) reader.fault(port["name"], fmt::format("the name \"{}\" {}", printable(*name, 80), wrong));
    if (number && protocol) out.ports.push_back({std::string(*name), *protocol, static_cast<std::uint16_t>(*number)});
  }
}

void read_containers(Reader& reader, const Field& spec, Pod& out) {
  const auto each = [&reader, &out](const Field& list, bool initial) {
    if (!reader.list(list)) return;
    for (const Field container : list) {
      if (!reader.map(container)) continue;
      // An init container that always restarts is a sidecar and serves as long as the pod does.
      const Field restart = container["restartPolicy"];
      const bool sidecar = restart.is_scalar() && restart.word() == "Always";
      if (!initial || sidecar) read_container_ports(reader, container, out);
    }
  };
  each(spec["containers"], false);
  each(spec["initContainers"], true);
  std::sort(out.ports.begin(), out.ports.end());
  out.ports.erase(std::unique(out.ports.begin(), out.ports.end()), out.ports.end());
}

void read_annotations(Reader& reader, Pod& out) {
  const Field annotations = reader.root()["metadata"]["annotations"];
  const std::string_view device = annotation(reader, kInterface);
  const std::string_view wrong = device.empty() ? std::string_view{} : wrong_interface(device);
  if (wrong.empty()) {
    out.interface = device;
  } else {
    reader.remark(annotations[kInterface], fmt::format("\"{}\" {}; the device is looked for by the pod's address",
                                                       printable(device, 80), wrong));
  }
  const std::string_view source = annotation(reader, kAllowSource);
  out.any_source = source == "any";
  if (source.empty() || out.any_source) return;
  reader.remark(annotations[kAllowSource],
                fmt::format("\"{}\" means nothing here; source addresses are checked", printable(source, 80)),
                "the one value is any");
}

}  // namespace

Namespace read_namespace(Reader& reader) {
  Namespace out;
  const Field root = reader.root();
  check_metadata(reader, ObjectKey::Kind::name_space);
  out.name = named(ObjectKey::Kind::name_space, root).name;
  out.labels = read_labels(reader, root["metadata"]["labels"]);
  // The API server sets this label on every namespace, whatever a client says.
  std::erase_if(out.labels, [](const auto& label) { return label.first == kNamespaceName; });
  out.labels.emplace_back(kNamespaceName, out.name);
  std::sort(out.labels.begin(), out.labels.end());
  return out;
}

Pod read_pod(Reader& reader) {
  Pod out;
  const Field root = reader.root();
  check_metadata(reader, ObjectKey::Kind::pod);
  const ObjectKey key = named(ObjectKey::Kind::pod, root);
  out.name = key.name;
  out.name_space = key.name_space;
  out.labels = read_labels(reader, root["metadata"]["labels"]);
  read_annotations(reader, out);
  const Field spec = root["spec"], status = root["status"];
  if (reader.map(spec)) {
    out.node = reader.text(spec["nodeName"]).value_or(std::string_view{});
    out.host_network = reader.truth(spec["hostNetwork"]).value_or(false);
    read_containers(reader, spec, out);
  }
  if (reader.map(status)) {
    // A terminating pod (metadata.deletionTimestamp) is not finished yet and stays governed.
    const auto phase = reader.text(status["phase"]);
    out.finished = phase == "Succeeded" || phase == "Failed";
    read_pod_addresses(reader, status, out);
  }
  return out;
}

Node read_node(Reader& reader) {
  Node out;
  const Field root = reader.root();
  check_metadata(reader, ObjectKey::Kind::node);
  out.name = named(ObjectKey::Kind::node, root).name;
  out.labels = read_labels(reader, root["metadata"]["labels"]);
  const Field status = root["status"];
  if (!reader.map(status) || !reader.list(status["addresses"])) return out;
  for (const Field item : status["addresses"]) {
    if (!reader.map(item)) continue;
    const auto type = reader.text(item["type"]);
    if (type != "InternalIP" && type != "ExternalIP") continue;
    const auto address = read_address(reader, item["address"]);
    if (address) out.addresses.push_back(*address);
  }
  std::sort(out.addresses.begin(), out.addresses.end());
  out.addresses.erase(std::unique(out.addresses.begin(), out.addresses.end()), out.addresses.end());
  return out;
}

}  // namespace omnitide::policy
