#include "agent/kubernetes/decode.hpp"

#include <boost/json.hpp>
#include <utility>

#include "agent/base/text.hpp"
#include "agent/io/crypto.hpp"
#include "agent/kubernetes/json.hpp"
#include "agent/kubernetes/messages.hpp"
#include "omnitide/peer/v1/kubernetes.pb.h"

namespace omnitide::kubernetes {

namespace proto = peer::v1::kubernetes;
namespace json = boost::json;

namespace {

constexpr const char* kInitialEventsEnd = "k8s.io/initial-events-end";
// What the API has of a static pod is a mirror with a UID of its own: pkg/kubelet/types/constants.go.
constexpr const char* kMirror = "kubernetes.io/config.mirror";

struct JsonObject {
  json::value value;
  [[nodiscard]] json::object& metadata() { return value.get_object().find("metadata")->value().get_object(); }
};

Result<JsonObject> json_object(std::string_view bytes) {
  boost::system::error_code problem;
  JsonObject out{json::parse(json::string_view(bytes.data(), bytes.size()), problem)};
  if (problem || !out.value.is_object() || object_member(out.value.get_object(), "metadata") == nullptr)
    return fail(Code::data_loss, "an object is not readable");
  return out;
}

void take_containers(const google::protobuf::RepeatedPtrField<proto::Pod::ContainerStatus>& from, Pod& out) {
  for (const auto& each : from) {
    const std::string& id = each.container_id();
    const std::size_t scheme = id.find("://");
    if (scheme != std::string::npos) out.containers.push_back({each.name(), id.substr(scheme + 3)});
  }
}

void take_ports(const google::protobuf::RepeatedPtrField<proto::Pod::Container>& from, bool sidecars, Pod& out) {
  for (const auto& container : from) {
    if (sidecars && container.restart_policy() != "Always") continue;  // it has ended when the pod serves
    for (const auto& port : container.ports())
      if (!port.name().empty() && port.container_port() > 0 && port.container_port() <= 0xffff)
        out.named_ports.push_back({port.name(), port.protocol().empty() ? std::string("TCP") : port.protocol(),
                                   static_cast<std::uint16_t>(port.container_port())});
  }
}

// Others may be a quarter of a mebibyte, and are nothing to the agent.
template <class Map>
Labels own_annotations(const Map& map) {
  Labels out;
  for (const auto& [key, value] : map)
    if (key.starts_with("omnitide.io/")) out.emplace_back(key, value);
  std::sort(out.begin(), out.end());
  return out;
}

}  // namespace

Uid uid_of(std::string_view text) {
  std::string digits;
  for (const char c : text)
    if (c != '-') digits += c;
  std::optional<std::string> bytes = digits.size() == 32 ? hex_decode(digits) : std::nullopt;
  if (!bytes) bytes = text.empty() ? std::string(16, '\0') : io::sha256(text);
  Uid out{};
  std::copy_n(bytes->begin(), out.size(), out.begin());
  return out;
}

Meta meta_of(const proto::ObjectMeta& message) {
  return {.name = {message.namespace_(), message.name()},
          .uid = uid_of(message.uid()),
          .labels = labels_of(message.labels()),
          .annotations = own_annotations(message.annotations()),
          .terminating = message.has_deletion_timestamp()};
}

WallTime time_of(const proto::Time& message) {
  return WallTime{std::chrono::seconds{message.seconds()} + std::chrono::milliseconds{message.nanos() / 1'000'000}};
}

Result<Head> decode_head(std::string_view bytes, Encoding encoding) {
  Head out;
  if (encoding == Encoding::json) {
    Result<JsonObject> object = json_object(bytes);
    if (object.has_error()) return object.error();
    const json::object& meta = object->metadata();
    out.name = {text_member(meta, "namespace"), text_member(meta, "name")};
    out.resource_version = text_member(meta, "resourceVersion");
    const json::object* annotations = object_member(meta, "annotations");
    out.initial_events_end = annotations != nullptr && text_member(*annotations, kInitialEventsEnd) == "true";
    return out;
  }
  proto::AnyObject object;
  if (Result<> parsed = parse_message(bytes, encoding, object); parsed.has_error()) return parsed.error();
  const proto::ObjectMeta& meta = object.metadata();
  out.name = {meta.namespace_(), meta.name()};
  out.resource_version = meta.resource_version();
  const auto found = meta.annotations().find(kInitialEventsEnd);
  out.initial_events_end = found != meta.annotations().end() && found->second == "true";
  return out;
}

template <>
Result<Namespace> decode(std::string_view bytes, Encoding encoding, const Decoding& /*decoding*/) {
  proto::Namespace message;
  if (Result<> parsed = parse_message(bytes, encoding, message); parsed.has_error()) return parsed.error();
  return Namespace{meta_of(message.metadata())};
}

template <>
Result<Pod> decode(std::string_view bytes, Encoding encoding, const Decoding& decoding) {
  proto::Pod message;
  if (Result<> parsed = parse_message(bytes, encoding, message); parsed.has_error()) return parsed.error();
  Pod out;
  out.meta = meta_of(message.metadata());
  const auto mirror = message.metadata().annotations().find(kMirror);
  out.kubelet_uid = mirror == message.metadata().annotations().end() ? out.meta.uid : uid_of(mirror->second);
  out.node = message.spec().node_name();
  out.host_network = message.spec().host_network();
  out.finished = message.status().phase() == "Succeeded" || message.status().phase() == "Failed";
  for (const auto& address : message.status().pod_ips())
    if (!address.ip().empty()) out.addresses.push_back(address.ip());
  if (out.addresses.empty() && !message.status().pod_ip().empty()) out.addresses.push_back(message.status().pod_ip());
  take_ports(message.spec().containers(), false, out);
  take_ports(message.spec().init_containers(), true, out);
  if (!decoding.own_node.empty() && decoding.own_node != out.node) return out;
  take_containers(message.status().init_container_statuses(), out);
  take_containers(message.status().container_statuses(), out);
  take_containers(message.status().ephemeral_container_statuses(), out);
  return out;
}

template <>
Result<Node> decode(std::string_view bytes, Encoding encoding, const Decoding& /*decoding*/) {
  proto::Node message;
  if (Result<> parsed = parse_message(bytes, encoding, message); parsed.has_error()) return parsed.error();
  Node out;
  out.meta = meta_of(message.metadata());
  for (const auto& address : message.status().addresses())
    out.addresses.emplace_back(address.type(), address.address());
  out.pod_cidrs = texts_of(message.spec().pod_cidrs());
  for (const auto& taint : message.spec().taints())
    out.taints.push_back({taint.key(), taint.value(), taint.effect()});
  out.unschedulable = message.spec().unschedulable();
  return out;
}

template <>
Result<Lease> decode(std::string_view bytes, Encoding encoding, const Decoding& /*decoding*/) {
  proto::Lease message;
  if (Result<> parsed = parse_message(bytes, encoding, message); parsed.has_error()) return parsed.error();
  const proto::Lease::Spec& spec = message.spec();
  Lease out{.meta = meta_of(message.metadata()),
            .holder = spec.holder_identity(),
            .resource_version = message.metadata().resource_version(),
            .duration = std::chrono::seconds(spec.lease_duration_seconds()),
            .acquired = std::nullopt,
            .renewed = std::nullopt,
            .transitions = spec.lease_transitions()};
  if (spec.has_acquire_time()) out.acquired = time_of(spec.acquire_time());
  if (spec.has_renew_time()) out.renewed = time_of(spec.renew_time());
  return out;
}

template <>
Result<DaemonSet> decode(std::string_view bytes, Encoding encoding, const Decoding& /*decoding*/) {
  proto::DaemonSet message;
  if (Result<> parsed = parse_message(bytes, encoding, message); parsed.has_error()) return parsed.error();
  return DaemonSet{meta_of(message.metadata()), message.metadata().generation()};
}

template <>
Result<CustomObject> decode(std::string_view bytes, Encoding encoding, const Decoding& /*decoding*/) {
  if (encoding != Encoding::json) return fail(Code::data_loss, "an object is not in JSON");
  Result<JsonObject> object = json_object(bytes);
  if (object.has_error()) return object.error();
  json::object& meta = object->metadata();
  meta.erase("managedFields");
  CustomObject out;
  out.meta.name = {text_member(meta, "namespace"), text_member(meta, "name")};
  out.meta.uid = uid_of(text_member(meta, "uid"));
  out.meta.terminating = meta.contains("deletionTimestamp");
  if (const json::object* labels = object_member(meta, "labels"))
    for (const auto& [key, value] : *labels)
      if (value.is_string()) out.meta.labels.emplace_back(std::string(key), std::string(value.get_string()));
  std::sort(out.meta.labels.begin(), out.meta.labels.end());
  out.json = json::serialize(object->value);
  return out;
}

}  // namespace omnitide::kubernetes
