// omnitide-agent with telemetry, the broker it talks to, and a subscriber that hears all: for tests of what comes over
// the wire. OMNITIDE_PROGRAMS says where the program is.
#pragma once

#include <signal.h>
#include <stdlib.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <functional>
#include <optional>
#include <sstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "agent/base/text.hpp"
#include "tests/harness/child.hpp"
#include "tests/harness/mosquitto.hpp"
#include "tests/harness/sparkplug_follower.hpp"

namespace omnitide::test {

// Until `done` says so; false when it took longer.
inline bool in_time(std::chrono::milliseconds longest, const std::function<bool()>& done) {
  const auto deadline = std::chrono::steady_clock::now() + longest;
  while (!done()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  return true;
}

struct Heard {
  std::string topic, payload;
  unsigned qos = 0;
  bool retain = false;
};

class TelemetryNode {
 public:
  static constexpr const char* kGroup = "plant";
  static constexpr const char* kNode = "press-7";

  // `telemetry`: lines of YAML below "telemetry:", each with two blanks in front.
  explicit TelemetryNode(std::string telemetry = {}, std::string extra = {})
      : telemetry_(std::move(telemetry)), extra_(std::move(extra)) {
    if (::mkdtemp(folder_.data()) == nullptr) throw std::runtime_error("cannot make a folder");
    for (const char* name : {"state", "run", "none", "broker"})
      std::filesystem::create_directory(path(name));
    broker_.emplace(path("broker"),
                    "allow_anonymous true\npersistence true\nqueue_qos0_messages true\nmax_queued_messages 0\n");
    listen();
  }
  TelemetryNode(const TelemetryNode&) = delete;
  TelemetryNode& operator=(const TelemetryNode&) = delete;
  ~TelemetryNode() {
    agent_.reset();
    reader_.reset();
    broker_.reset();
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }

  [[nodiscard]] std::string path(const std::string& name) const { return folder_ + "/" + name; }
  [[nodiscard]] std::string log() const { return read_text(path("log")); }
  [[nodiscard]] Mosquitto& broker() { return *broker_; }

  void start() {
    configure(telemetry_);
    agent_.emplace(
        std::vector<std::string>{program(), "run", "--config-dir", path("none"), "--config", path("agent.yaml")},
        path("log"));
  }
  int end(int signal_number) {
    const int code = agent_->end(signal_number);
    agent_.reset();
    return code;
  }
  void signal(int number) const { ::kill(agent_->pid(), number); }
  void configure(const std::string& telemetry) {
    telemetry_ = telemetry;
    std::ofstream(path("agent.yaml")) << "node: {name: press-7}\npaths: {state_dir: " << path("state")
                                      << ", run_dir: " << path("run") << "}\nhttp: {enabled: false}\n"
                                      << extra_ << "telemetry:\n  brokers: [\"mqtt://127.0.0.1:" << broker_->port()
                                      << "\"]\n  group: " << kGroup << "\n  node: " << kNode
                                      << "\n  backoff_base: 100ms\n  backoff_cap: 1s\n"
                                      << telemetry_;
  }
  // The subscriber stays: its session outlives the broker, and what comes while it is away is kept for it.
  void stop_broker() { broker_->stop(); }
  void start_broker() { broker_->start(); }

  [[nodiscard]] Answer ask(std::vector<std::string> words) const {
    words.insert(words.begin(), program());
    words.insert(words.end(), {"--run-dir", path("run")});
    return answer_of(words, path("answer"));
  }
  void publish(const std::string& topic, const std::string& payload, bool retain = false) const {
    std::ofstream(path("message"), std::ios::binary) << payload;
    std::vector<std::string> words{
        "mosquitto_pub", "-h", "127.0.0.1",    "-p", std::to_string(broker_->port()), "-q", "1", "-t",
        topic,           "-f", path("message")};
    if (retain) words.emplace_back("-r");
    if (answer_of(words, path("publish")).code != 0) throw std::runtime_error("cannot publish to " + topic);
  }

  // All that was heard so far, in order.
  [[nodiscard]] std::vector<Heard> heard() const {
    std::vector<Heard> out;
    std::istringstream lines(read_text(path("heard")));
    for (std::string line; std::getline(lines, line);) {
      std::istringstream words(line);
      Heard one;
      std::string hex;
      unsigned retain = 0;
      if (!(words >> one.topic >> one.qos >> retain)) continue;
      words >> hex;  // none for an empty payload
      one.retain = retain != 0;
      one.payload = hex_decode(hex).value_or("");
      if (!one.topic.starts_with("omnitide-test/")) out.push_back(std::move(one));
    }
    return out;
  }
  [[nodiscard]] std::vector<Heard> heard(const std::string& topic_part) const {
    std::vector<Heard> out = heard();
    std::erase_if(out, [&topic_part](const Heard& one) { return one.topic.find(topic_part) == std::string::npos; });
    return out;
  }
  // What a host makes of it.
  [[nodiscard]] SparkplugFollower follow() const {
    SparkplugFollower out(kGroup, kNode);
    out.keep_values(true);
    for (const Heard& one : heard("spBv1.0/"))
      if (one.topic.find("/STATE/") == std::string::npos) out.message(one.topic, one.payload, one.qos, one.retain);
    return out;
  }

 private:
  static std::string program() { return std::string(OMNITIDE_PROGRAMS) + "/omnitide-agent"; }
  std::vector<std::string> client(const std::string& program) const {
    return {program, "-h", "127.0.0.1", "-p", std::to_string(broker_->port()), "-q", "1"};
  }
  void listen() {
    std::vector<std::string> words = client("mosquitto_sub");
    words.insert(words.end(), {"-c", "-i", "reader", "-t", "#", "-F", "%t %q %r %x"});
    reader_.emplace(words, path("heard"));
    std::vector<std::string> ready = client("mosquitto_pub");
    ready.insert(ready.end(), {"-t", "omnitide-test/ready", "-m", "1"});
    const auto hears = [&] {
      (void)answer_of(ready, path("publish"));
      return read_text(path("heard")).find("omnitide-test/ready") != std::string::npos;
    };
    if (!in_time(std::chrono::seconds(10), hears)) throw std::runtime_error("the subscriber hears nothing");
  }

  std::string folder_ = "/tmp/omnitide-telemetry-node-XXXXXX";
  std::string telemetry_, extra_;
  std::optional<Mosquitto> broker_;
  std::optional<Process> reader_;
  std::optional<Process> agent_;
};

}  // namespace omnitide::test
