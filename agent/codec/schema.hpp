// What the messages of agent/api are made of: the compiled descriptions (google/protobuf/descriptor.proto) that lie in
// the program, read once. The generated code is protobuf's lite one, which knows no names: 1.8 MB less, see
// docs/adr/0027-size.md. Inside of the room.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace omnitide::codec {

// FieldDescriptorProto.Type, but groups.
enum class Kind : std::uint8_t {
  real64 = 1,
  real32 = 2,
  int64 = 3,
  uint64 = 4,
  int32 = 5,
  fixed64 = 6,
  fixed32 = 7,
  boolean = 8,
  text = 9,
  message = 11,
  bytes = 12,
  uint32 = 13,
  enumeration = 14,
  sfixed32 = 15,
  sfixed64 = 16,
  sint32 = 17,
  sint64 = 18,
};

// All views point into static storage.
struct EnumType {
  std::vector<std::pair<std::int32_t, std::string_view>> values;
  [[nodiscard]] std::string_view name_of(std::int32_t number) const;  // empty: none has it
  [[nodiscard]] std::optional<std::int32_t> number_of(std::string_view name) const;
};

struct MessageType;

struct FieldType {
  std::string_view name, json_name;
  std::uint32_t number = 0;
  Kind kind = Kind::int32;
  bool repeated = false;
  bool presence = false;                 // a value that is not there differs from a zero
  const MessageType* message = nullptr;  // of Kind::message
  const EnumType* enumeration = nullptr;
  [[nodiscard]] bool is_map() const;  // then `message` has the fields 1, the key, and 2, the value
};

struct MessageType {
  std::string name;               // with its package
  std::vector<FieldType> fields;  // in the order of the .proto
  bool map_entry = false;
  [[nodiscard]] const FieldType* field(std::uint32_t number) const;
  [[nodiscard]] const FieldType* field(std::string_view name) const;  // by either name
};

// Of a message of agent/api with its package, for as long as the process lives. A name that is none is a programming
// error (std::logic_error). On any thread.
[[nodiscard]] const MessageType& message_type(std::string_view name);

}  // namespace omnitide::codec
