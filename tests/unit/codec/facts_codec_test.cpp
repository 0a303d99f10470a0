#include "agent/codec/facts_codec.hpp"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>

#include <string>
#include <vector>

#include "agent/model/fields.hpp"
#include "omnitide/node/v1/common.pb.h"
#include "omnitide/node/v1/facts.pb.h"
#include "tests/harness/catch.hpp"
#include "tests/harness/reference_message.hpp"

using namespace omnitide;
namespace pb = google::protobuf;

namespace {

void fill(pb::Message& message, unsigned& next);

void fill_field(pb::Message& m, const pb::FieldDescriptor* f, unsigned& next) {
  const pb::Reflection& r = *m.GetReflection();
  const unsigned value = ++next;
  switch (f->cpp_type()) {
    case pb::FieldDescriptor::CPPTYPE_UINT32: return r.SetUInt32(&m, f, value);
    case pb::FieldDescriptor::CPPTYPE_INT32: return r.SetInt32(&m, f, -static_cast<int>(value));
    case pb::FieldDescriptor::CPPTYPE_UINT64: return r.SetUInt64(&m, f, (1ULL << 40U) + value);
    case pb::FieldDescriptor::CPPTYPE_BOOL: return r.SetBool(&m, f, true);
    case pb::FieldDescriptor::CPPTYPE_STRING: {
      const std::string text = f->name() + std::to_string(value);
      if (!f->is_repeated()) return r.SetString(&m, f, text);
      r.AddString(&m, f, text);
      return r.AddString(&m, f, text + "b");
    }
    case pb::FieldDescriptor::CPPTYPE_MESSAGE:
      if (!f->is_repeated()) return fill(*r.MutableMessage(&m, f), next);
      fill(*r.AddMessage(&m, f), next);
      return fill(*r.AddMessage(&m, f), next);
    default: FAIL("a type that facts.proto has not: " << f->full_name());
  }
}

void fill(pb::Message& message, unsigned& next) {
  for (int i = 0; i < message.GetDescriptor()->field_count(); ++i)
    fill_field(message, message.GetDescriptor()->field(i), next);
}

template <class T>
struct Element {
  using type = T;
};
template <class T>
struct Element<std::vector<T>> : Element<T> {};
template <class T>
struct Element<std::optional<T>> : Element<T> {};

template <model::HasFields S>
void compare_names(const pb::Descriptor& type) {
  INFO(type.full_name());
  int count = 0;
  model::for_each_field<S>([&](const auto& field) {
    INFO(field.name);
    const pb::FieldDescriptor* there = type.FindFieldByName(std::string(field.name));
    REQUIRE(there != nullptr);
    ++count;
    using Inner = typename Element<std::remove_cvref_t<decltype(S{}.*field.member)>>::type;
    if constexpr (model::HasFields<Inner>) {
      REQUIRE(there->message_type() != nullptr);
      compare_names<Inner>(*there->message_type());
    }
  });
  CHECK(count == type.field_count());
}

}  // namespace

TEST_CASE("every field of facts.proto has its field in the model, by the same name") {
  compare_names<model::NodeFacts>(*test::reference_pool().FindMessageTypeByName("omnitide.node.v1.NodeFacts"));
}

TEST_CASE("facts survive the way from the wire to the model and back, every field") {
  const test::ReferenceMessage before = test::reference("omnitide.node.v1.NodeFacts");
  unsigned next = 0;
  fill(*before, next);
  const std::string bytes = before->SerializeAsString();
  node::v1::NodeFacts there, back;
  REQUIRE(there.ParseFromString(bytes));
  model::NodeFacts facts;
  codec::from_proto(there, facts);
  codec::to_proto(facts, back);
  std::string difference;
  pb::util::MessageDifferencer differencer;
  differencer.ReportDifferencesToString(&difference);
  const test::ReferenceMessage after = test::reference(back);
  INFO(difference);
  CHECK(differencer.Compare(*before, *after));
  CHECK(codec::parse_facts(bytes).value() == facts);
  CHECK(codec::serialize_facts(facts) ==
        bytes);  // fields stand in the order of their numbers, as the library writes them
}

TEST_CASE("an absent optional is not zero, on either side") {
  model::NodeFacts facts;
  facts.network.resize(2);
  facts.network[1].sriov_total = 0;
  facts.storage.devices.resize(2);
  facts.storage.devices[1].nvme.emplace();
  const Result<model::NodeFacts> back = codec::parse_facts(codec::serialize_facts(facts));
  REQUIRE(back);
  CHECK(*back == facts);
}

TEST_CASE("text that is no UTF-8 is carried with replacement characters and never spoils the message") {
  model::NodeFacts facts;
  facts.system.hostname = "edge\xff\x31";
  facts.cpu.flags = {"a\xc3"};
  const Result<model::NodeFacts> back = codec::parse_facts(codec::serialize_facts(facts));
  REQUIRE(back);
  CHECK(back->system.hostname == "edge\xEF\xBF\xBD\x31");
  CHECK(back->cpu.flags == std::vector<std::string>{"a\xEF\xBF\xBD"});
}

TEST_CASE("bytes that are no facts are refused, and too many are not even read") {
  CHECK(codec::parse_facts("\xff\xff\xff").error().code == Code::data_loss);
  CHECK(codec::parse_facts(std::string(codec::kMaxFactsBytes + 1, '\0')).error().code == Code::resource_exhausted);
  CHECK(codec::parse_facts("")->cpu.threads == 0);
}

TEST_CASE("conditions keep their time to the millisecond, also before 1970") {
  using namespace std::chrono_literals;
  std::vector<model::Condition> conditions{
      {.type = "Ready", .status = model::ConditionStatus::true_, .reason = "Up", .message = "good", .since = {}},
      {.type = "MemoryPressure", .status = model::ConditionStatus::false_, .reason = {}, .message = {}, .since = {}},
      {.type = "X", .status = model::ConditionStatus::unknown, .reason = {}, .message = {}, .since = {}}};
  conditions[0].since += 1'700'000'000'123ms;
  conditions[1].since -= 1ms;
  const auto back = codec::parse_conditions(codec::serialize_conditions(conditions));
  REQUIRE(back);
  CHECK(*back == conditions);
}

TEST_CASE("a condition's time beyond every calendar is clamped") {
  node::v1::Conditions wild;
  wild.add_items()->mutable_since()->set_seconds(INT64_MAX);
  wild.add_items()->mutable_since()->set_seconds(INT64_MIN);
  const auto conditions = codec::from_proto(wild);
  CHECK(conditions[0].since > conditions[1].since);
}

TEST_CASE("a sample carries its descriptor's name, unit and labels") {
  static constexpr std::array<std::string_view, 2> kLabels{"zone", "type"};
  static constexpr model::MetricDescriptor kDescriptor{"omnitide_thermal_zone_celsius", "celsius", "help",
                                                       model::MetricType::gauge, kLabels};
  node::v1::Sample out;
  codec::to_proto(model::Sample{&kDescriptor, {"0", "cpu"}, 41.5}, out);
  CHECK(out.name() == "omnitide_thermal_zone_celsius");
  CHECK(out.unit() == "celsius");
  CHECK(out.labels().at("type") == "cpu");
  CHECK(out.value() == 41.5);
  codec::to_proto(model::Sample{&kDescriptor, {"0"}, 1}, out);  // fewer values than names
  CHECK(out.labels().size() == 1);
}
