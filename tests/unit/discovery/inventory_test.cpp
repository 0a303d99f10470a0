#include "discovery/inventory/inventory.hpp"

#include <string>
#include <utility>
#include <vector>

#include "tests/harness/catch.hpp"

using namespace omnitide;
using namespace omnitide::discovery;
using namespace std::chrono_literals;

namespace {

Source source(std::string_view name) {
  Source made;
  made.name = name;
  return made;
}

model::BlockDevice disk(const std::string& name, const std::string& serial = {}) {
  model::BlockDevice device;
  device.name = name;
  device.serial = serial;
  return device;
}

Report disks(std::vector<model::BlockDevice> devices, std::vector<std::string> problems = {}) {
  return {.patch = [devices = std::move(devices)](model::NodeFacts& facts) { facts.storage.devices = devices; },
          .samples = {},
          .problems = std::move(problems)};
}

std::vector<std::string> names(Inventory& inventory) {
  std::vector<std::string> out;
  for (const auto& device : inventory.facts().storage.devices)
    out.push_back(device.name);
  return out;
}

using Names = std::vector<std::string>;
const Error kBroken = fail(Code::internal, "broken");

struct OneSource {
  Inventory inventory{{source("block")}};
  WallTime now{};
  void accept(Result<Report> outcome) { inventory.accept(0, std::move(outcome), 1ms, now += 1s); }
};

}  // namespace

TEST_CASE("a failed read keeps the earlier facts, drops the samples and says why") {
  static constexpr model::MetricDescriptor kMetric{"x", "", "help", model::MetricType::gauge, {}};
  OneSource one;
  Report report = disks({disk("sda")});
  report.samples.push_back({&kMetric, {}, 1});
  one.accept(std::move(report));
  CHECK(one.inventory.samples().size() == 3);
  one.accept(fail(Code::deadline_exceeded, "block did not answer within 1s"));
  CHECK(names(one.inventory) == Names{"sda"});
  CHECK(one.inventory.samples().size() == 2);
  const SourceStatus status = one.inventory.status().front();
  CHECK_FALSE(status.ok);
  CHECK(status.error == "block did not answer within 1s");
  CHECK(*status.last_success == WallTime{} + 1s);
  CHECK(*status.last_attempt == WallTime{} + 2s);
}

TEST_CASE("a partial report never takes earlier items or fields away") {
  OneSource one;
  one.accept(disks({disk("sda", "S1"), disk("sdb", "S2"), disk("sdc", "S3")}));
  one.accept(disks({disk("sda"), disk("sdd")}, {"sda: serial: EIO"}));
  CHECK(names(one.inventory) == Names{"sda", "sdb", "sdc", "sdd"});
  CHECK(one.inventory.facts().storage.devices[0].serial == "S1");
  CHECK_FALSE(one.inventory.status().front().ok);
  CHECK(one.inventory.status().front().problems == Names{"sda: serial: EIO"});
}

TEST_CASE("the next complete report replaces everything") {
  OneSource one;
  one.accept(disks({disk("sda", "S1"), disk("sdb")}));
  one.accept(disks({disk("sda")}, {"trouble"}));
  one.accept(disks({disk("sda")}));
  CHECK(names(one.inventory) == Names{"sda"});
  CHECK(one.inventory.facts().storage.devices[0].serial.empty());
}

TEST_CASE("a trouble that stays does not keep what was unplugged since it began") {
  OneSource one;
  one.accept(disks({disk("sda"), disk("sdb"), disk("sdc")}));
  one.accept(disks({disk("sda"), disk("sdb")}, {"sdc: EIO"}));  // sdc unreadable: kept
  CHECK(names(one.inventory) == Names{"sda", "sdb", "sdc"});
  one.accept(disks({disk("sda")}, {"sdc: EIO"}));  // sdb was readable with the same trouble: gone
  CHECK(names(one.inventory) == Names{"sda", "sdc"});
  one.accept(disks({disk("sda"), disk("sdb")}, {"sdc: EIO"}));  // and back
  CHECK(names(one.inventory) == Names{"sda", "sdb", "sdc"});
  one.accept(disks({disk("sdb")}, {"sdc: EIO"}));
  one.accept(disks({}, {"sda: EIO", "sdc: EIO"}));
  CHECK(names(one.inventory) == Names{"sdb", "sdc"});  // sda went before its own trouble began
}

TEST_CASE("a source that was never whole shows what it can, and what goes") {
  OneSource one;
  one.accept(disks({disk("sda"), disk("sdb")}, {"EACCES"}));
  one.accept(disks({disk("sda")}, {"EACCES"}));
  CHECK(names(one.inventory) == Names{"sda"});
}

TEST_CASE("troubles that change all the time do not gather reports without end") {
  OneSource one;
  for (int i = 0; i < 50; ++i)
    one.accept(disks({disk("d" + std::to_string(i))}, {"trouble " + std::to_string(i)}));
  CHECK(names(one.inventory).size() == 5);
}

TEST_CASE("patches are applied in the order of the sources, whatever the order of their reports") {
  Inventory inventory({source("block"), source("nvme")});
  Report nvme{.patch =
                  [](model::NodeFacts& facts) {
                    for (auto& device : facts.storage.devices)
                      device.nvme.emplace().model = "fast";
                  },
              .samples = {},
              .problems = {}};
  inventory.accept(1, nvme, 1ms, {});
  CHECK(names(inventory).empty());
  CHECK_FALSE(inventory.complete());
  inventory.accept(0, disks({disk("nvme0n1")}), 1ms, {});
  CHECK(inventory.complete());
  CHECK(inventory.facts().storage.devices.at(0).nvme->model == "fast");
}

TEST_CASE("a partial report of one source does not bring back what another has dropped") {
  Inventory inventory({source("block"), source("nvme")});
  const auto nvme = [](std::string model, std::vector<std::string> problems) {
    return Report{.patch =
                      [model](model::NodeFacts& facts) {
                        for (auto& device : facts.storage.devices)
                          device.nvme.emplace().model = model;
                      },
                  .samples = {},
                  .problems = std::move(problems)};
  };
  inventory.accept(0, disks({disk("nvme0n1"), disk("nvme1n1")}), 1ms, {});
  inventory.accept(1, nvme("fast", {}), 1ms, {});
  inventory.accept(1, nvme("", {"nvme1: EIO"}), 1ms, {});
  inventory.accept(0, disks({disk("nvme0n1")}), 1ms, {});
  CHECK(names(inventory) == Names{"nvme0n1"});
  CHECK(inventory.facts().storage.devices.at(0).nvme->model == "fast");
}

TEST_CASE("changed() is true once for each real change") {
  OneSource one;
  CHECK_FALSE(one.inventory.changed());
  one.accept(disks({disk("sda")}));
  CHECK(one.inventory.changed());
  CHECK_FALSE(one.inventory.changed());
  one.accept(disks({disk("sda")}));
  CHECK_FALSE(one.inventory.changed());
  one.accept(kBroken);
  CHECK_FALSE(one.inventory.changed());
}

TEST_CASE("an event asks for the sources that declared it") {
  Source block = source("block"), network = source("network"), mounts = source("filesystem");
  block.subsystems = {"block", "nvme"};
  network.subsystems = {"net"};
  network.on_rtnetlink = true;
  mounts.on_mounts = true;
  mounts.subsystems = {"block"};
  const Inventory inventory({block, network, mounts});
  using Indices = std::vector<std::size_t>;
  CHECK(inventory.wanted_by_uevent("block") == Indices{0, 2});
  CHECK(inventory.wanted_by_uevent("bloc").empty());
  CHECK(inventory.wanted_by_rtnetlink() == Indices{1});
  CHECK(inventory.wanted_by_mounts() == Indices{2});
}

TEST_CASE("the debouncer waits for a pause, but not for ever") {
  Debouncer debouncer(200ms, 1000ms);
  SteadyTime now{};
  CHECK_FALSE(debouncer.due());
  CHECK_FALSE(debouncer.take(now));
  debouncer.event(now);
  CHECK(*debouncer.due() == now + 200ms);
  CHECK_FALSE(debouncer.take(now + 199ms));
  CHECK(debouncer.take(now + 200ms));
  CHECK_FALSE(debouncer.due());
  const SteadyTime start = now += 10s;
  for (; now < start + 950ms; now += 100ms)
    debouncer.event(now);
  CHECK(*debouncer.due() == start + 1000ms);
  CHECK(debouncer.take(start + 1000ms));
}
