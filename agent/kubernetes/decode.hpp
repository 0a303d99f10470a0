// Objects out of bytes, protobuf without its envelope, JSON for custom resources.
#pragma once

#include <string>
#include <string_view>

#include "agent/base/error.hpp"
#include "agent/kubernetes/objects.hpp"
#include "agent/kubernetes/wire.hpp"

namespace omnitide::kubernetes {

struct Decoding {
  std::string own_node;  // containers are kept of its pods alone; empty: of all
};

// What of an object a watch needs.
struct Head {
  Name name;
  std::string resource_version;
  bool initial_events_end = false;  // of a bookmark: the state is whole
};

[[nodiscard]] Result<Head> decode_head(std::string_view bytes, Encoding encoding);

// data_loss: not of this form. Only CustomObject is there in JSON, and it only in JSON.
template <class T>
[[nodiscard]] Result<T> decode(std::string_view bytes, Encoding encoding, const Decoding& decoding);
template <>
[[nodiscard]] Result<Namespace> decode(std::string_view, Encoding, const Decoding&);
template <>
[[nodiscard]] Result<Pod> decode(std::string_view, Encoding, const Decoding&);
template <>
[[nodiscard]] Result<Node> decode(std::string_view, Encoding, const Decoding&);
template <>
[[nodiscard]] Result<NetworkPolicy> decode(std::string_view, Encoding, const Decoding&);
template <>
[[nodiscard]] Result<Lease> decode(std::string_view, Encoding, const Decoding&);
template <>
[[nodiscard]] Result<DaemonSet> decode(std::string_view, Encoding, const Decoding&);
template <>
[[nodiscard]] Result<CustomObject> decode(std::string_view, Encoding, const Decoding&);

}  // namespace omnitide::kubernetes
