#include <fmt/format.h>
#include <google/protobuf/message_lite.h>

#include <bit>
#include <boost/json.hpp>
#include <boost/json/basic_parser_impl.hpp>
#include <charconv>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <limits>
#include <optional>
#include <stdexcept>
#include <string>
#include <system_error>
#include <utility>

#include "agent/base/clock.hpp"
#include "agent/base/text.hpp"
#include "agent/base/wire.hpp"
#include "agent/codec/json.hpp"
#include "agent/codec/schema.hpp"

namespace omnitide::codec {

namespace {

namespace json = boost::json;

// Makes a value of what the parser meets. Boost.JSON before 1.83 reads a number with a fraction to within a unit in the
// last place only: from_chars reads it as it was written.
class ExactNumbers {
 public:
  static constexpr std::size_t max_object_size = ~std::size_t{0}, max_array_size = max_object_size,
                               max_key_size = max_object_size, max_string_size = max_object_size;
  using Problem = boost::system::error_code;

  bool on_document_begin(Problem& /*problem*/) {
    stack_.reset();
    return true;
  }
  bool on_document_end(Problem& /*problem*/) { return true; }
  bool on_object_begin(Problem& /*problem*/) { return true; }
  bool on_object_end(std::size_t count, Problem& /*problem*/) {
    stack_.push_object(count);
    return true;
  }
  bool on_array_begin(Problem& /*problem*/) { return true; }
  bool on_array_end(std::size_t count, Problem& /*problem*/) {
    stack_.push_array(count);
    return true;
  }
  bool on_key_part(json::string_view text, std::size_t /*size*/, Problem& /*problem*/) {
    stack_.push_chars(text);
    return true;
  }
  bool on_key(json::string_view text, std::size_t /*size*/, Problem& /*problem*/) {
    stack_.push_key(text);
    return true;
  }
  bool on_string_part(json::string_view text, std::size_t /*size*/, Problem& /*problem*/) {
    stack_.push_chars(text);
    return true;
  }
  bool on_string(json::string_view text, std::size_t /*size*/, Problem& /*problem*/) {
    stack_.push_string(text);
    return true;
  }
  bool on_number_part(json::string_view text, Problem& /*problem*/) {
    number_.append(text.data(), text.size());
    return true;
  }
  bool on_int64(std::int64_t value, json::string_view /*text*/, Problem& /*problem*/) {
    number_.clear();
    stack_.push_int64(value);
    return true;
  }
  bool on_uint64(std::uint64_t value, json::string_view /*text*/, Problem& /*problem*/) {
    number_.clear();
    stack_.push_uint64(value);
    return true;
  }
  bool on_double(double value, json::string_view text, Problem& /*problem*/) {
    number_.append(text.data(), text.size());
    double exact = value;
    if (std::from_chars(number_.data(), number_.data() + number_.size(), exact).ec == std::errc{}) value = exact;
    number_.clear();
    stack_.push_double(value);
    return true;
  }
  bool on_bool(bool value, Problem& /*problem*/) {
    stack_.push_bool(value);
    return true;
  }
  bool on_null(Problem& /*problem*/) {
    stack_.push_null();
    return true;
  }
  bool on_comment_part(json::string_view /*text*/, Problem& /*problem*/) { return true; }
  bool on_comment(json::string_view /*text*/, Problem& /*problem*/) { return true; }

  json::value release() { return stack_.release(); }

 private:
  json::value_stack stack_;
  std::string number_;
};

// Writes one JSON value as the bytes of a message. The first fault ends it, with the path to where it is.
class MessageMaker {
 public:
  [[nodiscard]] std::optional<std::string> message(const json::value& value, const MessageType& type) {
    std::string out;
    put_message(value, type, out);
    if (fault_) return std::nullopt;
    return out;
  }
  [[nodiscard]] const Error& fault() const { return *fault_; }

 private:
  void wrong(std::string what) {
    if (fault_) return;
    fault_ = fail(Code::invalid_argument, path_.empty() ? std::move(what) : fmt::format("{}: {}", path_, what));
    fault_->field = path_;
  }

  // Runs `inner` with the path one step longer.
  template <class Inner>
  void at(std::string_view step, Inner inner) {
    const std::size_t before = path_.size();
    if (!path_.empty() && !step.starts_with('[')) path_ += '.';
    path_ += printable(std::string(step), 80);
    inner();
    path_.resize(before);
  }

  void put_message(const json::value& value, const MessageType& type, std::string& out) {
    if (type.name == "google.protobuf.Timestamp") return put_timestamp(value, out);
    if (type.name == "google.protobuf.Struct") return put_struct(value, type, out);
    if (type.name == "google.protobuf.Value") return put_any(value, type, out);
    const json::object* object = value.if_object();
    if (object == nullptr) return wrong("an object is wanted here");
    for (const auto& each : *object) {  // by no structured binding: clang 14 cannot capture one
      const std::string_view key(each.key());
      const json::value& member = each.value();
      if (fault_) return;
      const FieldType* field = type.field(key);
      if (field == nullptr) return wrong(fmt::format("there is no field \"{}\"", printable(std::string(key), 80)));
      if (member.is_null()) continue;
      at(key, [&] { put_field(member, *field, out); });
    }
  }

  void put_field(const json::value& value, const FieldType& field, std::string& out) {
    if (field.is_map()) return put_map(value, field, out);
    if (!field.repeated) return put_value(value, field, out);
    const json::array* list = value.if_array();
    if (list == nullptr) return wrong("a list is wanted here");
    for (std::size_t i = 0; i < list->size() && !fault_; ++i)
      at(fmt::format("[{}]", i), [&] { put_value((*list)[i], field, out); });
  }

  void put_map(const json::value& value, const FieldType& field, std::string& out) {
    const json::object* object = value.if_object();
    if (object == nullptr) return wrong("an object is wanted here");
    for (const auto& each : *object) {  // by no structured binding: clang 14 cannot capture one
      const std::string_view key(each.key());
      const json::value& member = each.value();
      if (fault_) return;
      std::string entry;
      omnitide::put_field(entry, 1, key);
      at(key, [&] { put_value(member, field.message->fields.at(1), entry); });
      omnitide::put_field(out, field.number, std::string_view(entry));
    }
  }

  void put_value(const json::value& value, const FieldType& field, std::string& out) {
    switch (field.kind) {
      case Kind::message: return put_inner(value, field, out);
      case Kind::text: return put_text(value, field, out);
      case Kind::bytes: return put_bytes(value, field, out);
      case Kind::boolean:
        if (!value.is_bool()) return wrong("true or false is wanted here");
        return omnitide::put_field(out, field.number, std::uint64_t{value.get_bool() ? 1U : 0U});
      case Kind::enumeration: return put_enum(value, field, out);
      case Kind::real64:
      case Kind::real32: return put_real(value, field, out);
      default: return put_whole(value, field, out);
    }
  }

  void put_inner(const json::value& value, const FieldType& field, std::string& out) {
    std::string inner;
    put_message(value, *field.message, inner);
    omnitide::put_field(out, field.number, std::string_view(inner));
  }

  void put_text(const json::value& value, const FieldType& field, std::string& out) {
    if (!value.is_string()) return wrong("a text is wanted here");
    omnitide::put_field(out, field.number, std::string_view(value.get_string()));
  }

  void put_bytes(const json::value& value, const FieldType& field, std::string& out) {
    const auto bytes = value.is_string() ? base64_decode(std::string_view(value.get_string())) : std::nullopt;
    if (!bytes) return wrong("bytes as base64 are wanted here");
    omnitide::put_field(out, field.number, std::string_view(*bytes));
  }

  void put_enum(const json::value& value, const FieldType& field, std::string& out) {
    const auto number = value.is_string() ? field.enumeration->number_of(std::string_view(value.get_string()))
                                          : whole<std::int32_t>(value);
    if (!number) return wrong("one of the names is wanted here that docs/openapi.yaml lists");
    omnitide::put_field(out, field.number, static_cast<std::uint64_t>(std::int64_t{*number}));
  }

  void put_real(const json::value& value, const FieldType& field, std::string& out) {
    const auto number = real(value);
    if (!number) return wrong("a number is wanted here");
    if (field.kind == Kind::real64) return omnitide::put_field(out, field.number, *number);
    put_fixed32(out, field.number, std::bit_cast<std::uint32_t>(static_cast<float>(*number)));
  }

  static std::optional<double> real(const json::value& value) {
    constexpr double kInfinity = std::numeric_limits<double>::infinity();
    if (value.is_number()) return value.to_number<double>();
    if (!value.is_string()) return std::nullopt;
    const std::string_view text(value.get_string());
    if (text == "NaN") return std::numeric_limits<double>::quiet_NaN();
    if (text == "Infinity") return kInfinity;
    if (text == "-Infinity") return -kInfinity;
    return std::nullopt;
  }

  // A number without a fraction that fits, also as a text: as 64-bit integers are written.
  template <class T>
  static std::optional<T> whole(const json::value& value) {
    if (value.is_string()) return parse_number<T>(std::string_view(value.get_string()));
    boost::system::error_code problem;
    const T number = value.is_number() ? value.to_number<T>(problem) : T{};
    if (!value.is_number() || problem) return std::nullopt;
    return number;
  }

  void put_whole(const json::value& value, const FieldType& field, std::string& out) {
    switch (field.kind) {
      case Kind::int32: return put_varint_of(whole<std::int32_t>(value), field, out);
      case Kind::uint32: return put_varint_of(whole<std::uint32_t>(value), field, out);
      case Kind::int64: return put_varint_of(whole<std::int64_t>(value), field, out);
      case Kind::uint64: return put_varint_of(whole<std::uint64_t>(value), field, out);
      default: throw std::logic_error("a kind of number that agent/api has not");
    }
  }

  template <class T>
  void put_varint_of(std::optional<T> number, const FieldType& field, std::string& out) {
    if (!number) return wrong("a whole number is wanted here that fits");
    omnitide::put_field(out, field.number, static_cast<std::uint64_t>(*number));
  }

  static void put_fixed32(std::string& out, std::uint32_t number, std::uint32_t bits) {
    put_key(out, number, Wire::fixed32);
    for (unsigned shift = 0; shift < 32; shift += 8)
      out += static_cast<char>((bits >> shift) & 0xFFU);
  }

  void put_timestamp(const json::value& value, std::string& out) {
    const auto time = value.is_string() ? parse_rfc3339(std::string_view(value.get_string())) : std::nullopt;
    if (!time) return wrong("a time as 2026-01-31T12:00:00Z is wanted here");
    const auto seconds = std::chrono::floor<std::chrono::seconds>(*time);
    const auto nanos = std::chrono::duration_cast<std::chrono::nanoseconds>(*time - seconds).count();
    omnitide::put_field(out, 1, static_cast<std::uint64_t>(seconds.time_since_epoch().count()));
    omnitide::put_field(out, 2, static_cast<std::uint64_t>(nanos));
  }

  // google/protobuf/struct.proto: any JSON at all.
  void put_struct(const json::value& value, const MessageType& type, std::string& out) {
    if (!value.is_object()) return wrong("an object is wanted here");
    put_map(value, type.fields.at(0), out);
  }

  void put_any(const json::value& value, const MessageType& type, std::string& out) {
    const auto put = [&](std::string_view name) { put_value(value, *type.field(name), out); };
    switch (value.kind()) {
      case json::kind::null: return omnitide::put_field(out, type.field("null_value")->number, std::uint64_t{0});
      case json::kind::bool_: return put("bool_value");
      case json::kind::string: return put("string_value");
      case json::kind::object: return put("struct_value");
      case json::kind::array: return put_list(value.get_array(), *type.field("list_value"), out);
      default: return put("number_value");
    }
  }

  void put_list(const json::array& list, const FieldType& field, std::string& out) {
    std::string values;
    for (std::size_t i = 0; i < list.size() && !fault_; ++i)
      at(fmt::format("[{}]", i), [&] { put_value(list[i], field.message->fields.at(0), values); });
    omnitide::put_field(out, field.number, std::string_view(values));
  }

  std::string path_;
  std::optional<Error> fault_;
};

}  // namespace

Result<> from_json(std::string_view text, google::protobuf::MessageLite& message) {
  message.Clear();
  if (text.size() > kMaxJsonBytes)
    return fail(Code::resource_exhausted, fmt::format("{} bytes of JSON are more than {}", text.size(), kMaxJsonBytes));
  json::parse_options options;
  options.max_depth = static_cast<std::size_t>(kMaxJsonDepth);
  json::basic_parser<ExactNumbers> parser(options);
  boost::system::error_code problem;
  const std::size_t read = parser.write_some(false, text.data(), text.size(), problem);
  const bool over = !problem && text.find_first_not_of(" \t\r\n", read) != std::string_view::npos;
  if (problem || over)
    return fail(Code::invalid_argument,
                fmt::format("not valid JSON: {} at byte {}", over ? "more text" : problem.message(), read));
  MessageMaker maker;
  const auto bytes = maker.message(parser.handler().release(), message_type(message.GetTypeName()));
  if (!bytes) return maker.fault();
  if (message.ParseFromString(*bytes)) return {};
  message.Clear();
  return fail(Code::invalid_argument, "not valid JSON: a text that is no UTF-8");
}

}  // namespace omnitide::codec
