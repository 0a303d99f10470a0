// Which identity each endpoint sees for each address, before, between and after changes.
#include "ebpf/enforcement/locations.hpp"

#include <map>
#include <random>

#include "tests/harness/catch.hpp"

using namespace omnitide;
using namespace omnitide::enforcement;
using policy::IdentityId;

namespace {

Prefix prefix(const char* text) { return *parse_prefix(text); }

// The two maps, as the programs read them.
struct Kernel {
  std::map<Prefix, policy_location> elements;

  void write(const std::vector<LocationWrite>& writes) {
    for (const LocationWrite& write : writes)
      elements[write.prefix] = write.value;
  }
  void remove(const std::vector<Prefix>& gone) {
    for (const Prefix& each : gone)
      REQUIRE(elements.erase(each) == 1);
  }
  [[nodiscard]] IdentityId see(const Address& address, std::uint32_t epoch) const {
    for (int length = 128; length >= 0; --length) {
      const auto found = elements.find(make_prefix(address, static_cast<std::uint8_t>(length)));
      if (found == elements.end()) continue;
      return static_cast<std::int32_t>(found->second.epoch - epoch) <= 0 ? found->second.identity
                                                                         : found->second.previous;
    }
    return 0;
  }
};

using State = std::map<Prefix, IdentityId>;

IdentityId plainly(const State& state, const Address& address) {
  IdentityId out = policy::kWorld;
  int best = -1;
  for (const auto& [each, identity] : state) {
    if (each.contains(address) && each.length > best) {
      best = each.length;
      out = identity;
    }
  }
  return out;
}

const std::vector<Prefix>& places() {
  static const std::vector<Prefix> kAll{prefix("10.0.0.1/32"), prefix("10.0.0.2/32"), prefix("10.0.0.0/30"),
                                        prefix("10.0.0.0/24"), prefix("0.0.0.0/0"),   prefix("fd00::1/128"),
                                        prefix("fd00::/64"),   prefix("::/0")};
  return kAll;
}

const std::vector<Address>& probes() {
  static const std::vector<Address> kAll{*parse_address("10.0.0.1"), *parse_address("10.0.0.2"),
                                         *parse_address("10.0.0.3"), *parse_address("10.0.0.9"),
                                         *parse_address("10.1.0.1"), *parse_address("fd00::1"),
                                         *parse_address("fd00::2"),  *parse_address("2001:db8::1")};
  return kAll;
}

}  // namespace

TEST_CASE("at every time each epoch sees exactly its own state, however changes follow each other") {
  std::mt19937 random(5);
  Locations locations;
  Kernel kernel;
  kernel.write(Locations::first());
  State now;
  // The states that packets may still be judged in: those since the last grace period.
  std::map<std::uint32_t, State> visible{{1, now}};
  std::uint32_t epoch = 1;
  int conflicts = 0, together = 0;
  for (int round = 0; round < 20000; ++round) {
    State next = now;
    for (auto n = 1 + random() % 3; n > 0; --n) {
      const Prefix& place = places()[random() % places().size()];
      if (random() % 3 == 0) {
        next.erase(place);
      } else {
        next[place] = 2 + static_cast<IdentityId>(random() % 50);
      }
    }
    std::vector<policy::Location> set;
    std::vector<Prefix> gone;
    for (const auto& [place, identity] : next) {
      if (!now.contains(place) || now[place] != identity) set.push_back({place, identity});
    }
    for (const auto& [place, identity] : now) {
      if (!next.contains(place)) gone.push_back(place);
    }
    const auto step = locations.stage(set, gone, epoch + 1);
    const bool settle = !step || random() % 4 == 0;
    if (step) {
      kernel.write(step->writes);
      locations.commit(*step);
      visible[++epoch] = next;
      now = next;
      together = std::max(together, static_cast<int>(visible.size()));
    }
    for (const auto& [seen, state] : visible) {
      for (const Address& address : probes()) {
        INFO("round " << round << ", epoch " << seen << " of " << epoch << ", " << format(address));
        REQUIRE(kernel.see(address, seen) == plainly(state, address));
      }
    }
    if (!settle) continue;
    conflicts += step ? 0 : 1;
    visible = {{epoch, now}};
    const Locations::Rest rest = locations.rest();
    kernel.write(rest.writes);
    kernel.remove(rest.gone);
    locations.settled();
    REQUIRE_FALSE(locations.unsettled());
    for (const Address& address : probes()) {
      REQUIRE(kernel.see(address, epoch) == plainly(now, address));
      REQUIRE(kernel.see(address, epoch - 100) == plainly(now, address));  // nothing remembers
    }
    REQUIRE(kernel.elements.size() == locations.addresses() + locations.prefixes());
  }
  CHECK(conflicts > 100);
  CHECK(together > 3);
}

TEST_CASE("what is already so is not written") {
  Locations locations;
  const std::vector<policy::Location> one{{prefix("10.0.0.1/32"), 7}};
  const auto step = locations.stage(one, {}, 2);
  REQUIRE(step);
  REQUIRE(step->writes.size() == 1);
  CHECK(step->writes[0].fresh);
  CHECK(step->writes[0].value.identity == 7);
  CHECK(step->writes[0].value.previous == policy::kWorld);
  CHECK(step->writes[0].value.epoch == 2);
  locations.commit(*step);
  locations.settled();
  const auto again = locations.stage(one, {}, 3);
  REQUIRE(again);
  CHECK(again->writes.empty());
  CHECK(again->set.empty());
}

TEST_CASE("a change of an address waits for a grace period only when the last one has not had its own") {
  Locations locations;
  const auto change = [&locations](IdentityId identity, std::uint32_t epoch) {
    const auto step = locations.stage(std::vector<policy::Location>{{prefix("10.0.0.1/32"), identity}}, {}, epoch);
    if (step) locations.commit(*step);
    return step.has_value();
  };
  CHECK(change(7, 2));
  CHECK_FALSE(change(8, 3));
  locations.settled();
  CHECK(change(8, 3));
}
