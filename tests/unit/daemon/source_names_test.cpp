// The names that discovery.exclude_sources and metrics.ebpf.exclude accept are those of what the agent reads, in order.
#include "agent/base/text.hpp"
#include "agent/config/load.hpp"
#include "discovery/inventory/ebpf_source.hpp"
#include "discovery/sources/catalogue.hpp"
#include "ebpf/collectors/catalogue.hpp"
#include "tests/harness/catch.hpp"

using namespace omnitide;

namespace {

config::Loaded excluding(const std::string& names, const std::string& key = "OMNITIDE_DISCOVERY_EXCLUDE_SOURCES") {
  config::LoadOptions options;
  options.directory = "/nonexistent";
  options.environment = {{key, names}};
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

TEST_CASE("every eBPF collector can be left out by its name, and the error for another one lists them all") {
  const std::vector<std::string> names(collectors::names().begin(), collectors::names().end());
  const std::string all = join(names, ", "), key = "OMNITIDE_METRICS_EBPF_EXCLUDE";
  const config::Loaded good = excluding("[" + all + "]", key);
  CHECK(good.valid());
  CHECK(good.config.metrics.ebpf.exclude == names);
  const config::Loaded bad = excluding("[no such collector]", key);
  REQUIRE(bad.faults.size() == 1);
  CHECK(bad.faults.front().text().find("one of " + all + ")") != std::string::npos);
}
