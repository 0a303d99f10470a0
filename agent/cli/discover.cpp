// `discover` reads the machine itself, without a running agent. It does no other work: it is to be over in
// milliseconds.
#include <fmt/format.h>
#include <malloc.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <set>

#include "agent/base/root.hpp"
#include "agent/base/text.hpp"
#include "agent/cli/commands.hpp"
#include "agent/cli/discovery_run.hpp"
#include "agent/cli/hardware.hpp"
#include "agent/codec/facts_codec.hpp"
#include "agent/io/crypto.hpp"
#include "discovery/inventory/ebpf_source.hpp"
#include "discovery/inventory/labels.hpp"
#include "discovery/inventory/run_all.hpp"
#include "discovery/sources/catalogue.hpp"
#include "omnitide/node/v1/local.pb.h"

namespace omnitide::cli {

namespace {

struct DiscoverOptions {
  bool probe = false;
  std::string root;  // empty: the machine's
};

std::vector<discovery::Source> wanted_sources(const Session& session, const std::string& run_dir, bool probe) {
  std::set<std::string> excluded;
  if (session.config_given()) {
    const config::Loaded loaded = session.load_config();
    excluded.insert(loaded.config.discovery.exclude_sources.begin(), loaded.config.discovery.exclude_sources.end());
  }
  // The agent keeps what it probed in its run folder; without an agent root makes it, so that a second call is quick.
  if (::geteuid() == 0) (void)::mkdir(run_dir.c_str(), 0755);
  std::vector<discovery::Source> sources = discovery::all_sources();
  sources.push_back(discovery::ebpf_source(run_dir + "/ebpf-probe", probe));
  std::erase_if(sources, [&](const discovery::Source& source) { return excluded.contains(std::string(source.name)); });
  return sources;
}

std::string labels_text(const model::NodeFacts& facts) {
  std::string out;
  for (const auto& [key, value] : discovery::labels(facts))
    out += fmt::format("{}={}\n", key, value);
  return out;
}

int discover(const Session& session, const DiscoverOptions& options) {
  ::mallopt(M_ARENA_MAX, 1);  // two readers for two milliseconds: a heap of its own costs each more than it saves
  const Session::Paths paths = session.paths();
  const Result<Root> root = options.root.empty() ? Root::machine(paths.host_root) : Root::open(options.root);
  if (root.has_error()) return session.failed(root.error());
  discovery::Inventory inventory = discovery::run_all(*root, wanted_sources(session, paths.run_dir, options.probe));
  const model::NodeFacts& facts = inventory.facts();
  switch (session.format()) {
    case Format::labels: return session.print(labels_text(facts));
    case Format::json:
    case Format::yaml: {
      node::v1::Discovery message;
      fill(inventory, message);
      return session.print(message);
    }
    case Format::prometheus:
    case Format::table: break;
  }
  const Console& console = session.console();
  std::string out = hardware_summary(facts).render(console) + hardware_tables(facts, inventory.samples(), console);
  for (const discovery::SourceStatus& source : inventory.status()) {
    const std::string problem = source.error.empty() ? join(source.problems, "; ") : source.error;
    if (!problem.empty()) {
      out += fmt::format("\n{} {}: {}", console.paint(source.error.empty() ? "partial" : "failed", Style::warning),
                         source.name, printable(problem, 300));
    }
  }
  if (!out.ends_with('\n')) out += '\n';
  return session.print(out);
}

}  // namespace

void fill(discovery::Inventory& inventory, node::v1::Discovery& out) {
  const model::NodeFacts& facts = inventory.facts();
  codec::to_proto(facts, *out.mutable_facts());
  for (const model::Sample& sample : inventory.samples())
    codec::to_proto(sample, *out.add_samples());
  for (const discovery::SourceStatus& source : inventory.status()) {
    node::v1::SourceStatus& row = *out.add_sources();
    row.set_name(std::string(source.name));
    row.set_ok(source.ok);
    row.set_error(source.error.empty() ? join(source.problems, "; ") : source.error);
    row.set_seconds(std::chrono::duration<double>(source.duration).count());
    if (!source.last_success) continue;
    const auto seconds = std::chrono::floor<std::chrono::seconds>(*source.last_success);
    row.mutable_last_success()->set_seconds(seconds.time_since_epoch().count());
    row.mutable_last_success()->set_nanos(static_cast<std::int32_t>((*source.last_success - seconds).count()) *
                                          1'000'000);
  }
  const discovery::Labels labels = discovery::labels(facts);
  out.mutable_labels()->insert(labels.begin(), labels.end());
  out.set_facts_sha256(hex_encode(io::sha256(codec::serialize_facts(facts))));
}

void add_discover(Command& root, Session& session) {
  const auto options = std::make_shared<DiscoverOptions>();
  Command command = root.add("discover", "Find out what hardware this is; needs no running agent");
  session.add_location(command);
  session.add_format(command, "table|json|yaml|labels");
  command.flag("--probe", options->probe, "Try anew what eBPF can do here, instead of once a boot")
      .option("--root", options->root, "DIR", "Read this tree instead of the machine's")
      .example("omnitide-agent discover -o labels")
      .footnote("labels are those of Node Feature Discovery where it has one, see docs/labels.md.")
      .action([&session, options] { return discover(session, *options); });
}

}  // namespace omnitide::cli
