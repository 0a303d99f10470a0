#include "agent/codec/schema.hpp"

#include <algorithm>
#include <cstddef>
#include <deque>
#include <functional>
#include <map>
#include <stdexcept>

#include "agent/base/wire.hpp"

// A FileDescriptorSet, made by protoc (cmake/Rooms.cmake).
extern "C" const char agent_api_schema_begin[], agent_api_schema_end[];

namespace omnitide::codec {

namespace {

// Numbers of fields in google/protobuf/descriptor.proto.
namespace set {
constexpr std::uint32_t kFile = 1;
}
namespace file {
constexpr std::uint32_t kPackage = 2, kMessage = 4, kEnum = 5;
}
namespace message {
constexpr std::uint32_t kName = 1, kField = 2, kNested = 3, kEnum = 4, kOptions = 7, kMapEntry = 7;
}
namespace field {
constexpr std::uint32_t kName = 1, kNumber = 3, kLabel = 4, kType = 5, kTypeName = 6, kOneof = 9, kJsonName = 10;
constexpr std::uint64_t kRepeated = 3;
}  // namespace field
namespace enumeration {
constexpr std::uint32_t kName = 1, kValue = 2, kValueName = 1, kValueNumber = 2;
}

template <class Visitor>
void for_each_field(std::string_view bytes, Visitor visit) {
  WireReader reader(bytes);
  while (const auto found = reader.next())
    visit(*found);
}

std::string_view text_of(std::string_view bytes, std::uint32_t number) {
  std::string_view out;
  for_each_field(bytes, [&](const WireReader::Field& each) {
    if (each.number == number) out = each.bytes;
  });
  return out;
}

std::string joined(std::string_view scope, std::string_view name) {
  return scope.empty() ? std::string(name) : std::string(scope).append(1, '.').append(name);
}

// Names first, then the fields, which name each other's types.
class Schema {
 public:
  explicit Schema(std::string_view bytes) {
    for_each_field(bytes, [this](const WireReader::Field& each) {
      if (each.number == set::kFile) add_file(each.bytes);
    });
    for (const auto& [type, description] : described_)
      fill(*type, description);
    described_.clear();
  }

  [[nodiscard]] const MessageType* find(std::string_view name) const {
    const auto found = messages_.find(name);
    return found == messages_.end() ? nullptr : found->second;
  }

 private:
  void add_file(std::string_view bytes) {
    const std::string_view package = text_of(bytes, file::kPackage);
    for_each_field(bytes, [&](const WireReader::Field& each) {
      if (each.number == file::kMessage) add_message(package, each.bytes);
      if (each.number == file::kEnum) add_enum(package, each.bytes);
    });
  }

  void add_message(std::string_view scope, std::string_view bytes) {
    MessageType& type = message_storage_.emplace_back();
    type.name = joined(scope, text_of(bytes, message::kName));
    messages_.emplace(type.name, &type);
    described_.emplace_back(&type, bytes);
    for_each_field(bytes, [&](const WireReader::Field& each) {
      if (each.number == message::kNested) add_message(type.name, each.bytes);
      if (each.number == message::kEnum) add_enum(type.name, each.bytes);
      if (each.number != message::kOptions) return;
      for_each_field(each.bytes, [&type](const WireReader::Field& option) {
        if (option.number == message::kMapEntry) type.map_entry = option.value != 0;
      });
    });
  }

  void add_enum(std::string_view scope, std::string_view bytes) {
    EnumType& type = enum_storage_.emplace_back();
    enums_.emplace(joined(scope, text_of(bytes, enumeration::kName)), &type);
    for_each_field(bytes, [&type](const WireReader::Field& each) {
      if (each.number != enumeration::kValue) return;
      std::int32_t number = 0;
      for_each_field(each.bytes, [&number](const WireReader::Field& part) {
        if (part.number == enumeration::kValueNumber) number = static_cast<std::int32_t>(part.value);
      });
      type.values.emplace_back(number, text_of(each.bytes, enumeration::kValueName));
    });
  }

  void fill(MessageType& type, std::string_view bytes) {
    for_each_field(bytes, [&](const WireReader::Field& each) {
      if (each.number == message::kField) type.fields.push_back(field_of(each.bytes));
    });
  }

  [[nodiscard]] FieldType field_of(std::string_view bytes) const {
    FieldType out;
    std::string_view type_name;
    for_each_field(bytes, [&](const WireReader::Field& each) {
      switch (each.number) {
        case field::kName: out.name = each.bytes; break;
        case field::kJsonName: out.json_name = each.bytes; break;
        case field::kNumber: out.number = static_cast<std::uint32_t>(each.value); break;
        case field::kLabel: out.repeated = each.value == field::kRepeated; break;
        case field::kType: out.kind = static_cast<Kind>(each.value); break;
        case field::kTypeName: type_name = each.bytes; break;
        case field::kOneof: out.presence = true; break;  // an optional field is alone in one
        default: break;
      }
    });
    if (type_name.starts_with('.')) type_name.remove_prefix(1);
    if (out.kind == Kind::message) out.message = find(type_name);
    if (out.kind == Kind::enumeration) out.enumeration = enums_.find(type_name)->second;
    out.presence = !out.repeated && (out.presence || out.kind == Kind::message);
    return out;
  }

  std::deque<MessageType> message_storage_;
  std::deque<EnumType> enum_storage_;
  std::map<std::string_view, const MessageType*> messages_;
  std::map<std::string, const EnumType*, std::less<>> enums_;
  std::vector<std::pair<MessageType*, std::string_view>> described_;
};

}  // namespace

std::string_view EnumType::name_of(std::int32_t number) const {
  const auto found = std::ranges::find(values, number, &std::pair<std::int32_t, std::string_view>::first);
  return found == values.end() ? std::string_view() : found->second;
}

std::optional<std::int32_t> EnumType::number_of(std::string_view name) const {
  const auto found = std::ranges::find(values, name, &std::pair<std::int32_t, std::string_view>::second);
  if (found == values.end()) return std::nullopt;
  return found->first;
}

bool FieldType::is_map() const { return repeated && message != nullptr && message->map_entry; }

const FieldType* MessageType::field(std::uint32_t number) const {
  const auto found = std::ranges::find(fields, number, &FieldType::number);
  return found == fields.end() ? nullptr : &*found;
}

const FieldType* MessageType::field(std::string_view wanted) const {
  const auto found = std::ranges::find_if(
      fields, [wanted](const FieldType& each) { return each.json_name == wanted || each.name == wanted; });
  return found == fields.end() ? nullptr : &*found;
}

const MessageType& message_type(std::string_view name) {
  static const Schema kSchema(
      {agent_api_schema_begin, static_cast<std::size_t>(agent_api_schema_end - agent_api_schema_begin)});
  const MessageType* found = kSchema.find(name);
  if (found == nullptr) throw std::logic_error("no such message: " + std::string(name));
  return *found;
}

}  // namespace omnitide::codec
