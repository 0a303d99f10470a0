#include "agent/codec/facts_codec.hpp"

#include <fmt/format.h>
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <google/protobuf/message_lite.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <concepts>
#include <cstdint>
#include <limits>
#include <optional>
#include <tuple>
#include <type_traits>
#include <utility>

#include "agent/base/text.hpp"
#include "agent/base/wire.hpp"
#include "agent/codec/schema.hpp"
#include "agent/codec/time.hpp"
#include "agent/model/fields.hpp"
#include "omnitide/node/v1/common.pb.h"
#include "omnitide/node/v1/facts.pb.h"

namespace omnitide::codec {

namespace {

// Message and model have the same fields by name, in the order of their numbers (tests/unit/codec proves both), so that
// one walk over model::Fields<S>::list writes the message's bytes, and another reads them, for every struct.

// The message's fields in the order of the struct's, looked up once in a process.
template <model::HasFields S>
const auto& fields_of(const MessageType& type) {
  static const auto kFields = [&type] {
    std::array<const FieldType*, std::tuple_size_v<decltype(model::Fields<S>::list)>> fields{};
    std::size_t index = 0;
    model::for_each_field<S>([&](const auto& field) { fields.at(index++) = type.field(field.name); });
    return fields;
  }();
  return kFields;
}

// Calls visit(field, member) for each field that both sides have.
template <class S, class Visitor>
void for_each_slot(const MessageType& type, S& value, Visitor visit) {
  const auto& fields = fields_of<std::remove_const_t<S>>(type);
  std::size_t index = 0;
  model::for_each_field<std::remove_const_t<S>>([&](const auto& field) {
    const FieldType* there = fields[index++];
    if (there != nullptr) visit(*there, value.*field.member);
  });
}

void write(const model::HasFields auto& from, const MessageType& type, std::string& to);

void put_text(const FieldType& field, std::string& to, const std::string& value) {
  put_field(to, field.number, std::string_view(valid_utf8(value)));
}
void put(const FieldType& field, std::string& to, const std::string& value) {
  if (!value.empty()) put_text(field, to, value);
}
// A zero is what stands for itself, but where a value may be missing. Negative numbers have all bits of 64.
template <std::integral T>
void put(const FieldType& field, std::string& to, T value) {
  if (value != 0 || field.presence) put_field(to, field.number, static_cast<std::uint64_t>(value));
}
void put(const FieldType& field, std::string& to, const model::HasFields auto& value) {
  std::string inner;
  write(value, *field.message, inner);
  put_field(to, field.number, std::string_view(inner));
}
template <class T>
void put(const FieldType& field, std::string& to, const std::optional<T>& value) {
  if (value) put(field, to, *value);
}
void put(const FieldType& field, std::string& to, const std::vector<std::string>& values) {
  for (const std::string& value : values)
    put_text(field, to, value);
}
template <model::HasFields T>
void put(const FieldType& field, std::string& to, const std::vector<T>& values) {
  for (const T& value : values)
    put(field, to, value);
}

void write(const model::HasFields auto& from, const MessageType& type, std::string& to) {
  for_each_slot(type, from, [&to](const FieldType& field, const auto& member) { put(field, to, member); });
}

using Piece = WireReader::Field;

bool read(std::string_view bytes, const MessageType& type, model::HasFields auto& to);

// Whether the piece is of the field's type.
bool get(const FieldType& /*field*/, const Piece& from, std::string& value) {
  value = from.bytes;
  return from.wire == Wire::bytes && valid_utf8(from.bytes) == from.bytes;
}
template <std::integral T>
bool get(const FieldType& /*field*/, const Piece& from, T& value) {
  value = static_cast<T>(from.value);
  return from.wire == Wire::varint;
}
bool get(const FieldType& field, const Piece& from, model::HasFields auto& value) {
  return from.wire == Wire::bytes && read(from.bytes, *field.message, value);
}
template <class T>
bool get(const FieldType& field, const Piece& from, std::optional<T>& value) {
  return get(field, from, value ? *value : value.emplace());
}
template <class T>
bool get(const FieldType& field, const Piece& from, std::vector<T>& values) {
  return get(field, from, values.emplace_back());
}

// False when the bytes are no such message. Fields that this version does not know are passed over.
bool read(std::string_view bytes, const MessageType& type, model::HasFields auto& to) {
  WireReader reader(bytes);
  bool good = true;
  while (const auto piece = reader.next()) {
    for_each_slot(type, to, [&](const FieldType& field, auto& member) {
      if (field.number == piece->number) good = get(field, *piece, member) && good;
    });
  }
  return good && reader.good();
}

const MessageType& facts_type() { return message_type("omnitide.node.v1.NodeFacts"); }

std::string serialize(const google::protobuf::MessageLite& message) {
  namespace io = google::protobuf::io;
  std::string bytes;
  io::StringOutputStream stream(&bytes);
  io::CodedOutputStream coded(&stream);
  coded.SetSerializationDeterministic(true);
  message.SerializeToCodedStream(&coded);
  coded.Trim();
  return bytes;
}

Result<> check_size(std::string_view bytes, std::string_view what) {
  if (bytes.size() <= kMaxFactsBytes) return {};
  return fail(Code::resource_exhausted,
              fmt::format("{} of {} bytes are more than the {} taken", what, bytes.size(), kMaxFactsBytes));
}

Error no_message(std::string_view what) {
  return fail(Code::data_loss, fmt::format("the {} are no valid message", what));
}

node::v1::ConditionStatus status_to_proto(model::ConditionStatus status) {
  switch (status) {
    case model::ConditionStatus::true_: return node::v1::CONDITION_STATUS_TRUE;
    case model::ConditionStatus::false_: return node::v1::CONDITION_STATUS_FALSE;
    case model::ConditionStatus::unknown: break;
  }
  return node::v1::CONDITION_STATUS_UNKNOWN;
}

model::ConditionStatus status_from_proto(node::v1::ConditionStatus status) {
  if (status == node::v1::CONDITION_STATUS_TRUE) return model::ConditionStatus::true_;
  if (status == node::v1::CONDITION_STATUS_FALSE) return model::ConditionStatus::false_;
  return model::ConditionStatus::unknown;
}

}  // namespace

void to_proto(const model::NodeFacts& facts, node::v1::NodeFacts& out) {
  std::string bytes;
  write(facts, facts_type(), bytes);
  out.ParseFromString(bytes);
}

void from_proto(const node::v1::NodeFacts& facts, model::NodeFacts& out) {
  out = {};
  read(facts.SerializePartialAsString(), facts_type(), out);
}

void to_proto(std::span<const model::Condition> conditions, node::v1::Conditions& out) {
  out.Clear();
  for (const model::Condition& condition : conditions) {
    node::v1::Condition& item = *out.add_items();
    item.set_type(valid_utf8(condition.type));
    item.set_status(status_to_proto(condition.status));
    item.set_reason(valid_utf8(condition.reason));
    item.set_message(valid_utf8(condition.message));
    set_time(condition.since, *item.mutable_since());
  }
}

std::vector<model::Condition> from_proto(const node::v1::Conditions& conditions) {
  std::vector<model::Condition> out;
  out.reserve(static_cast<std::size_t>(conditions.items_size()));
  for (const node::v1::Condition& item : conditions.items()) {
    out.push_back({.type = item.type(),
                   .status = status_from_proto(item.status()),
                   .reason = item.reason(),
                   .message = item.message(),
                   .since = time_of(item.since())});
  }
  return out;
}

void to_proto(const model::Sample& sample, node::v1::Sample& out) {
  out.Clear();
  out.set_value(sample.value);
  if (sample.descriptor == nullptr) return;
  out.set_name(std::string(sample.descriptor->name));
  out.set_unit(std::string(sample.descriptor->unit));
  const std::size_t count = std::min(sample.labels.size(), sample.descriptor->labels.size());
  for (std::size_t i = 0; i < count; ++i)
    (*out.mutable_labels())[std::string(sample.descriptor->labels[i])] = valid_utf8(sample.labels[i]);
}

std::string serialize_facts(const model::NodeFacts& facts) {
  std::string bytes;
  write(facts, facts_type(), bytes);
  return bytes;
}

std::string serialize_conditions(std::span<const model::Condition> conditions) {
  node::v1::Conditions message;
  to_proto(conditions, message);
  return serialize(message);
}

Result<model::NodeFacts> parse_facts(std::string_view bytes) {
  if (const Result<> fits = check_size(bytes, "facts"); !fits) return fits.error();
  model::NodeFacts facts;
  if (!read(bytes, facts_type(), facts)) return no_message("facts");
  return facts;
}

Result<std::vector<model::Condition>> parse_conditions(std::string_view bytes) {
  if (const Result<> fits = check_size(bytes, "conditions"); !fits) return fits.error();
  static_assert(kMaxFactsBytes <= std::numeric_limits<int>::max());
  node::v1::Conditions message;
  if (!message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) return no_message("conditions");
  return from_proto(message);
}

}  // namespace omnitide::codec
