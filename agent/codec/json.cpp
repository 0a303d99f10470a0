#include "agent/codec/json.hpp"

#include <fmt/format.h>
#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>
#include <google/protobuf/timestamp.pb.h>
#include <google/protobuf/util/json_util.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <utility>
#include <vector>

#include "agent/base/clock.hpp"
#include "agent/base/text.hpp"
#include "agent/codec/document.hpp"

namespace omnitide::codec {

namespace {

namespace pb = google::protobuf;
using Type = pb::FieldDescriptor::CppType;

void write_message(const pb::Message& message, DocumentWriter& out);

void write_timestamp(const pb::Timestamp& time, DocumentWriter& out) {
  constexpr std::int64_t kFirst = -62135596800, kLast = 253402300799;  // year 1 to 9999, Timestamp's own range
  const std::int64_t seconds = std::clamp(time.seconds(), kFirst, kLast);
  const int millis = std::clamp(time.nanos(), 0, 999'999'999) / 1'000'000;
  out.text(format_rfc3339(WallTime(std::chrono::milliseconds(seconds * 1000 + millis))));
}

void write_double(double value, DocumentWriter& out) {
  if (std::isnan(value)) return out.text("NaN");
  if (std::isinf(value)) return out.text(value > 0 ? "Infinity" : "-Infinity");
  out.literal(fmt::format("{}", value));
}

void write_enum(const pb::FieldDescriptor* field, int number, DocumentWriter& out) {
  const pb::EnumValueDescriptor* value = field->enum_type()->FindValueByNumber(number);
  if (value == nullptr) return out.literal(fmt::format("{}", number));
  out.text(value->name());
}

void write_text(const pb::FieldDescriptor* field, const std::string& value, DocumentWriter& out) {
  out.text(field->type() == pb::FieldDescriptor::TYPE_BYTES ? base64_encode(value) : value);
}

// `index` is the place in a repeated field, or -1.
void write_value(const pb::Message& m, const pb::FieldDescriptor* f, int index, DocumentWriter& out) {
  const pb::Reflection& r = *m.GetReflection();
  const bool many = index >= 0;
  std::string scratch;
  switch (f->cpp_type()) {
    case Type::CPPTYPE_INT32:
      return out.literal(fmt::format("{}", many ? r.GetRepeatedInt32(m, f, index) : r.GetInt32(m, f)));
    case Type::CPPTYPE_UINT32:
      return out.literal(fmt::format("{}", many ? r.GetRepeatedUInt32(m, f, index) : r.GetUInt32(m, f)));
    case Type::CPPTYPE_INT64:
      return out.literal(fmt::format("\"{}\"", many ? r.GetRepeatedInt64(m, f, index) : r.GetInt64(m, f)));
    case Type::CPPTYPE_UINT64:
      return out.literal(fmt::format("\"{}\"", many ? r.GetRepeatedUInt64(m, f, index) : r.GetUInt64(m, f)));
    case Type::CPPTYPE_DOUBLE: return write_double(many ? r.GetRepeatedDouble(m, f, index) : r.GetDouble(m, f), out);
    case Type::CPPTYPE_FLOAT:
      return write_double(static_cast<double>(many ? r.GetRepeatedFloat(m, f, index) : r.GetFloat(m, f)), out);
    case Type::CPPTYPE_BOOL:
      return out.literal((many ? r.GetRepeatedBool(m, f, index) : r.GetBool(m, f)) ? "true" : "false");
    case Type::CPPTYPE_ENUM:
      return write_enum(f, many ? r.GetRepeatedEnumValue(m, f, index) : r.GetEnumValue(m, f), out);
    case Type::CPPTYPE_STRING:
      return write_text(
          f, many ? r.GetRepeatedStringReference(m, f, index, &scratch) : r.GetStringReference(m, f, &scratch), out);
    case Type::CPPTYPE_MESSAGE:
      return write_message(many ? r.GetRepeatedMessage(m, f, index) : r.GetMessage(m, f), out);
  }
}

// Maps have no order of their own: by key, so that the same message gives the same text.
void write_map(const pb::Message& m, const pb::FieldDescriptor* f, DocumentWriter& out) {
  const pb::Reflection& r = *m.GetReflection();
  const pb::FieldDescriptor* key = f->message_type()->map_key();
  const pb::FieldDescriptor* value = f->message_type()->map_value();
  std::vector<std::pair<std::string, const pb::Message*>> entries;
  for (int i = 0; i < r.FieldSize(m, f); ++i) {
    const pb::Message& entry = r.GetRepeatedMessage(m, f, i);
    entries.emplace_back(entry.GetReflection()->GetString(entry, key), &entry);
  }
  std::sort(entries.begin(), entries.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  out.begin_object(entries.size());
  for (const auto& [name, entry] : entries) {
    out.key(name);
    write_value(*entry, value, -1, out);
  }
  out.end_object();
}

bool is_shown(const pb::Message& m, const pb::FieldDescriptor* f) {
  if (f->is_repeated()) return true;
  const pb::Reflection& r = *m.GetReflection();
  if (f->has_presence() || f->cpp_type() == Type::CPPTYPE_STRING) return r.HasField(m, f);
  return true;
}

void write_field(const pb::Message& m, const pb::FieldDescriptor* f, DocumentWriter& out) {
  out.key(f->json_name());
  if (f->is_map()) return write_map(m, f, out);
  if (!f->is_repeated()) return write_value(m, f, -1, out);
  const int count = m.GetReflection()->FieldSize(m, f);
  out.begin_list(static_cast<std::size_t>(count));
  for (int i = 0; i < count; ++i)
    write_value(m, f, i, out);
  out.end_list();
}

void write_message(const pb::Message& message, DocumentWriter& out) {
  const pb::Descriptor& type = *message.GetDescriptor();
  if (&type == pb::Timestamp::descriptor()) {
    return write_timestamp(static_cast<const pb::Timestamp&>(message), out);
  }
  std::size_t count = 0;
  for (int i = 0; i < type.field_count(); ++i)
    count += is_shown(message, type.field(i)) ? 1U : 0U;
  out.begin_object(count);
  for (int i = 0; i < type.field_count(); ++i) {
    if (is_shown(message, type.field(i))) write_field(message, type.field(i), out);
  }
  out.end_object();
}

Error not_json(std::string_view why) { return fail(Code::invalid_argument, fmt::format("not valid JSON: {}", why)); }

// The parser behind takes more than JSON (single quotes) and recurses: what it must not see is refused here.
Result<> check_shape(std::string_view text) {
  if (text.size() > kMaxJsonBytes)
    return fail(Code::resource_exhausted, fmt::format("{} bytes of JSON are more than {}", text.size(), kMaxJsonBytes));
  int depth = 0;
  bool quoted = false, escaped = false;
  for (const char c : text) {
    if (quoted) {
      if (!escaped && c == '"') quoted = false;
      escaped = !escaped && c == '\\';
      continue;
    }
    if (c == '"') quoted = true;
    if (c == '\'') return not_json("single quotes");
    if (c == '{' || c == '[') ++depth;
    if (c == '}' || c == ']') --depth;
    if (depth > kMaxJsonDepth) return not_json(fmt::format("nested deeper than {}", kMaxJsonDepth));
  }
  if (quoted) return not_json("a string without an end");
  return {};
}

}  // namespace

std::string to_json(const pb::Message& message, JsonForm form) {
  JsonWriter out(form == JsonForm::pretty);
  write_message(message, out);
  return out.take();
}

std::string to_yaml(const pb::Message& message) {
  YamlWriter out;
  write_message(message, out);
  return out.take();
}

Result<> from_json(std::string_view text, pb::Message& message) {
  message.Clear();
  if (const Result<> shape = check_shape(text); !shape) return shape.error();
  pb::util::JsonParseOptions options;
  options.ignore_unknown_fields = false;
  const auto status = pb::util::JsonStringToMessage({text.data(), text.size()}, &message, options);
  if (status.ok()) return {};
  message.Clear();
  const std::string said(status.message());
  return not_json(printable(split(said, '\n').front(), 200));
}

}  // namespace omnitide::codec
