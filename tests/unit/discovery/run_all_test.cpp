#include "discovery/inventory/run_all.hpp"

#include <atomic>
#include <memory>
#include <stdexcept>
#include <thread>

#include "tests/harness/catch.hpp"

using namespace omnitide;
using namespace omnitide::discovery;
using namespace std::chrono_literals;

namespace {

Source good(std::string_view name, std::shared_ptr<std::atomic<int>> reads = nullptr) {
  Source source;
  source.name = name;
  source.read = [name, reads](const Root&) -> Result<Report> {
    if (reads) ++*reads;
    return Report{.patch = [name](model::NodeFacts& facts) { facts.cpu.flags.emplace_back(name); },
                  .samples = {},
                  .problems = {}};
  };
  return source;
}

}  // namespace

TEST_CASE("every source is read once, and the facts have their order") {
  const auto reads = std::make_shared<std::atomic<int>>(0);
  for (const unsigned threads : {0U, 1U, 2U, 8U}) {
    *reads = 0;
    Inventory inventory =
        run_all(Root::open().value(), {good("a", reads), good("b", reads), good("c", reads)}, {.threads = threads});
    CHECK(*reads == 3);
    CHECK(inventory.facts().cpu.flags == std::vector<std::string>{"a", "b", "c"});
    CHECK(inventory.complete());
  }
  CHECK(run_all(Root::open().value(), {}).complete());
}

TEST_CASE("a source that hangs is reported by its deadline and holds up no other") {
  // Ended by the test, so that it leaves no thread.
  const auto release = std::make_shared<std::atomic<bool>>(false);
  const auto ended = std::make_shared<std::atomic<int>>(0);
  Source hanging = good("hanging");
  hanging.deadline = 30ms;
  hanging.read = [release, ended](const Root&) -> Result<Report> {
    while (!*release)
      std::this_thread::sleep_for(1ms);
    ++*ended;
    return Report{};
  };
  Inventory inventory = run_all(Root::open().value(), {hanging, hanging, good("a")}, {.threads = 2});
  CHECK(inventory.status()[0].error == "hanging did not answer within 30ms");
  CHECK_FALSE(inventory.status()[1].ok);
  CHECK(inventory.status()[2].ok);
  CHECK(inventory.facts().cpu.flags == std::vector<std::string>{"a"});
  *release = true;
  while (*ended < 2)
    std::this_thread::sleep_for(1ms);
}

TEST_CASE("a source that throws fails alone") {
  Source broken = good("broken");
  broken.read = [](const Root&) -> Result<Report> { throw std::runtime_error("no such luck"); };
  Inventory inventory = run_all(Root::open().value(), {broken, good("a")});
  CHECK(inventory.status()[0].error == "broken failed: no such luck");
  CHECK(inventory.status()[1].ok);
}
