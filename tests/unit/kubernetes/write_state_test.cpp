// When something is written to the cluster.
#include "agent/kubernetes/write_state.hpp"

#include "tests/harness/catch.hpp"

namespace omnitide::kubernetes {
namespace {

using namespace std::chrono_literals;

constexpr WriteState::Limits kLimits{.first_wait = 1s, .longest_wait = 60s, .anew = 600s, .least = 5s};
const SteadyTime kNow{std::chrono::hours(1)};

}  // namespace

TEST_CASE("nothing is written before there is something to say, then at once") {
  WriteState state(kLimits);
  CHECK_FALSE(state.due().has_value());
  state.want("a");
  CHECK(state.due(kNow));
  CHECK(state.body() == "a");
}

TEST_CASE("the same is written anew between half of the time and the whole, another thing at once but not in a burst") {
  WriteState state(kLimits);
  state.want("a");
  state.began();
  state.wrote(kNow, 0);
  state.want("a");
  CHECK(state.holds());
  CHECK_FALSE(state.due(kNow + 299s));
  CHECK(state.due(kNow + 300s));
  state.wrote(kNow, 300'000);
  CHECK_FALSE(state.due(kNow + 599s));
  CHECK(state.due(kNow + 600s));
  state.want("b");
  CHECK_FALSE(state.holds());
  CHECK_FALSE(state.due(kNow + 4s));
  CHECK(state.due(kNow + 5s));
}

TEST_CASE("what changes while it is written is written again") {
  WriteState state(kLimits);
  state.want("a");
  state.began();
  state.want("b");
  state.wrote(kNow, 0);
  CHECK_FALSE(state.holds());
  CHECK(state.due(kNow + 5s));
}

TEST_CASE("failures are repeated later and later, never before the server wants it, and a change does not hurry them") {
  WriteState state(kLimits);
  state.want("a");
  state.began();
  state.failed(kNow, 1'000);  // of at most a second
  CHECK_FALSE(state.due(kNow + 999ms));
  CHECK(state.due(kNow + 1s));
  state.failed(kNow, 2'000);  // of at most two
  state.want("b");
  CHECK_FALSE(state.due(kNow + 1999ms));
  CHECK(state.due(kNow + 2s));
  state.failed(kNow, 0, 30s);
  CHECK_FALSE(state.due(kNow + 29s));
  CHECK(state.due(kNow + 30s));
  for (int i = 0; i < 50; ++i)
    state.failed(kNow, 60'000);
  CHECK(state.due(kNow + 60s));
}

TEST_CASE("what is no more to be said is not written, and what is gone is written again at once") {
  WriteState state(kLimits);
  state.want("a");
  state.began();
  state.wrote(kNow, 0);
  state.forget();
  CHECK(state.due(kNow));
  state.want_nothing();
  CHECK_FALSE(state.due().has_value());
}

TEST_CASE("a server that is back is tried at once, unless it named a time") {
  WriteState state(kLimits);
  state.want("a");
  state.began();
  state.failed(kNow, 1'000);
  state.returned(kNow);
  CHECK(state.due(kNow));
  state.failed(kNow, 0, 5s);
  state.returned(kNow);
  CHECK_FALSE(state.due(kNow + 4s));
  CHECK(state.due(kNow + 5s));
}

}  // namespace omnitide::kubernetes
