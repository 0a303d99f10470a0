// The machine with a scripted registry and a fake clock: no I/O.
#include "agent/registration/machine.hpp"

#include <map>

#include "tests/harness/catch.hpp"

using namespace omnitide;
using namespace omnitide::registration;
using namespace std::chrono_literals;

namespace {

constexpr WallTime kBuilt{std::chrono::hours{24 * 365 * 56}};  // some day in 2025

struct World {
  WallTime wall = kBuilt + std::chrono::hours{24 * 30};
  SteadyTime steady{1h};
  std::uint64_t random = 0;
  [[nodiscard]] Now now() const { return {wall, steady, random}; }
  void pass(std::chrono::milliseconds time) {
    wall += time;
    steady += time;
  }
};

Settings settings(bool has_token = true) { return {1s, 300s, 0s, kBuilt, has_token}; }
Validity day_from(WallTime start) { return {start, start + std::chrono::hours{24}}; }
Acknowledged ack(const Step& step, const World& world) {
  return {.generation = step.generation, .heartbeat_interval_seconds = 10, .server_time = world.wall, .labels = {}};
}
Failed failure(Code code, std::string message = "no") {
  return {.error = fail(code, std::move(message)), .retry_after = {}, .known_generation = {}, .by_registry = false};
}

Failed word(Code code, std::string field = {}, std::string message = "no") {
  Failed out = failure(code, std::move(message));
  out.error.field = std::move(field);
  out.by_registry = true;
  return out;
}

Machine registered(World& world) {
  Machine machine(settings(), {}, day_from(world.wall), world.now());
  machine.set_facts("facts-1");
  const Step step = machine.next(world.now());
  machine.accept(step, ack(step, world), world.now());
  return machine;
}

}  // namespace

TEST_CASE("without certificate and token it waits and says why; a token that appears lets it join") {
  World world;
  Machine machine(settings(false), {}, std::nullopt, world.now());
  CHECK(machine.next(world.now()).verb == Verb::wait);
  CHECK(machine.state() == State::unjoined);
  machine.set_has_token(true);
  CHECK(machine.next(world.now()).verb == Verb::join);
}

TEST_CASE("join, state the facts, beat: each in its turn") {
  World world;
  Machine machine(settings(), {}, std::nullopt, world.now());
  machine.set_facts("facts-1");
  const Step join = machine.next(world.now());
  REQUIRE(join.verb == Verb::join);
  machine.accept(join, Joined{.certificate = day_from(world.wall), .server_time = world.wall}, world.now());
  const Step put = machine.next(world.now());
  REQUIRE(put.verb == Verb::put);
  CHECK(put.with_facts);
  machine.accept(put, ack(put, world), world.now());
  CHECK(machine.state() == State::registered);
  CHECK(machine.saved().acknowledged_generation == 1);
  CHECK(machine.next(world.now()).verb == Verb::wait);
  world.pass(10s);
  CHECK(machine.next(world.now()).verb == Verb::heartbeat);
}

TEST_CASE("facts travel only when they changed") {
  World world;
  Machine machine = registered(world);
  machine.set_facts("facts-1");
  CHECK(machine.next(world.now()).verb == Verb::wait);
  machine.set_facts("facts-2");
  const Step put = machine.next(world.now());
  REQUIRE(put.verb == Verb::put);
  CHECK(put.with_facts);
  CHECK(put.generation == 2);
}

TEST_CASE("a restart with the same facts introduces itself without sending them, unless it is asked to") {
  World world;
  const Saved saved = registered(world).saved();
  Machine again(settings(), saved, day_from(world.wall), world.now());
  again.set_facts("facts-1");
  Step put = again.next(world.now());
  REQUIRE(put.verb == Verb::put);
  CHECK_FALSE(put.with_facts);
  CHECK(put.generation == 1);
  Acknowledged wants = ack(put, world);
  wants.send_facts = true;
  again.accept(put, wants, world.now());
  put = again.next(world.now());
  CHECK(put.verb == Verb::put);
  CHECK(put.with_facts);
}

TEST_CASE("offline changes are not lost: the last state goes out once the registry is back") {
  World world;
  Machine machine = registered(world);
  world.pass(10s);
  Step beat = machine.next(world.now());
  machine.accept(beat, failure(Code::unavailable), world.now());
  machine.set_facts("facts-2");
  machine.set_facts("facts-3");
  world.pass(1h);
  const Step put = machine.next(world.now());
  REQUIRE(put.verb == Verb::put);
  CHECK(put.generation == 3);
  CHECK(put.with_facts);
}

TEST_CASE("a fact that changes while a PUT is under way is another PUT") {
  World world;
  Machine machine = registered(world);
  machine.set_facts("facts-2");
  const Step put = machine.next(world.now());
  machine.set_facts("facts-3");
  machine.accept(put, ack(put, world), world.now());
  const Step next = machine.next(world.now());
  CHECK(next.verb == Verb::put);
  CHECK(next.generation == 3);
}

TEST_CASE("failures back off with full jitter, never beyond the cap, and Retry-After is kept") {
  World world;
  Machine machine(settings(), {}, std::nullopt, world.now());
  world.random = ~std::uint64_t{0};
  for (int i = 0; i < 40; ++i) {
    const Step step = machine.next(world.now());
    REQUIRE(step.verb == Verb::join);
    machine.accept(step, failure(Code::unavailable), world.now());
    const Step wait = machine.next(world.now());
    if (wait.verb == Verb::wait) {
      CHECK(wait.until - world.steady <= 300s);
      world.steady = wait.until;
    }
  }
  Failed busy = failure(Code::resource_exhausted);
  busy.retry_after = 1000s;
  machine.accept(machine.next(world.now()), busy, world.now());
  CHECK(machine.next(world.now()).until - world.steady >= 1000s);
}

TEST_CASE("renewal comes at about two thirds of the life, with jitter, and heartbeats go on when it fails") {
  for (const std::uint64_t random : {std::uint64_t{0}, std::uint64_t{7'000'000}, ~std::uint64_t{0}}) {
    World world;
    world.random = random;
    const WallTime start = world.wall;
    Machine machine = registered(world);
    std::optional<std::chrono::milliseconds> renewed_at;
    while (world.wall - start < 24h && !renewed_at) {
      const Step step = machine.next(world.now());
      if (step.verb == Verb::heartbeat) machine.accept(step, ack(step, world), world.now());
      if (step.verb == Verb::renew) renewed_at = world.wall - start;
      world.pass(10s);
    }
    REQUIRE(renewed_at.has_value());
    CHECK(*renewed_at >= 1440min * 2 / 3 - 1440min / 20);
    CHECK(*renewed_at <= 1440min * 2 / 3 + 1440min / 20 + 20s);
  }
  World world;
  Machine machine = registered(world);
  world.pass(20h);
  Step renew = machine.next(world.now());
  REQUIRE(renew.verb == Verb::renew);
  world.random = ~std::uint64_t{0} / 2;
  machine.accept(renew, failure(Code::unavailable), world.now());
  CHECK(machine.next(world.now()).verb == Verb::heartbeat);
}

TEST_CASE("a certificate that begins in the past is not due as it comes") {
  World world;
  Machine machine(settings(), {}, std::nullopt, world.now());
  machine.set_facts("f");
  const Validity backdated{world.wall - 5min, world.wall + 8s};
  machine.accept(machine.next(world.now()), Joined{.certificate = backdated, .server_time = world.wall}, world.now());
  const Step put = machine.next(world.now());
  REQUIRE(put.verb == Verb::put);
  machine.accept(put, ack(put, world), world.now());
  CHECK(machine.next(world.now()).verb == Verb::wait);
  world.pass(6s);
  const Step renew = machine.next(world.now());
  REQUIRE(renew.verb == Verb::renew);
  machine.accept(renew, Renewed{{world.wall - 5min, world.wall + 8s}, world.wall}, world.now());
  CHECK(machine.next(world.now()).verb != Verb::renew);
}

TEST_CASE("an expired certificate re-joins by proof of the old key") {
  World world;
  Machine machine = registered(world);
  world.pass(25h);
  const Step step = machine.next(world.now());
  REQUIRE(step.verb == Verb::rejoin);
  machine.accept(step, Renewed{day_from(world.wall), world.wall}, world.now());
  CHECK(machine.next(world.now()).verb == Verb::put);
}

TEST_CASE("a registry whose clock is ahead calls the certificate expired: re-join") {
  World world;
  Machine machine = registered(world);
  world.pass(10s);
  machine.accept(machine.next(world.now()), word(Code::unauthenticated, "certificate/expired"), world.now());
  world.pass(300s);
  CHECK(machine.next(world.now()).verb == Verb::rejoin);
}

TEST_CASE("a clock in 1970 is judged by the build and by what the registry stated") {
  World world;
  world.wall = WallTime{};
  Machine fresh(settings(), {}, std::nullopt, world.now());
  CHECK(fresh.judged(world.now()) == kBuilt);
  Saved saved;
  saved.server_time = kBuilt + std::chrono::hours{24 * 100};
  Machine machine(settings(), saved, day_from(saved.server_time), world.now());
  CHECK(machine.judged(world.now()) == saved.server_time);
  // The last statement is carried on by the steady clock, so that expiry is noticed without a wall clock.
  machine.set_facts("f");
  world.steady += 25h;
  CHECK(machine.next(world.now()).verb == Verb::rejoin);
}

TEST_CASE("a clock set back a year changes nothing") {
  World world;
  Machine machine = registered(world);
  const WallTime before = machine.judged(world.now());
  world.wall -= std::chrono::hours{24 * 365};
  world.steady += 10s;
  CHECK(machine.judged(world.now()) >= before);
  CHECK(machine.next(world.now()).verb == Verb::heartbeat);
}

TEST_CASE("what the registry states of the time reaches the disk now and then, not with each heartbeat") {
  World world;
  Machine machine = registered(world);
  (void)machine.take_dirty();
  int writes = 0;
  for (int i = 0; i < 360; ++i) {  // one hour
    world.pass(10s);
    const Step step = machine.next(world.now());
    machine.accept(step, ack(step, world), world.now());
    writes += machine.take_dirty() ? 1 : 0;
  }
  CHECK(writes >= 5);
  CHECK(writes <= 7);
}

TEST_CASE("a quarantined node asks slowly and comes back when an operator approves") {
  World world;
  Machine machine = registered(world);
  world.pass(10s);
  machine.accept(machine.next(world.now()),
                 word(Code::permission_denied, "state/quarantined", "quarantined: two copies"), world.now());
  CHECK(machine.state() == State::quarantined);
  CHECK(machine.saved().node_state_reason == "quarantined: two copies");
  const Step wait = machine.next(world.now());
  REQUIRE(wait.verb == Verb::wait);
  CHECK(wait.until - world.steady >= 10s);
  world.steady = wait.until;
  const Step step = machine.next(world.now());
  machine.accept(step, ack(step, world), world.now());
  CHECK(machine.state() == State::registered);
}

TEST_CASE("a deleted node joins anew only with a token") {
  World world;
  Machine with = registered(world);
  world.pass(10s);
  with.accept(with.next(world.now()), word(Code::not_found), world.now());
  world.pass(300s);
  CHECK(with.next(world.now()).verb == Verb::join);
  with.set_has_token(false);
  Machine without(settings(false), {}, day_from(world.wall), world.now());
  without.set_facts("f");
  without.accept(without.next(world.now()), word(Code::not_found), world.now());
  world.pass(300s);
  CHECK(without.next(world.now()).verb == Verb::wait);
  CHECK(without.state() == State::unjoined);
}

TEST_CASE("a generation that the registry is ahead of is passed, never gone back to") {
  World world;
  Machine machine = registered(world);
  machine.set_facts("facts-2");
  Failed old = word(Code::aborted);
  old.known_generation = 41;
  machine.accept(machine.next(world.now()), old, world.now());
  world.pass(300s);
  const Step put = machine.next(world.now());
  CHECK(put.verb == Verb::put);
  CHECK(put.generation == 42);
  CHECK(put.with_facts);
}

TEST_CASE("a pending node polls as the registry says") {
  World world;
  Machine machine(settings(), {}, std::nullopt, world.now());
  machine.accept(machine.next(world.now()),
                 Joined{.pending = true, .certificate = {}, .server_time = world.wall, .poll = 7s}, world.now());
  CHECK(machine.state() == State::pending);
  const Step wait = machine.next(world.now());
  REQUIRE(wait.verb == Verb::wait);
  CHECK(wait.until - world.steady == 7s);
  world.pass(7s);
  CHECK(machine.next(world.now()).verb == Verb::join);
}

TEST_CASE("newer labels are fetched by a PUT and kept") {
  World world;
  Machine machine = registered(world);
  world.pass(10s);
  Step beat = machine.next(world.now());
  Acknowledged news = ack(beat, world);
  news.labels_version = 5;
  machine.accept(beat, news, world.now());
  const Step put = machine.next(world.now());
  REQUIRE(put.verb == Verb::put);
  Acknowledged with = ack(put, world);
  with.labels_version = 5;
  with.labels = {{"site", "hamburg"}};
  machine.accept(put, with, world.now());
  CHECK(machine.saved().labels.at("site") == "hamburg");
}

TEST_CASE("only the registry's own word changes the node's state: a disk or a forged alert does not") {
  World world;
  Machine machine = registered(world);
  for (const Code code : {Code::permission_denied, Code::unauthenticated, Code::not_found}) {
    world.pass(400s);
    const Step step = machine.next(world.now());
    REQUIRE(step.verb == Verb::heartbeat);
    machine.accept(step, failure(code, "certificate has expired; banned; quarantined"), world.now());
    CHECK(machine.state() == State::registered);
    CHECK(machine.certificate()->not_after - world.wall > 1h);
  }
}

TEST_CASE("a server that cannot be believed is tried by the token's pin, and the certificate has its turn again") {
  World world;
  Machine machine = registered(world);
  int joins = 0, others = 0;
  for (int i = 0; i < 12; ++i) {
    world.pass(400s);
    const Step step = machine.next(world.now());
    (step.verb == Verb::join ? joins : others) += 1;
    machine.accept(step, failure(Code::unauthenticated), world.now());
  }
  CHECK(joins >= 2);
  CHECK(others >= 6);
}

TEST_CASE("an absurd time from the registry is not believed, and a join by the pin replaces what was") {
  World world;
  Machine machine = registered(world);
  world.pass(10s);
  const Step beat = machine.next(world.now());
  const WallTime far = world.wall + std::chrono::hours{24 * 3650};
  Acknowledged absurd = ack(beat, world);
  absurd.server_time = far;
  machine.accept(beat, absurd, world.now());
  CHECK(machine.judged(world.now()) - world.wall < 1h);
  Saved poisoned;
  poisoned.server_time = far;
  Machine again(settings(), poisoned, std::nullopt, world.now());
  again.accept(again.next(world.now()), Joined{.certificate = day_from(world.wall), .server_time = world.wall},
               world.now());
  CHECK(again.judged(world.now()) - world.wall < 1h);
}

TEST_CASE("a PUT that is answered without being acknowledged is paced") {
  World world;
  world.random = ~std::uint64_t{0};
  Machine machine = registered(world);
  machine.set_facts("facts-2");
  int puts = 0;
  const SteadyTime end = world.steady + 60s;
  while (world.steady < end) {
    const Step step = machine.next(world.now());
    world.pass(step.verb == Verb::wait ? 100ms : 1ms);
    if (step.verb == Verb::wait) continue;
    ++puts;
    Acknowledged vain = ack(step, world);
    vain.generation = 1;
    vain.send_facts = true;
    machine.accept(step, vain, world.now());
  }
  CHECK(puts < 20);
}
