// Plays thousands of nodes over real TLS against omnitide-registry: joins, heartbeats, a kill -9 with all nodes coming
// back at once, and as many heartbeats as the machine can do. Ends with 1 when anything acknowledged was lost.
#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>

#include "agent/base/clock.hpp"
#include "agent/base/file.hpp"
#include "agent/base/text.hpp"
#include "agent/registration/join_token.hpp"
#include "tests/bench/load_check.hpp"
#include "tests/bench/load_fleet.hpp"
#include "tests/bench/load_process.hpp"
#include "tests/bench/load_report.hpp"

namespace {

using namespace omnitide;
using namespace omnitide::bench;
using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

struct Options {
  unsigned nodes = 10'000, parallel_joins = 64;
  unsigned seconds = 300, interval = 10, throughput_seconds = 10;
  std::string registry, dir, output = "table";
  bool quick = false;
};

double seconds_since(Clock::time_point then) { return std::chrono::duration<double>(Clock::now() - then).count(); }

double own_cpu_seconds() {
  rusage use{};
  ::getrusage(RUSAGE_SELF, &use);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  };
  return seconds(use.ru_utime) + seconds(use.ru_stime);
}

Result<> raise_descriptor_limit(unsigned needed) {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return fail_errno(errno, "cannot read the limit of descriptors");
  limit.rlim_cur = limit.rlim_max;
  (void)::setrlimit(RLIMIT_NOFILE, &limit);
  if (limit.rlim_cur >= needed + 64) return {};
  return fail(Code::resource_exhausted,
              fmt::format("{} nodes need {} descriptors, the hard limit is {}", needed, needed + 64, limit.rlim_max));
}

// A folder of its own, gone at the end.
class ScratchFolder {
 public:
  explicit ScratchFolder(const std::string& parent) : path_(parent + "/omnitide-load-XXXXXX") {
    if (::mkdtemp(path_.data()) == nullptr) path_.clear();
  }
  ~ScratchFolder() {
    std::error_code ignored;
    if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
  }
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_;
};

class Run {
 public:
  Run(const Options& options, const std::string& folder) : options_(options), registry_(options.registry, folder) {}

  Result<> all() {
    for (const auto step :
         {&Run::prepare, &Run::joins, &Run::steady, &Run::kill_and_return, &Run::throughput, &Run::check_and_end}) {
      Result<> done = (this->*step)();
      if (fleet_) report_.set_retries(fleet_->counters().retries);
      if (done.has_error()) return done;
    }
    return {};
  }
  [[nodiscard]] const Report& report() const { return report_; }
  [[nodiscard]] Fleet* fleet() { return fleet_.get(); }

 private:
  // CPU time of both sides in one phase.
  struct Costs {
    Clock::time_point began = Clock::now();
    double registry = 0, generator = own_cpu_seconds();
  };
  Result<Costs> begin_costs() {
    Costs out;
    const Result<ProcessUse> use = use_of(registry_.pid());
    if (use.has_error()) return use.error();
    out.registry = use->cpu_seconds;
    return out;
  }
  Result<ProcessUse> add_costs(const std::string& phase, const Costs& before) {
    Result<ProcessUse> use = use_of(registry_.pid());
    if (use.has_error()) return use;
    report_.add(phase + "RegistryCpuSeconds", "CPU of the registry", use->cpu_seconds - before.registry, "s", 2);
    report_.add(phase + "GeneratorCpuSeconds", "CPU of the generator", own_cpu_seconds() - before.generator, "s", 2);
    return use;
  }
  void add_latencies(const std::string& phase) {
    const Latencies taken = fleet_->take_latencies(), lag = fleet_->take_lags();
    report_.add(phase + "Heartbeats", "heartbeats", static_cast<double>(taken.count()), "");
    if (taken.count() == 0) return;
    report_.add(phase + "P50Milliseconds", "heartbeat p50", taken.milliseconds(0.5), "ms", 2);
    report_.add(phase + "P99Milliseconds", "heartbeat p99", taken.milliseconds(0.99), "ms", 2);
    report_.add(phase + "MaxMilliseconds", "heartbeat max", taken.max_milliseconds(), "ms", 2);
    report_.add(phase + "LagP99Milliseconds", "lateness of the generator itself, p99", lag.milliseconds(0.99), "ms", 2);
  }
  static void say(const std::string& text) { fmt::print(stderr, "{}\n", text); }

  Result<> prepare();
  Result<> joins();
  Result<> steady();
  Result<> kill_and_return();
  Result<> throughput();
  Result<> check_and_end();

  const Options& options_;
  RegistryProcess registry_;
  Report report_;
  std::unique_ptr<Fleet> fleet_;
  ProcessUse empty_;
};

Result<> Run::prepare() {
  // No use to spare: a join that is asked again must not take a second one.
  const Result<std::string> text = registry_.prepare(options_.nodes);
  if (text.has_error()) return text.error();
  const Result<registration::JoinToken> token = registration::parse_join_token(*text);
  if (token.has_error()) return token.error();
  if (Result<> started = registry_.start(std::chrono::seconds(options_.interval)); started.has_error()) return started;
  const Result<std::string> ca = read_file(registry_.folder() + "/ca.crt");
  if (ca.has_error()) return ca.error();
  Result<std::vector<std::string>> cas = io::certificates_from_pem(*ca);
  if (cas.has_error()) return std::move(cas).error();
  io::ClientTlsOptions trust;
  trust.ca_pin = token->ca_pin;
  Result<io::TlsContext> pinned = io::TlsContext::client(trust);
  if (pinned.has_error()) return std::move(pinned).error();
  trust.ca_pin.clear();
  trust.trusted_cas = std::move(*cas);
  trust.judged_at = wall_now();
  Result<io::TlsContext> mutual = io::TlsContext::client(trust);
  if (mutual.has_error()) return std::move(mutual).error();
  Contract contract{fmt::format("127.0.0.1:{}", registry_.port()), token->credential, typical_facts()};
  report_.section("Run");
  report_.add("nodes", "nodes", options_.nodes, "");
  report_.add("factsBytes", "facts of a node", static_cast<double>(contract.facts.size()), "B");
  fleet_ = std::make_unique<Fleet>(registry_.port(), *pinned, *mutual, std::move(contract));
  say(fmt::format("making {} keys", options_.nodes));
  if (Result<> made = fleet_->make_nodes(options_.nodes); made.has_error()) return made;
  const Result<ProcessUse> use = use_of(registry_.pid());
  if (use.has_error()) return use.error();
  empty_ = *use;
  return {};
}

Result<> Run::joins() {
  say("joining");
  const Result<Costs> before = begin_costs();
  if (before.has_error()) return before.error();
  const auto began = Clock::now();
  fleet_->begin_joins(options_.parallel_joins);
  const bool all = fleet_->run_until([this] { return fleet_->back() == options_.nodes; }, 10s + options_.nodes * 10ms);
  const double took = seconds_since(began);
  report_.section("Joins: nonce, CSR, certificate, then mutual TLS and PUT of the facts");
  report_.add("joinSeconds", "until all had joined", took, "s", 2);
  report_.add("joinsPerSecond", "joins", static_cast<double>(fleet_->back()) / took, "/s");
  add_latencies("join");
  const Result<ProcessUse> use = add_costs("join", *before);
  if (use.has_error()) return use.error();
  if (!all) return fail(Code::deadline_exceeded, fmt::format("only {} nodes joined", fleet_->back()));
  return {};
}

Result<> Run::steady() {
  say(fmt::format("heartbeats every {} s for {} s", options_.interval, options_.seconds));
  const Result<Costs> before = begin_costs();
  if (before.has_error()) return before.error();
  const std::uint64_t puts = fleet_->counters().puts;
  fleet_->set_change_rate(0.005);
  fleet_->run_for(std::chrono::seconds(options_.seconds));
  fleet_->set_change_rate(0);
  report_.section(fmt::format("Heartbeats every {} s for {} s", options_.interval, options_.seconds));
  add_latencies("steady");
  report_.add("steadyPuts", "changes put meanwhile", static_cast<double>(fleet_->counters().puts - puts), "");
  const Result<ProcessUse> use = add_costs("steady", *before);
  if (use.has_error()) return use.error();
  const auto nodes = static_cast<double>(options_.nodes);
  const auto grown = static_cast<double>(use->rss_bytes) - static_cast<double>(empty_.rss_bytes);
  report_.section("Memory of the registry");
  report_.add("emptyRssKibibytes", "RSS without nodes", static_cast<double>(empty_.rss_bytes) / 1024, "KiB");
  report_.add("connectedNodes", "connected nodes", static_cast<double>(fleet_->connected()), "");
  report_.add("connectedRssKibibytes", "RSS with all connected", static_cast<double>(use->rss_bytes) / 1024, "KiB");
  report_.add("connectedPssKibibytes", "PSS with all connected", static_cast<double>(use->pss_bytes) / 1024, "KiB");
  report_.add("peakRssKibibytes", "RSS at its peak", static_cast<double>(use->peak_bytes) / 1024, "KiB");
  report_.add("kibibytesPerNode", "for each connected node", grown / nodes / 1024, "KiB", 1, Aim{64, false});
  return {};
}

Result<> Run::kill_and_return() {
  say("kill -9 while changes are under way, and all come back");
  FleetCounters& counters = fleet_->counters();
  const unsigned changed = std::max(options_.nodes / 10, 1U);
  const std::uint64_t puts = counters.puts;
  fleet_->change(changed);
  (void)fleet_->run_until([&] { return counters.puts >= puts + changed / 2; }, 5s);
  const std::uint64_t acknowledged = counters.puts - puts;
  const std::uint64_t connections = counters.connections;
  fleet_->take_latencies();
  Costs before;
  registry_.kill();
  fleet_->forget_back();
  const auto killed = Clock::now();
  if (Result<> launched = registry_.launch(std::chrono::seconds(options_.interval)); launched.has_error())
    return launched;
  // The nodes try on while it starts.
  Result<bool> listens = false;
  (void)fleet_->run_until(
      [&] {
        listens = registry_.listening(0ms);
        return listens.has_error() || *listens;
      },
      60s);
  if (listens.has_error()) return listens.error();
  if (!*listens) return fail(Code::deadline_exceeded, "omnitide-registry does not listen again");
  const auto listening = Clock::now();
  const Result<ProcessUse> fresh = use_of(registry_.pid());
  if (fresh.has_error()) return fresh.error();
  (void)fleet_->run_until([&] { return fleet_->back() == options_.nodes || counters.lost + counters.unexpected > 0; },
                          120s);
  const bool all = fleet_->back() == options_.nodes;
  const double took = seconds_since(listening);
  report_.add("kibibytesPerNodeRecord", "of this the node itself, without a connection",
              (static_cast<double>(fresh->rss_bytes) - static_cast<double>(empty_.rss_bytes)) / options_.nodes / 1024,
              "KiB", 1);
  report_.section("Killed with -9 and started again, all nodes back with full jitter");
  report_.add("killedWithAcknowledged", "changes acknowledged in the second before", static_cast<double>(acknowledged),
              "");
  report_.add("killedWithOpen", "changes on their way at that moment", static_cast<double>(changed - acknowledged), "");
  report_.add("restartSeconds", "until it listened again", std::chrono::duration<double>(listening - killed).count(),
              "s", 2);
  report_.add("reconnectSeconds", "until all were acknowledged again", took, "s", 2);
  report_.add("reconnections", "connections tried", static_cast<double>(counters.connections - connections), "");
  add_latencies("reconnect");
  const Result<ProcessUse> use = add_costs("reconnect", before);
  if (use.has_error()) return use.error();
  if (!all) return fail(Code::deadline_exceeded, fmt::format("only {} nodes came back", fleet_->back()));
  return {};
}

Result<> Run::throughput() {
  if (options_.throughput_seconds == 0) return {};
  say("as many heartbeats as can be");
  const Result<Costs> before = begin_costs();
  if (before.has_error()) return before.error();
  const std::uint64_t heartbeats = fleet_->counters().heartbeats;
  fleet_->take_latencies();
  fleet_->take_lags();
  fleet_->set_closed_loop(true);
  fleet_->run_for(std::chrono::seconds(options_.throughput_seconds));
  const double took = seconds_since(before->began);
  const auto done = static_cast<double>(fleet_->counters().heartbeats - heartbeats);
  fleet_->set_closed_loop(false);
  report_.section("One heartbeat after the other on every connection, generator and registry on the same machine");
  report_.add("heartbeatsPerSecond", "heartbeats", done / took, "/s", 0, Aim{20'000, true});
  add_latencies("throughput");
  const Result<ProcessUse> use = add_costs("throughput", *before);
  if (use.has_error()) return use.error();
  report_.add("registryMicrosecondsPerHeartbeat", "CPU of the registry for a heartbeat",
              (use->cpu_seconds - before->registry) / done * 1e6, "us", 1);
  return {};
}

Result<> Run::check_and_end() {
  say("comparing");
  // What is still on its way is answered first.
  fleet_->run_for(2s);
  const Result<Comparison> found = compare(registry_.folder(), registry_.port(), fleet_->nodes(), fleet_->contract());
  if (found.has_error()) return found.error();
  const FleetCounters& counters = fleet_->counters();
  report_.section("What was acknowledged against what the registry lists");
  report_.add("listed", "nodes listed", static_cast<double>(found->listed), "");
  report_.add("shown", "of these read back with their facts", static_cast<double>(found->shown), "");
  report_.add("missing", "acknowledged nodes that are missing", static_cast<double>(found->missing), "", 0,
              Aim{0, false});
  report_.add("stale", "with another generation than acknowledged", static_cast<double>(found->stale), "", 0,
              Aim{0, false});
  report_.add("wrongFacts", "with other facts than acknowledged", static_cast<double>(found->wrong_facts), "", 0,
              Aim{0, false});
  report_.add("lost", "answers that went behind an acknowledgement", static_cast<double>(counters.lost), "", 0,
              Aim{0, false});
  report_.add("unexpected", "answers that cannot be retried", static_cast<double>(counters.unexpected), "", 0,
              Aim{0, false});
  fleet_->close_all();
  if (Result<> ended = registry_.finish(); ended.has_error()) return ended;
  if (!found->good() || counters.lost > 0) return fail(Code::data_loss, "something acknowledged was lost");
  if (counters.unexpected > 0) return fail(Code::internal, "there were answers that no agent should get");
  return {};
}

int run(const Options& options) {
  if (const Result<> raised = raise_descriptor_limit(options.nodes); raised.has_error()) {
    fmt::print(stderr, "load_generator: {}\n", raised.error().message);
    return 2;
  }
  const ScratchFolder folder(options.dir);
  if (folder.path().empty()) {
    fmt::print(stderr, "load_generator: cannot make a folder in {}\n", options.dir);
    return 2;
  }
  Run whole(options, folder.path());
  const Result<> done = whole.all();
  fmt::print("{}", options.output == "json" ? whole.report().json() : whole.report().table());
  if (done.has_value()) return 0;
  fmt::print(stderr, "load_generator: {}\n", done.error().text());
  if (whole.fleet() != nullptr) {
    for (const std::string& complaint : whole.fleet()->counters().complaints)
      fmt::print(stderr, "  {}\n", printable(trim(complaint), 300));
  }
  return 1;
}

}  // namespace

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);
  Options options;
  const char* temporary = std::getenv("TMPDIR");
  options.dir = temporary != nullptr ? temporary : "/tmp";
  options.registry = (std::filesystem::path(argv[0]).parent_path() / "omnitide-registry").string();
  CLI::App app("Plays nodes over TLS against omnitide-registry, which it starts, kills and starts again.");
  app.add_option("--nodes", options.nodes, "How many")->check(CLI::Range(1, 100'000))->capture_default_str();
  app.add_option("--seconds", options.seconds, "Of heartbeats at the interval")->capture_default_str();
  app.add_option("--interval", options.interval, "Seconds between a node's heartbeats")
      ->check(CLI::Range(1, 3600))
      ->capture_default_str();
  app.add_option("--throughput-seconds", options.throughput_seconds, "Of heartbeats without a pause; 0: none")
      ->capture_default_str();
  app.add_option("--parallel-joins", options.parallel_joins, "Nodes that join at once")->capture_default_str();
  app.add_option("--registry", options.registry, "The program omnitide-registry")->capture_default_str();
  app.add_option("--dir", options.dir, "Where the registry's folder is made, and removed at the end")
      ->capture_default_str();
  app.add_option("-o,--output", options.output, "table or json")->check(CLI::IsMember({"table", "json"}));
  app.add_flag("--quick", options.quick, "500 nodes, 15 s, an interval of 2 s: for every test run");
  app.footer("Example: build/test/bin/load_generator --nodes 10000 --seconds 300");
  CLI11_PARSE(app, argc, argv);
  if (options.quick) {
    options.nodes = 500;
    options.seconds = 15;
    options.interval = 2;
    options.throughput_seconds = 3;
  }
  return run(options);
}
