#include "discovery/inventory/merge.hpp"

#include "tests/harness/catch.hpp"

using namespace omnitide;
using discovery::fill;

TEST_CASE("filling takes nothing from the later facts and gives what they lack") {
  model::NodeFacts later, earlier;
  earlier.cpu.vendor = "old";
  earlier.cpu.model = "model";
  earlier.cpu.threads = 8;
  earlier.cpu.smt_active = true;
  earlier.cpu.flags = {"a", "b"};
  earlier.system.has_battery_clock = true;
  later.cpu.vendor = "new";
  later.cpu.smt_active = false;
  fill(later, earlier);
  CHECK(later.cpu.vendor == "new");
  CHECK(later.cpu.model == "model");
  CHECK(later.cpu.threads == 8);
  CHECK(later.cpu.smt_active == false);
  CHECK(later.cpu.flags.size() == 2);
  CHECK(later.system.has_battery_clock);
}

TEST_CASE("filling with oneself, or with nothing, changes nothing") {
  model::NodeFacts facts;
  facts.network.resize(3);  // three of one name: kept apart by their order
  facts.bus.pci.resize(2);
  facts.bus.pci[1].address = "0000:00:01.0";
  facts.memory.huge_pages = {{2U << 20U, {}, 4}, {2U << 20U, 0, 4}};
  model::NodeFacts filled = facts;
  fill(filled, facts);
  CHECK(filled == facts);
  fill(filled, {});
  CHECK(filled == facts);
}

TEST_CASE("a kept item stands where it stood") {
  model::NodeFacts later, earlier;
  for (const char* name : {"a", "b", "c", "d"})
    earlier.network.emplace_back().name = name;
  for (const char* name : {"b", "e"})
    later.network.emplace_back().name = name;
  fill(later, earlier);
  std::string order;
  for (const auto& nic : later.network)
    order += nic.name;
  CHECK(order == "abcde");
}

TEST_CASE("an item that is named as gone is not brought back") {
  model::NodeFacts later, earlier;
  earlier.bus.usb.emplace_back().path = "1-1";
  earlier.bus.usb.emplace_back().path = "1-2";
  fill(later, earlier, {"bus.usb/1-1"});
  REQUIRE(later.bus.usb.size() == 1);
  CHECK(later.bus.usb[0].path == "1-2");
  CHECK(discovery::item_names(earlier) == discovery::ItemNames{"bus.usb/1-1", "bus.usb/1-2"});
}
