#include "agent/telemetry/node_metrics.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "agent/telemetry/metric_name.hpp"
#include "tests/harness/catch.hpp"

using namespace omnitide;
using namespace omnitide::telemetry;

namespace {

const NamedMetric* find(const std::vector<NamedMetric>& all, std::string_view device, std::string_view name) {
  const auto at = std::ranges::find_if(
      all, [&](const NamedMetric& metric) { return metric.device == device && metric.name == name; });
  return at == all.end() ? nullptr : &*at;
}

model::NodeFacts machine() {
  model::NodeFacts facts;
  facts.system.dmi.system_vendor = "Maker";
  facts.system.dmi.product_name = "Box 3000";
  facts.system.dmi.product_serial = "S-1";
  facts.system.os_name = "Debian GNU/Linux 12";
  facts.system.os_version_id = "12";
  facts.system.kernel_release = "6.1.0-42";
  facts.system.secure_boot = false;
  facts.cpu.model = "CPU";
  facts.cpu.threads = 8;
  facts.memory.total_bytes = 16'000'000'000;
  for (const auto& [name, kind] :
       {std::pair{"nvme0n1", "disk"}, {"nvme0n1p1", "partition"}, {"loop0", "loop"}, {"nbd0", "disk"}}) {
    model::BlockDevice& disk = facts.storage.devices.emplace_back();
    disk.name = name;
    disk.kind = kind;
    disk.model = "Fast";
    disk.nvme.emplace().firmware = "FW1";
  }
  for (const auto& [name, kind] : {std::pair{"eth0", "physical"},
                                   {"lo", "loopback"},
                                   {"veth1", "veth"},
                                   {"docker0", "bridge"},
                                   {"eni1", "physical"}}) {
    model::NetworkInterface& nic = facts.network.emplace_back();
    nic.name = name;
    nic.kind = kind;
    nic.mac = "02:00:00:00:00:01";
  }
  facts.bus.accelerators = {{"gpu", "card0", "amdgpu", "0000:03:00.0", "AMD", 8'000'000'000}};
  return facts;
}

}  // namespace

TEST_CASE("facts: properties of the node, with the names that the specification gives as examples") {
  const MetricSelector selector(default_selection());
  const std::vector<NamedMetric> all = facts_metrics(machine(), "0.1.0", selector);
  REQUIRE(find(all, "", "Properties/Hardware Make") != nullptr);
  CHECK(find(all, "", "Properties/Hardware Make")->value == MetricValue{std::string("Maker")});
  CHECK(find(all, "", "Properties/Hardware Model")->value == MetricValue{std::string("Box 3000")});
  CHECK(find(all, "", "Properties/OS")->value == MetricValue{std::string("Debian GNU/Linux 12")});
  CHECK(find(all, "", "Properties/OS Version")->value == MetricValue{std::string("12")});
  CHECK(find(all, "", "Properties/Kernel")->value == MetricValue{std::string("6.1.0-42")});
  CHECK(find(all, "", "Properties/Agent Version")->value == MetricValue{std::string("0.1.0")});
  CHECK(find(all, "", "Properties/Memory")->value == MetricValue{std::uint64_t{16'000'000'000}});
  CHECK(find(all, "", "Properties/Memory")->unit == "bytes");
  CHECK(find(all, "", "Properties/Secure Boot")->value == MetricValue{false});
  CHECK(find(all, "", "Properties/BIOS Version") == nullptr);  // not known
}

TEST_CASE("facts: disks, interfaces and GPUs that are hardware are devices") {
  const MetricSelector selector(default_selection());
  const std::vector<NamedMetric> all = facts_metrics(machine(), "0.1.0", selector);
  CHECK(find(all, "disk:nvme0n1", "Properties/Hardware Model")->value == MetricValue{std::string("Fast")});
  CHECK(find(all, "disk:nvme0n1", "Properties/FW")->value == MetricValue{std::string("FW1")});
  CHECK(find(all, "nic:eth0", "Properties/MAC")->value == MetricValue{std::string("02:00:00:00:00:01")});
  CHECK(find(all, "gpu:0000:03:00.0", "Properties/Memory")->value == MetricValue{std::uint64_t{8'000'000'000}});
  for (const NamedMetric& metric : all) {
    CHECK((metric.device.empty() || is_sparkplug_id(metric.device)));
    for (const char* const absent :
         {"disk:nvme0n1p1", "disk:loop0", "nic:lo", "nic:veth1", "nic:docker0", "disk:nbd0", "nic:eni1"})
      CHECK(metric.device != absent);
  }
}

TEST_CASE("facts: a text of a stranger is legal and bounded") {
  model::NodeFacts facts;
  facts.system.dmi.product_name = std::string(5'000, 'x') + "\xff";
  facts.system.hostname = "\xff\n";
  const std::vector<NamedMetric> all = facts_metrics(facts, "0.1.0", MetricSelector(default_selection()));
  CHECK(std::get<std::string>(find(all, "", "Properties/Hardware Model")->value).size() == kLongestValue);
  CHECK(find(all, "", "Properties/Hostname")->value == MetricValue{std::string("\xef\xbf\xbd\n")});
}

TEST_CASE("conditions: status and reason, unknown is null") {
  const std::array conditions{
      model::Condition{.type = "Ready", .status = model::ConditionStatus::true_, .reason = "AllGood", .message = {}},
      model::Condition{.type = "Disk/Full", .status = model::ConditionStatus::false_, .reason = "", .message = {}},
      model::Condition{
          .type = "Clock", .status = model::ConditionStatus::unknown, .reason = "NoSource", .message = {}}};
  const std::vector<NamedMetric> all = condition_metrics(conditions);
  CHECK(find(all, "", "Condition/Ready/status")->value == MetricValue{true});
  CHECK(find(all, "", "Condition/Ready/reason")->value == MetricValue{std::string("AllGood")});
  CHECK(find(all, "", "Condition/Disk%2FFull/status")->value == MetricValue{false});
  CHECK(find(all, "", "Condition/Clock/status")->value == MetricValue{});
  CHECK(find(all, "", "Condition/Clock/status")->type == DataType::boolean);
}
