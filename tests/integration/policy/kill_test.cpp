// kill -9 in every phase of an update, under traffic, while the policies are rewritten all the time. OMNITIDE_KILLS is
// how many: 10, or 100 for what is promised.
#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <iostream>
#include <map>
#include <mutex>
#include <thread>

#include "agent/base/text.hpp"
#include "tests/harness/agent_node.hpp"
#include "tests/harness/catch.hpp"
#include "tests/harness/kernel_objects.hpp"
#include "tests/harness/policy_shop.hpp"
#include "tests/harness/policy_traffic.hpp"
#include "tests/harness/private_bpffs.hpp"

using namespace omnitide;
using namespace std::chrono_literals;
using test::AgentNode;

namespace {

unsigned from_environment(const char* name, unsigned otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : parse_number<unsigned>(text).value_or(otherwise);
}

constexpr std::uint32_t kIdentities = 4093;  // the size of a map that no other test has
test::KernelObjects objects_here() { return test::objects_sized(kIdentities); }

// Writes one version after the other.
class Writer {
 public:
  explicit Writer(const AgentNode& node) : node_(node), thread_([this] { run(); }) {}
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;
  ~Writer() { (void)stop(); }
  // The version that was written last.
  unsigned stop() {
    going_ = false;
    if (thread_.joinable()) thread_.join();
    return version_;
  }

 private:
  void run() {
    while (going_) {
      ++version_;
      node_.put("all.yaml", test::shop(version_) + test::crowd(version_));
      std::this_thread::sleep_for(40ms);
    }
  }
  const AgentNode& node_;
  std::atomic<unsigned> version_{0};
  std::atomic<bool> going_{true};
  std::thread thread_;
};

// How far an agent came that began to write its log at `begin`.
enum class Phase : std::uint8_t { start, takeover, changes };
Phase phase_of(const std::string& log) {
  if (log.find("policy changed") != std::string::npos) return Phase::changes;
  return log.find("policy published") != std::string::npos ? Phase::takeover : Phase::start;
}

// Starts and kills the agent; each time at another moment.
class Killer {
 public:
  explicit Killer(AgentNode& node) : node_(node) {}

  // Until the first policy is in force: what a start takes, here and now.
  void first_start() {
    begin_run();
    REQUIRE(test::eventually(30s, [this] { return phase() != Phase::start; }));
    start_takes_ = age();
  }
  // The running agent, then starts another one.
  void kill_after(std::chrono::milliseconds moment) {
    std::this_thread::sleep_for(moment);
    REQUIRE(node_.end(SIGKILL) == -SIGKILL);
    ++phases_[phase()];
    begin_run();
  }
  // `part` of `of`, over all of a start and something more; every other time in the midst of changes.
  void kill(unsigned part, unsigned of) {
    if (part % 2 == 0) return kill_after(start_takes_ * (part + 1) * 5 / (of * 4));
    (void)test::eventually(20s, [this] { return phase() != Phase::start; });
    start_takes_ = std::min(start_takes_, age());  // others are quicker than the first one
    (void)test::eventually(20s, [this] { return phase() == Phase::changes; });
    kill_after(std::chrono::milliseconds(part * 7 % 43));
  }

  [[nodiscard]] std::map<Phase, unsigned>& phases() { return phases_; }
  [[nodiscard]] std::chrono::milliseconds start_takes() const { return start_takes_; }

 private:
  [[nodiscard]] std::chrono::milliseconds age() const {
    return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - begun_);
  }
  void begin_run() {
    log_at_ = node_.log().size();
    begun_ = std::chrono::steady_clock::now();
    node_.start();
  }
  [[nodiscard]] Phase phase() const { return phase_of(node_.log().substr(log_at_)); }

  AgentNode& node_;
  std::size_t log_at_ = 0;
  std::chrono::steady_clock::time_point begun_;
  std::chrono::milliseconds start_takes_{0};
  std::map<Phase, unsigned> phases_;
};

// The newest version is in force and said to be.
void check_newest(const AgentNode& node, const test::Bursts& bursts, unsigned version) {
  REQUIRE(node.enforces(20s));
  CHECK(bursts.show(version % 2 == 0));
  const test::Answer status = node.ask({"policy", "status", "-o", "json"});
  INFO(status.text);
  CHECK(status.code == 0);
  CHECK(status.text.find("\"objects\": \"" + std::to_string(test::objects_of(version)) + "\"") != std::string::npos);
}

void print(const test::Bursts::Account& all, const test::Iperf::Result& iperf, Killer& killer) {
  std::cout << "kills at start " << killer.phases()[Phase::start] << ", in the takeover "
            << killer.phases()[Phase::takeover] << ", in changes " << killer.phases()[Phase::changes]
            << "; a start takes " << killer.start_takes().count() << " ms\nbursts " << all.all() << ": "
            << all.first + all.second << " by one version, " << all.changed << " over a change, " << all.mixed
            << " mixed, " << all.slow << " too slow to tell\niperf3 " << iperf.kbits.size() << " s, the least "
            << iperf.least() << " kbit/s\n";
}

}  // namespace

TEST_CASE("kill -9 at any moment: connections live, denied packets never pass, policy is the old or the new one") {
  const unsigned kills = from_environment("OMNITIDE_KILLS", 10);
  REQUIRE(objects_here() == test::KernelObjects{});
  test::with_private_bpffs([&](const std::string& bpffs) {
    AgentNode node(bpffs, {fmt::format("identities: {}", kIdentities)});
    const test::RoutedPod server(test::kServer), client(test::kClient), other(test::kOther);
    node.put("all.yaml", test::shop(0) + test::crowd(0));
    Killer killer(node);
    killer.first_start();
    REQUIRE(node.enforces(20s));
    const auto objects = objects_here();
    CHECK(objects.maps == 1);

    test::Bursts bursts(other, server);
    test::Iperf iperf(client, server, node.path("run"));
    unsigned newest = 0;
    {
      Writer writer(node);
      for (unsigned i = 0; i < kills; ++i) {
        INFO("kill " << i);
        killer.kill(i, kills);
        REQUIRE(iperf.running());
      }
      newest = writer.stop();
    }
    check_newest(node, bursts, newest);
    CHECK(test::settled_objects(objects, objects_here) == objects);
    bursts.stop();
    const test::Iperf::Result stream = iperf.end();
    const test::Bursts::Account all = bursts.account();
    print(all, stream, killer);

    INFO(stream.text);
    CHECK(stream.text.find("interrupt - the client has terminated") != std::string::npos);  // by us, and not before
    CHECK(stream.kbits.size() >= kills / 4);
    CHECK(stream.least() > 0);
    CHECK(bursts.never() == 0);
    CHECK(bursts.connected() == 0);
    CHECK(all.mixed == 0);
    CHECK(all.first > kills * 10);
    CHECK(all.second > kills * 10);
    CHECK(all.slow < all.all() / 10);
    for (const Phase phase : {Phase::start, Phase::changes})
      CHECK(killer.phases()[phase] >= kills / 10);

    CHECK(node.end(SIGTERM) == 0);
    const test::Answer detached = node.detach();
    INFO(detached.text);
    CHECK(detached.code == 0);
  });
  CHECK(test::settled_objects({}, objects_here) == test::KernelObjects{});
}
