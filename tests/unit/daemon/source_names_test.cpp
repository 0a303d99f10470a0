// The names that discovery.exclude_sources accepts are those of the sources that the agent reads, in their order.
#include "agent/config/load.hpp"
#include "discovery/inventory/ebpf_source.hpp"
#include "discovery/sources/catalogue.hpp"
#include "tests/harness/catch.hpp"

using namespace omnitide;

namespace {

config::Loaded excluding(const std::string& names) {
  config::LoadOptions options;
  options.directory = "/nonexistent";
  options.environment = {{"OMNITIDE_DISCOVERY_EXCLUDE_SOURCES", names}};
  return config::load(options);
}

}  // namespace

TEST_CASE("every source of facts can be left out by its name, and the error for another one lists them all") {
  std::vector<discovery::Source> sources = discovery::all_sources();
  sources.push_back(discovery::ebpf_source({}, false));
  std::string all;
  for (const discovery::Source& source : sources)
    all += (all.empty() ? "" : ", ") + std::string(source.name);
  const config::Loaded good = excluding("[" + all + "]");
  CHECK(good.valid());
  CHECK(good.config.discovery.exclude_sources.size() == sources.size());
  const config::Loaded bad = excluding("[no such source]");
  REQUIRE(bad.faults.size() == 1);
  CHECK(bad.faults.front().text().find("one of " + all + ")") != std::string::npos);
}
