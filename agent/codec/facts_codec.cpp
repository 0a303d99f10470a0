#include "agent/codec/facts_codec.hpp"

#include <fmt/format.h>
#include <google/protobuf/descriptor.h>
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <google/protobuf/message.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <limits>
#include <optional>
#include <tuple>
#include <type_traits>
#include <utility>

#include "agent/base/text.hpp"
#include "agent/model/fields.hpp"
#include "omnitide/node/v1/common.pb.h"
#include "omnitide/node/v1/facts.pb.h"

namespace omnitide::codec {

namespace {

namespace pb = google::protobuf;

// Message and model have the same fields by name (tests/unit/codec proves it), so that one walk over
// model::Fields<S>::list writes, and another reads, every struct.

struct Slot {
  const pb::Reflection& reflection;
  const pb::FieldDescriptor* field;
};

// The message's fields in the order of the struct's, looked up once in a process.
template <model::HasFields S>
const auto& fields_of(const pb::Descriptor& type) {
  static const auto kFields = [&type] {
    std::array<const pb::FieldDescriptor*, std::tuple_size_v<decltype(model::Fields<S>::list)>> fields{};
    std::size_t index = 0;
    model::for_each_field<S>(
        [&](const auto& field) { fields.at(index++) = type.FindFieldByName(std::string(field.name)); });
    return fields;
  }();
  return kFields;
}

// Calls visit(slot, member) for each field that both sides have.
template <class S, class Visitor>
void for_each_slot(const pb::Message& message, S& value, Visitor visit) {
  const auto& fields = fields_of<std::remove_const_t<S>>(*message.GetDescriptor());
  const pb::Reflection& reflection = *message.GetReflection();
  std::size_t index = 0;
  model::for_each_field<std::remove_const_t<S>>([&](const auto& field) {
    const pb::FieldDescriptor* there = fields[index++];
    if (there != nullptr) visit(Slot{reflection, there}, value.*field.member);
  });
}

void write(const model::HasFields auto& from, pb::Message& to);

void put(Slot slot, pb::Message& to, const std::string& value) {
  if (!value.empty()) slot.reflection.SetString(&to, slot.field, valid_utf8(value));
}
void put(Slot slot, pb::Message& to, bool value) { slot.reflection.SetBool(&to, slot.field, value); }
void put(Slot slot, pb::Message& to, std::uint32_t value) { slot.reflection.SetUInt32(&to, slot.field, value); }
void put(Slot slot, pb::Message& to, std::int32_t value) { slot.reflection.SetInt32(&to, slot.field, value); }
void put(Slot slot, pb::Message& to, std::uint64_t value) { slot.reflection.SetUInt64(&to, slot.field, value); }
void put(Slot slot, pb::Message& to, const model::HasFields auto& value) {
  write(value, *slot.reflection.MutableMessage(&to, slot.field));
}
template <class T>
void put(Slot slot, pb::Message& to, const std::optional<T>& value) {
  if (value) put(slot, to, *value);
}
void put(Slot slot, pb::Message& to, const std::vector<std::string>& values) {
  for (const std::string& value : values)
    slot.reflection.AddString(&to, slot.field, valid_utf8(value));
}
template <model::HasFields T>
void put(Slot slot, pb::Message& to, const std::vector<T>& values) {
  for (const T& value : values)
    write(value, *slot.reflection.AddMessage(&to, slot.field));
}

void write(const model::HasFields auto& from, pb::Message& to) {
  for_each_slot(to, from, [&to](Slot slot, const auto& member) { put(slot, to, member); });
}

void read(const pb::Message& from, model::HasFields auto& to);

void get(Slot slot, const pb::Message& from, std::string& value) {
  value = slot.reflection.GetString(from, slot.field);
}
void get(Slot slot, const pb::Message& from, bool& value) { value = slot.reflection.GetBool(from, slot.field); }
void get(Slot slot, const pb::Message& from, std::uint32_t& value) {
  value = slot.reflection.GetUInt32(from, slot.field);
}
void get(Slot slot, const pb::Message& from, std::int32_t& value) {
  value = slot.reflection.GetInt32(from, slot.field);
}
void get(Slot slot, const pb::Message& from, std::uint64_t& value) {
  value = slot.reflection.GetUInt64(from, slot.field);
}
void get(Slot slot, const pb::Message& from, model::HasFields auto& value) {
  read(slot.reflection.GetMessage(from, slot.field), value);
}
template <class T>
void get(Slot slot, const pb::Message& from, std::optional<T>& value) {
  if (slot.reflection.HasField(from, slot.field)) get(slot, from, value.emplace());
}
void get(Slot slot, const pb::Message& from, std::vector<std::string>& values) {
  const int count = slot.reflection.FieldSize(from, slot.field);
  values.reserve(static_cast<std::size_t>(count));
  for (int i = 0; i < count; ++i)
    values.push_back(slot.reflection.GetRepeatedString(from, slot.field, i));
}
template <model::HasFields T>
void get(Slot slot, const pb::Message& from, std::vector<T>& values) {
  const int count = slot.reflection.FieldSize(from, slot.field);
  values.resize(static_cast<std::size_t>(count));
  for (int i = 0; i < count; ++i)
    read(slot.reflection.GetRepeatedMessage(from, slot.field, i), values[static_cast<std::size_t>(i)]);
}

void read(const pb::Message& from, model::HasFields auto& to) {
  for_each_slot(from, to, [&from](Slot slot, auto& member) { get(slot, from, member); });
}

std::string serialize(const pb::Message& message) {
  std::string bytes;
  pb::io::StringOutputStream stream(&bytes);
  pb::io::CodedOutputStream coded(&stream);
  coded.SetSerializationDeterministic(true);
  message.SerializeToCodedStream(&coded);
  coded.Trim();
  return bytes;
}

Result<> parse(std::string_view bytes, pb::Message& message, std::string_view what) {
  if (bytes.size() > kMaxFactsBytes)
    return fail(Code::resource_exhausted,
                fmt::format("{} of {} bytes are more than the {} taken", what, bytes.size(), kMaxFactsBytes));
  static_assert(kMaxFactsBytes <= std::numeric_limits<int>::max());
  if (!message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())))
    return fail(Code::data_loss, fmt::format("the {} are no valid message", what));
  return {};
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
  out.Clear();
  write(facts, out);
}

void from_proto(const node::v1::NodeFacts& facts, model::NodeFacts& out) {
  out = {};
  read(facts, out);
}

void to_proto(std::span<const model::Condition> conditions, node::v1::Conditions& out) {
  using std::chrono::duration_cast;
  out.Clear();
  for (const model::Condition& condition : conditions) {
    node::v1::Condition& item = *out.add_items();
    item.set_type(valid_utf8(condition.type));
    item.set_status(status_to_proto(condition.status));
    item.set_reason(valid_utf8(condition.reason));
    item.set_message(valid_utf8(condition.message));
    const auto since = condition.since.time_since_epoch();
    const auto seconds = std::chrono::floor<std::chrono::seconds>(since);
    item.mutable_since()->set_seconds(seconds.count());
    item.mutable_since()->set_nanos(
        static_cast<std::int32_t>(duration_cast<std::chrono::nanoseconds>(since - seconds).count()));
  }
}

std::vector<model::Condition> from_proto(const node::v1::Conditions& conditions) {
  // Timestamp's own range, year 1 to 9999: seconds outside it would overflow milliseconds.
  constexpr std::int64_t kFirst = -62135596800, kLast = 253402300799;
  std::vector<model::Condition> out;
  out.reserve(static_cast<std::size_t>(conditions.items_size()));
  for (const node::v1::Condition& item : conditions.items()) {
    const auto millis = std::chrono::milliseconds(std::clamp(item.since().seconds(), kFirst, kLast) * 1000 +
                                                  std::clamp(item.since().nanos(), 0, 999'999'999) / 1'000'000);
    out.push_back({.type = item.type(),
                   .status = status_from_proto(item.status()),
                   .reason = item.reason(),
                   .message = item.message(),
                   .since = std::chrono::sys_time<std::chrono::milliseconds>(millis)});
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
  node::v1::NodeFacts message;
  to_proto(facts, message);
  return serialize(message);
}

std::string serialize_conditions(std::span<const model::Condition> conditions) {
  node::v1::Conditions message;
  to_proto(conditions, message);
  return serialize(message);
}

Result<model::NodeFacts> parse_facts(std::string_view bytes) {
  node::v1::NodeFacts message;
  if (const Result<> parsed = parse(bytes, message, "facts"); !parsed) return parsed.error();
  model::NodeFacts facts;
  from_proto(message, facts);
  return facts;
}

Result<std::vector<model::Condition>> parse_conditions(std::string_view bytes) {
  node::v1::Conditions message;
  if (const Result<> parsed = parse(bytes, message, "conditions"); !parsed) return parsed.error();
  return from_proto(message);
}

}  // namespace omnitide::codec
