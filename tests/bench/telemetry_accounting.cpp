// Exact accounting: records with sequence numbers through random kills of the agent's side (kill -9 of a process with
// the publisher), of the broker, and of the network. One half goes to a scripted broker that records before it
// acknowledges, which may therefore die at any moment; the other to mosquitto, which ends by SIGTERM and keeps its
// state. Each number has to arrive.
//
//   telemetry_accounting [--quick]      1,000,000 records and 100 kills, or 20,000 and 6
//   telemetry_accounting --node FOLDER PORT RECORDS A_MILLISECOND     the process that is killed
#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "agent/base/random.hpp"
#include "agent/telemetry/publisher.hpp"
#include "tests/bench/rows.hpp"
#include "tests/harness/child.hpp"
#include "tests/harness/fixture.hpp"
#include "tests/harness/loop.hpp"
#include "tests/harness/mosquitto.hpp"
#include "tests/harness/scripted_broker.hpp"

using namespace omnitide;
using namespace omnitide::telemetry;
using namespace omnitide::test;
using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

namespace {

constexpr std::size_t kMetrics = static_cast<std::size_t>(Stream::metrics);
constexpr auto kLongest = 10min;

PublisherOptions node_options(const std::string& folder, std::uint16_t port) {
  PublisherOptions out;
  out.folder = folder;
  io::MqttOptions broker;
  broker.host = "127.0.0.1";
  broker.port = port;
  broker.client_id = "omnitide-accounting";
  broker.connect_timeout = 5s;
  out.brokers.push_back(broker);
  out.plain.enabled = true;
  out.plain.topics[kMetrics] = "t/metrics";
  out.spool.bytes = std::uint64_t{1} << 30U;
  out.backoff_base = 10ms;
  out.backoff_cap = 50ms;
  out.drain_records_per_second = 0;
  return out;
}

// Record N says N. Numbers go on where the spool says; one that was given but not written before a kill is given again.
int run_node(const std::string& folder, std::uint16_t port, RecordNumber records, int a_millisecond) {
  Loop loop;
  Publisher publisher(loop.context, loop.pool, node_options(folder, port), {});
  if (publisher.start().has_error()) return 3;
  RecordNumber next = publisher.status().spool.streams[kMetrics].next;
  while (true) {
    for (int i = 0; i < a_millisecond && next <= records; ++i, ++next) {
      const auto number = publisher.record(Stream::metrics, wall_now(), std::to_string(next));
      if (number.has_error() || *number != next) return 4;
    }
    loop.run_for(1ms);
    if (next > records && publisher.status().spool.streams[kMetrics].records == 0) break;
  }
  loop.run(publisher.stop(5s));
  return 0;
}

class Node {
 public:
  Node(std::string folder, std::uint16_t port, RecordNumber records, int a_millisecond)
      : words_{"/proc/self/exe",
               "--node",
               folder,
               std::to_string(port),
               std::to_string(records),
               std::to_string(a_millisecond)},
        log_(folder + ".log") {
    start();
  }
  void start() { process_.emplace(words_, log_); }
  // Whether it has ended by itself: all given and all confirmed.
  [[nodiscard]] bool finished(std::chrono::milliseconds longest) {
    const std::optional<int> code = process_->wait_for(longest);
    note_memory();
    if (code && *code != 0) throw std::runtime_error(fmt::format("the node ended with {}: {}", *code, read_text(log_)));
    return code.has_value();
  }
  void kill_and_restart() {
    note_memory();
    (void)process_->end(SIGKILL);
    start();
  }
  [[nodiscard]] std::size_t most_kib() const { return most_kib_; }

 private:
  void note_memory() {
    std::ifstream file(fmt::format("/proc/{}/status", process_->pid()));
    for (std::string line; std::getline(file, line);)
      if (line.starts_with("VmRSS:")) most_kib_ = std::max<std::size_t>(most_kib_, std::stoul(line.substr(6)));
  }
  std::vector<std::string> words_;
  std::string log_;
  std::optional<Process> process_;
  std::size_t most_kib_ = 0;
};

struct Account {
  std::vector<std::uint8_t> seen;
  std::uint64_t came = 0;
  explicit Account(RecordNumber records) : seen(records + 1) {}
  void note(std::string_view payload) {
    const RecordNumber number = std::stoull(std::string(payload));
    if (number >= seen.size()) throw std::runtime_error("a number that was never given came");
    seen[number] = 1;
    ++came;
  }
  [[nodiscard]] std::uint64_t different() const {
    return static_cast<std::uint64_t>(std::count(seen.begin(), seen.end(), 1));
  }
};

struct Outcome {
  RecordNumber records = 0;
  std::uint64_t lost = 0, twice = 0;
  std::size_t kills = 0, most_kib = 0;
  double seconds = 0;
};

// `strike` does the harm number i; the node may be restarted by it.
template <class Strike>
void through(Node& node, std::size_t kills, const Strike& strike) {
  const auto deadline = Clock::now() + kLongest;
  for (std::size_t i = 0; i < kills; ++i) {
    (void)node.finished(std::chrono::milliseconds(random_u64() % 400));
    strike(i);
  }
  while (!node.finished(100ms))
    if (Clock::now() > deadline) throw std::runtime_error("the records do not all arrive in time");
}

int rate_for(RecordNumber records, std::size_t kills) {
  return static_cast<int>(std::max<RecordNumber>(1, records / (kills * 250 + 1)));
}

Outcome with_scripted_broker(RecordNumber records, std::size_t kills) {
  const TempTree tree;
  Account account(records);
  std::atomic<bool> silent = false;
  BrokerRules rules;
  rules.keep_publishes = false;
  rules.puback = [&account, &silent](const SeenPublish& one) {  // recorded first, and acknowledged if it lives
    if (one.topic == "t/metrics") account.note(one.payload);
    return silent ? -1 : 0;
  };
  const auto begin = Clock::now();
  std::optional<ScriptedBroker> broker(std::in_place, rules);
  Node node(tree.path() + "/node", broker->port(), records, rate_for(records, kills));
  through(node, kills, [&](std::size_t i) {
    if (i % 3 == 0) {
      node.kill_and_restart();
    } else if (i % 3 == 1) {
      broker->cut(random_u64() % 2 == 0);
    } else {  // what was recorded in its last moments is not acknowledged, then it is gone for a while
      silent = true;
      std::this_thread::sleep_for(std::chrono::milliseconds(random_u64() % 20));
      broker->change([](BrokerRules& now) { now.accept = false; });
      broker->cut();
      std::this_thread::sleep_for(std::chrono::milliseconds(random_u64() % 300));
      silent = false;
      broker->change([](BrokerRules& now) { now.accept = true; });
    }
  });
  const double seconds = std::chrono::duration<double>(Clock::now() - begin).count();
  broker.reset();
  return {records, records - account.different(), account.came - account.different(), kills, node.most_kib(), seconds};
}

Outcome with_mosquitto(RecordNumber records, std::size_t kills) {
  const TempTree tree;
  Mosquitto broker(tree.path(), "allow_anonymous true\npersistence true\nmax_queued_messages 0\n");
  const std::string out = tree.path() + "/came.txt";
  const auto begin = Clock::now();
  // Its session lives in the broker's persistence; it connects again by itself.
  Process subscriber({"mosquitto_sub", "-h", "127.0.0.1", "-p", std::to_string(broker.port()), "-i", "account", "-c",
                      "-q", "1", "-t", "t/metrics"},
                     out);
  std::this_thread::sleep_for(500ms);
  Node node(tree.path() + "/node", broker.port(), records, rate_for(records, kills));
  through(node, kills, [&](std::size_t i) {
    if (i % 2 == 0) {
      node.kill_and_restart();
    } else {
      broker.stop();
      std::this_thread::sleep_for(std::chrono::milliseconds(random_u64() % 300));
      broker.start();
    }
  });
  const double seconds = std::chrono::duration<double>(Clock::now() - begin).count();
  Account account(records);
  for (int i = 0; i < 100 && account.different() < records; ++i) {  // the broker passes on what it has
    std::this_thread::sleep_for(200ms);
    account = Account(records);
    std::ifstream file(out);
    for (std::string line; std::getline(file, line);)
      if (!line.empty() && line.find_first_not_of("0123456789") == std::string::npos) account.note(line);
  }
  (void)subscriber.end(SIGTERM);
  return {records, records - account.different(), account.came - account.different(), kills, node.most_kib(), seconds};
}

bool report(std::string_view name, const Outcome& of) {
  fmt::print(
      "{}: {} records through {} kills in {:.1f} s: {} lost, {} came more than once, the node had at most {} KiB\n",
      name, of.records, of.kills, of.seconds, of.lost, of.twice, of.most_kib);
  bench::row(fmt::format("records lost, {} kills, {}", of.kills, name), std::to_string(of.lost),
             "0 of " + std::to_string(of.records), of.lost == 0 ? "0" : "1");
  bench::row(fmt::format("records a second through kills, {}", name),
             fmt::format("{:.0f}", static_cast<double>(of.records) / of.seconds));
  return of.lost == 0 && of.most_kib < 40'000;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    const std::vector<std::string> words(argv + 1, argv + argc);
    if (words.size() == 5 && words[0] == "--node")
      return run_node(words[1], static_cast<std::uint16_t>(std::stoul(words[2])), std::stoull(words[3]),
                      std::stoi(words[4]));
    const bool quick = !words.empty() && words[0] == "--quick";
    const RecordNumber records = quick ? 10'000 : 500'000;
    const std::size_t kills = quick ? 3 : 50;
    const bool first = report("scripted broker", with_scripted_broker(records, kills));
    const bool second = report("mosquitto", with_mosquitto(records, kills));
    return first && second ? 0 : 1;
  } catch (const std::exception& error) {
    fmt::print(stderr, "telemetry_accounting: {}\n", error.what());
    return 1;
  }
}
