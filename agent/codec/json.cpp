#include "agent/codec/json.hpp"

#include <fmt/format.h>
#include <google/protobuf/message_lite.h>

#include <algorithm>
#include <bit>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "agent/base/clock.hpp"
#include "agent/base/text.hpp"
#include "agent/base/wire.hpp"
#include "agent/codec/document.hpp"
#include "agent/codec/schema.hpp"

namespace omnitide::codec {

namespace {

namespace pb = google::protobuf;
using Piece = WireReader::Field;

void write_message(std::string_view bytes, const MessageType& type, DocumentWriter& out);

void write_timestamp(std::string_view bytes, DocumentWriter& out) {
  constexpr std::int64_t kFirst = -62135596800, kLast = 253402300799;  // year 1 to 9999, Timestamp's own range
  std::int64_t seconds = 0, nanos = 0;
  WireReader reader(bytes);
  while (const auto piece = reader.next())
    (piece->number == 1 ? seconds : nanos) = static_cast<std::int64_t>(piece->value);
  seconds = std::clamp(seconds, kFirst, kLast);
  const std::int64_t millis = std::clamp<std::int64_t>(nanos, 0, 999'999'999) / 1'000'000;
  out.text(format_rfc3339(WallTime(std::chrono::milliseconds(seconds * 1000 + millis))));
}

void write_double(double value, DocumentWriter& out) {
  if (std::isnan(value)) return out.text("NaN");
  if (std::isinf(value)) return out.text(value > 0 ? "Infinity" : "-Infinity");
  out.literal(fmt::format("{}", value));
}

void write_enum(const FieldType& field, std::int32_t number, DocumentWriter& out) {
  const std::string_view name = field.enumeration->name_of(number);
  if (name.empty()) return out.literal(fmt::format("{}", number));
  out.text(name);
}

std::int64_t unzigzag(std::uint64_t value) {
  return static_cast<std::int64_t>(value >> 1U) ^ -static_cast<std::int64_t>(value & 1U);
}

void write_value(const FieldType& field, const Piece& piece, DocumentWriter& out) {
  const std::uint64_t value = piece.value;
  switch (field.kind) {
    case Kind::int32:
    case Kind::sfixed32: return out.literal(fmt::format("{}", static_cast<std::int32_t>(value)));
    case Kind::uint32:
    case Kind::fixed32: return out.literal(fmt::format("{}", static_cast<std::uint32_t>(value)));
    case Kind::sint32: return out.literal(fmt::format("{}", unzigzag(value)));
    case Kind::int64:
    case Kind::sfixed64: return out.literal(fmt::format("\"{}\"", static_cast<std::int64_t>(value)));
    case Kind::uint64:
    case Kind::fixed64: return out.literal(fmt::format("\"{}\"", value));
    case Kind::sint64: return out.literal(fmt::format("\"{}\"", unzigzag(value)));
    case Kind::real64: return write_double(std::bit_cast<double>(value), out);
    case Kind::real32: return write_double(std::bit_cast<float>(static_cast<std::uint32_t>(value)), out);
    case Kind::boolean: return out.literal(value != 0 ? "true" : "false");
    case Kind::enumeration: return write_enum(field, static_cast<std::int32_t>(value), out);
    case Kind::text: return out.text(piece.bytes);
    case Kind::bytes: return out.text(base64_encode(piece.bytes));
    case Kind::message: return write_message(piece.bytes, *field.message, out);
  }
}

// Maps have no order of their own: by key, so that the same message gives the same text. Keys are texts.
void write_map(const FieldType& map, std::span<const Piece> pieces, DocumentWriter& out) {
  const FieldType& value_type = map.message->fields.at(1);
  std::vector<std::pair<std::string_view, Piece>> entries;
  for (const Piece& piece : pieces) {
    std::string_view key;
    Piece value;
    WireReader reader(piece.bytes);
    while (const auto part = reader.next()) {
      if (part->number == 1) key = part->bytes;
      if (part->number == 2) value = *part;
    }
    entries.emplace_back(key, value);
  }
  std::ranges::sort(entries, {}, &std::pair<std::string_view, Piece>::first);
  out.begin_object(entries.size());
  for (const auto& [key, value] : entries) {
    out.key(key);
    write_value(value_type, value, out);
  }
  out.end_object();
}

bool is_packed(const FieldType& field, const Piece& piece) {
  return piece.wire == Wire::bytes && field.kind != Kind::text && field.kind != Kind::bytes &&
         field.kind != Kind::message;
}

Wire wire_of(Kind kind) {
  switch (kind) {
    case Kind::real64:
    case Kind::fixed64:
    case Kind::sfixed64: return Wire::fixed64;
    case Kind::real32:
    case Kind::fixed32:
    case Kind::sfixed32: return Wire::fixed32;
    case Kind::text:
    case Kind::bytes:
    case Kind::message: return Wire::bytes;
    default: return Wire::varint;
  }
}

std::vector<Piece> unpacked(const FieldType& field, std::span<const Piece> pieces) {
  std::vector<Piece> out;
  for (const Piece& piece : pieces) {
    if (!is_packed(field, piece)) {
      out.push_back(piece);
      continue;
    }
    const Wire wire = wire_of(field.kind);
    WireReader reader(piece.bytes);
    while (reader.good() && reader.left() > 0) {
      const auto value = wire == Wire::varint ? reader.varint() : reader.fixed(wire == Wire::fixed64 ? 8 : 4);
      if (value) out.push_back({.number = field.number, .wire = wire, .value = *value, .bytes = {}});
    }
  }
  return out;
}

void write_field(const FieldType& field, std::span<const Piece> pieces, DocumentWriter& out) {
  out.key(field.json_name);
  if (field.is_map()) return write_map(field, pieces, out);
  if (!field.repeated) return write_value(field, pieces.empty() ? Piece() : pieces.back(), out);
  const std::vector<Piece> values = unpacked(field, pieces);
  out.begin_list(values.size());
  for (const Piece& value : values)
    write_value(field, value, out);
  out.end_list();
}

bool is_shown(const FieldType& field, std::span<const Piece> pieces) {
  if (field.repeated) return true;
  const bool text = field.kind == Kind::text || field.kind == Kind::bytes;
  return !(field.presence || text) || !pieces.empty();
}

std::span<const Piece> pieces_of(const std::vector<Piece>& all, const FieldType& field) {
  // Clang 14 does not compile libstdc++'s std::ranges::equal_range.
  const auto before = [](const Piece& piece, std::uint32_t number) { return piece.number < number; };
  const auto after = [](std::uint32_t number, const Piece& piece) { return number < piece.number; };
  const auto first = std::lower_bound(all.begin(), all.end(), field.number, before);
  return {first, std::upper_bound(first, all.end(), field.number, after)};
}

// `bytes` are what a message of ours made of itself.
void write_message(std::string_view bytes, const MessageType& type, DocumentWriter& out) {
  if (type.name == "google.protobuf.Timestamp") return write_timestamp(bytes, out);
  std::vector<Piece> pieces;
  WireReader reader(bytes);
  while (const auto piece = reader.next())
    pieces.push_back(*piece);
  std::ranges::stable_sort(pieces, {}, &Piece::number);
  std::size_t count = 0;
  for (const FieldType& field : type.fields)
    count += is_shown(field, pieces_of(pieces, field)) ? 1U : 0U;
  out.begin_object(count);
  for (const FieldType& field : type.fields) {
    const std::span<const Piece> its = pieces_of(pieces, field);
    if (is_shown(field, its)) write_field(field, its, out);
  }
  out.end_object();
}

std::string written(const pb::MessageLite& message, DocumentWriter&& out) {
  const std::string bytes = message.SerializePartialAsString();
  write_message(bytes, message_type(message.GetTypeName()), out);
  return out.take();
}

}  // namespace

std::string to_json(const pb::MessageLite& message, JsonForm form) {
  return written(message, JsonWriter(form == JsonForm::pretty));
}

std::string name_of(const pb::MessageLite& message) {
  const std::string name = message.GetTypeName();
  return name.substr(name.rfind('.') + 1);
}

std::string to_yaml(const pb::MessageLite& message) { return written(message, YamlWriter()); }

}  // namespace omnitide::codec
