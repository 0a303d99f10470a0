#include "agent/codec/schema.hpp"

#include <stdexcept>
#include <string>

#include "tests/harness/catch.hpp"
#include "tests/harness/reference_message.hpp"

using namespace omnitide;

namespace {

namespace pb = google::protobuf;

void compare(const pb::Descriptor& theirs) {
  const codec::MessageType& ours = codec::message_type(theirs.full_name());
  INFO(ours.name);
  CHECK(ours.map_entry == theirs.options().map_entry());
  REQUIRE(ours.fields.size() == static_cast<std::size_t>(theirs.field_count()));
  for (int i = 0; i < theirs.field_count(); ++i) {
    const pb::FieldDescriptor& field = *theirs.field(i);
    const codec::FieldType& own = ours.fields[static_cast<std::size_t>(i)];
    INFO(field.name());
    CHECK(own.name == field.name());
    CHECK(own.json_name == field.json_name());
    CHECK(own.number == static_cast<std::uint32_t>(field.number()));
    CHECK(static_cast<int>(own.kind) == static_cast<int>(field.type()));
    CHECK(own.repeated == field.is_repeated());
    CHECK(own.presence == field.has_presence());
    CHECK(own.is_map() == field.is_map());
    CHECK((own.message == nullptr) == (field.message_type() == nullptr));
    if (own.message != nullptr) CHECK(own.message->name == field.message_type()->full_name());
    if (field.enum_type() == nullptr) continue;
    REQUIRE(own.enumeration != nullptr);
    for (int k = 0; k < field.enum_type()->value_count(); ++k) {
      const pb::EnumValueDescriptor& value = *field.enum_type()->value(k);
      CHECK(own.enumeration->number_of(value.name()) == value.number());
      CHECK(own.enumeration->name_of(value.number()) == value.name());
    }
  }
  for (int i = 0; i < theirs.nested_type_count(); ++i)
    compare(*theirs.nested_type(i));
}

}  // namespace

TEST_CASE("each message of agent/api is what the reference library takes it for") {
  pb::FileDescriptorSet files;
  REQUIRE(
      files.ParseFromArray(agent_api_schema_begin, static_cast<int>(agent_api_schema_end - agent_api_schema_begin)));
  int messages = 0;
  for (const auto& file : files.file()) {
    const pb::FileDescriptor& theirs = *test::reference_pool().FindFileByName(file.name());
    for (int i = 0; i < theirs.message_type_count(); ++i, ++messages)
      compare(*theirs.message_type(i));
  }
  CHECK(messages > 100);
}

TEST_CASE("a message that is none is a programming error") {
  CHECK_THROWS_AS(codec::message_type("omnitide.node.v1.None"), std::logic_error);
}
