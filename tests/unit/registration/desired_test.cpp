// The desired state: when the machine asks for it, and its file.
#include "agent/registration/desired.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <string>

#include "agent/base/file.hpp"
#include "agent/io/crypto.hpp"
#include "agent/registration/machine.hpp"
#include "tests/harness/catch.hpp"

using namespace omnitide;
using namespace omnitide::registration;
using namespace std::chrono_literals;

namespace {

class Folder {
 public:
  Folder() {
    std::string name = "/tmp/omnitide-desired-XXXXXX";
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    path_ = name;
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  ~Folder() {
    ::unlink((path_ + "/desired-policy").c_str());
    ::rmdir(path_.c_str());
  }
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_;
};

DesiredState state_of(std::uint64_t version, std::vector<DesiredDocument> documents) {
  return {.version = version, .sha256 = content_sha256(documents), .documents = std::move(documents)};
}

DesiredRef shared(DesiredState state) { return std::make_shared<const DesiredState>(std::move(state)); }

// A machine that is registered, with a registry that states what the test says.
struct World {
  WallTime wall{std::chrono::hours{24 * 365 * 56}};
  SteadyTime steady{1h};
  std::uint64_t random = 900;
  Machine machine;

  World()
      : machine(Settings{1s, 300s, 0s, WallTime{}, false}, {}, Validity{wall, wall + std::chrono::hours{24}}, now()) {
    machine.set_facts("facts");
    const Step put = machine.next(now());
    REQUIRE(put.verb == Verb::put);
    acknowledge(put, {});
  }
  [[nodiscard]] Now now() const { return {wall, steady, random}; }
  void pass(std::chrono::milliseconds time) {
    wall += time;
    steady += time;
  }
  void acknowledge(const Step& step, std::string stated) {
    machine.accept(step,
                   Acknowledged{.generation = step.generation,
                                .heartbeat_interval_seconds = 10,
                                .server_time = wall,
                                .labels = {},
                                .desired_sha256 = std::move(stated)},
                   now());
  }
  // The next heartbeat, answered with this digest.
  void heartbeat(const std::string& stated) {
    pass(10s);
    const Step step = machine.next(now());
    REQUIRE(step.verb == Verb::heartbeat);
    acknowledge(step, stated);
  }
  void fail_fetch(const Step& step, std::string why) {
    machine.accept(step,
                   Failed{.error = fail(Code::unavailable, std::move(why)),
                          .retry_after = {},
                          .known_generation = {},
                          .by_registry = true},
                   now());
  }
};

}  // namespace

TEST_CASE("a state that differs is fetched at once, once, and never when none is stated") {
  World world;
  world.heartbeat({});
  CHECK(world.machine.next(world.now()).verb == Verb::wait);
  const DesiredRef state = shared(state_of(7, {{"web", "text"}}));
  world.heartbeat(state->sha256);
  const Step fetch = world.machine.next(world.now());
  REQUIRE(fetch.verb == Verb::fetch);
  world.machine.accept(fetch, Fetched{state}, world.now());
  CHECK(world.machine.next(world.now()).verb == Verb::wait);
  world.pass(1s);
  // What came of it is told without waiting for the interval; then there is silence.
  const Step report = world.machine.next(world.now());
  REQUIRE(report.verb == Verb::heartbeat);
  world.acknowledge(report, state->sha256);
  CHECK(world.machine.next(world.now()).verb == Verb::wait);
  world.heartbeat({});  // a registry that no longer states any leaves the node what it has
  CHECK(world.machine.next(world.now()).verb == Verb::wait);
}

TEST_CASE("what is on the disk is not fetched again") {
  World world;
  world.machine.set_held("digest");
  world.heartbeat("digest");
  CHECK(world.machine.next(world.now()).verb == Verb::wait);
  world.heartbeat("another");
  const Step fetch = world.machine.next(world.now());
  REQUIRE(fetch.verb == Verb::fetch);
  world.machine.accept(fetch, Fetched{}, world.now());  // 304: it went back meanwhile
  CHECK(world.machine.next(world.now()).verb == Verb::wait);
}

TEST_CASE("a fetch that fails backs off alone, heartbeats go on and tell why") {
  World world;
  world.heartbeat("digest");
  Step fetch = world.machine.next(world.now());
  REQUIRE(fetch.verb == Verb::fetch);
  world.fail_fetch(fetch, "too large");
  CHECK(world.machine.fetch_problem() == "too large");
  CHECK(world.machine.state() == State::registered);
  const Step wait = world.machine.next(world.now());
  REQUIRE(wait.verb == Verb::wait);
  CHECK(wait.until == world.steady + 900ms);  // the jitter of this world
  world.pass(900ms);
  fetch = world.machine.next(world.now());
  REQUIRE(fetch.verb == Verb::fetch);
  world.fail_fetch(fetch, "too large");
  world.pass(100ms);
  REQUIRE(world.machine.next(world.now()).verb == Verb::heartbeat);  // tells of it
  world.heartbeat("digest");
  fetch = world.machine.next(world.now());
  REQUIRE(fetch.verb == Verb::fetch);
  world.machine.accept(fetch, Fetched{shared(state_of(1, {}))}, world.now());
  CHECK(world.machine.fetch_problem().empty());
}

TEST_CASE("reports that follow each other fast go out together, and not while the registry is away") {
  World world;
  world.heartbeat({});
  world.machine.report_soon();
  const Step wait = world.machine.next(world.now());
  REQUIRE(wait.verb == Verb::wait);
  CHECK(wait.until == world.steady + 1s);
  world.pass(1s);
  const Step report = world.machine.next(world.now());
  REQUIRE(report.verb == Verb::heartbeat);
  world.machine.report_soon();
  world.fail_fetch(report, "away");
  const Step away = world.machine.next(world.now());
  CHECK(away.verb == Verb::wait);
}

TEST_CASE("the file comes back as it was stored, for its owner only") {
  const Folder folder;
  const DesiredFile file(folder.path());
  CHECK(file.load().error().code == Code::not_found);
  const DesiredState state = state_of(3, {{"a", "kind: Pod\n"}, {"b", std::string(100'000, 'x')}});
  REQUIRE(file.store(state).has_value());
  const Result<DesiredState> back = file.load();
  REQUIRE(back.has_value());
  CHECK(back->version == 3);
  CHECK(back->sha256 == state.sha256);
  CHECK(back->documents == state.documents);
  struct stat info {};
  REQUIRE(::stat(file.path().c_str(), &info) == 0);
  CHECK((info.st_mode & 0777U) == 0600);
  REQUIRE(file.store(state_of(0, {})).has_value());  // "no documents" is a state too
  CHECK(file.load()->documents.empty());
  CHECK(file.load()->sha256 == io::sha256(""));
}

TEST_CASE("a damaged file is refused, wherever the damage is") {
  const Folder folder;
  const DesiredFile file(folder.path());
  REQUIRE(file.store(state_of(3, {{"a", "kind: Pod\n"}})).has_value());
  const std::string good = *read_file(file.path());
  for (std::size_t at = 0; at < good.size(); ++at) {
    std::string bad = good;
    bad[at] = static_cast<char>(bad[at] ^ 0x10);
    REQUIRE(write_file_durably(file.path(), bad).has_value());
    INFO(at);
    REQUIRE(file.load().has_error());
    REQUIRE(file.load().error().code == Code::data_loss);
    REQUIRE(write_file_durably(file.path(), good.substr(0, at)).has_value());
    REQUIRE(file.load().has_error());
  }
}

TEST_CASE("the digest tells apart what stands in names, texts and their order") {
  const auto digest = [](std::vector<DesiredDocument> documents) { return content_sha256(documents); };
  CHECK(digest({{"a", "b"}}) != digest({{"b", "a"}}));
  CHECK(digest({{"a", "bc"}}) != digest({{"ab", "c"}}));
  CHECK(digest({{"a", ""}, {"b", ""}}) != digest({{"b", ""}, {"a", ""}}));
  CHECK(digest({}) == io::sha256(""));
}
