// From generated messages to values. Inside of the room.
#pragma once

#include <algorithm>
#include <string_view>

#include "agent/base/error.hpp"
#include "agent/kubernetes/objects.hpp"
#include "agent/kubernetes/wire.hpp"

namespace omnitide::peer::v1::kubernetes {
class ObjectMeta;
class LabelSelector;
class Time;
}  // namespace omnitide::peer::v1::kubernetes

namespace omnitide::kubernetes {

[[nodiscard]] Meta meta_of(const peer::v1::kubernetes::ObjectMeta& message);
[[nodiscard]] Selector selector_of(const peer::v1::kubernetes::LabelSelector& message);
[[nodiscard]] WallTime time_of(const peer::v1::kubernetes::Time& message);

template <class Map>
[[nodiscard]] Labels labels_of(const Map& map) {
  Labels out;
  out.reserve(map.size());
  for (const auto& [key, value] : map)
    out.emplace_back(key, value);
  std::sort(out.begin(), out.end());
  return out;
}

template <class Repeated>
[[nodiscard]] std::vector<std::string> texts_of(const Repeated& in) {
  return {in.begin(), in.end()};
}

template <class Message>
[[nodiscard]] Result<> parse_message(std::string_view bytes, Encoding encoding, Message& out) {
  if (encoding == Encoding::protobuf && out.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) return {};
  return fail(Code::data_loss, "an object is not readable");
}

}  // namespace omnitide::kubernetes
