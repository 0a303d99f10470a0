// Verdicts that a CPU remembers: used again for the same question, and only until something is published.
#include "tests/harness/catch.hpp"
#include "tests/harness/policy_path.hpp"

using namespace omnitide::test;

namespace {

constexpr unsigned kPod = 1, kSet = 7;
constexpr unsigned kFriend = POLICY_POD_BIT | 5, kOther = POLICY_POD_BIT | 6;
constexpr const char* kIn = "policy_to_endpoint";

// A pod 10.0.0.1 that 10.0.0.5 may connect to on TCP 80. `accepts`: as enforcement marks a set whose rules all accept.
struct Server : PolicyPath {
  policy_endpoint pod{};
  __u16 next_port = 40000;

  explicit Server(bool accepts = true) {
    pod.flags = POLICY_POD;
    pod.epoch = 1;
    pod.identity = POLICY_POD_BIT | 1;
    pod.ingress_set = kSet;
    pod.egress_set = kSet + 1;
    pod.egress_flags = POLICY_SET_DENY;
    pod.ingress_flags = POLICY_SET_DENY | POLICY_SET_PORTS | (accepts ? POLICY_SET_ACCEPTS : 0);
    pod.addresses[0] = kernel_address("10.0.0.1");
    endpoint(kPod, pod);
    location("0.0.0.0/0", POLICY_WORLD);
    location("10.0.0.5", kFriend);
    location("10.0.0.6", kOther);
    rule(kSet, 0);
    peers(kSet, kFriend, {0});
    port(kSet, 6, 80, {0});
  }
  // A connection that was not there before.
  Sent open(std::string_view from = "10.0.0.5", unsigned port = 80) {
    return send(kIn, tcp4(from, ++next_port, "10.0.0.1", port, "S"));
  }
  // As nobody but a test does it: an element of a map changes, and nothing is published.
  void take_back(const char* map, policy_peer_key key) { REQUIRE(bpf_map_delete_elem(fd(map), &key) == 0); }
  void move_on() {
    policy_publication publication{};
    REQUIRE(get("publication", 0U, publication));
    publication.sequence += 2;
    set("publication", 0U, publication);
  }
};

}  // namespace

TEST_CASE("a verdict is remembered until something is published") {
  Server path;
  const Sent first = path.open();
  REQUIRE(first.reason == POLICY_REASON_RULE);
  path.take_back("peers", {kSet, kFriend});
  const Sent again = path.open();
  CHECK(again.reason == POLICY_REASON_RULE);
  REQUIRE(first.events.size() == 1);
  REQUIRE(again.events.size() == 1);
  CHECK(again.events[0].rule == first.events[0].rule);
  CHECK(again.events[0].set == kSet);
  CHECK(again.events[0].source_identity == kFriend);
  path.move_on();
  CHECK(path.open().reason == POLICY_REASON_NO_RULE);
  path.peers(kSet, kFriend, {0});  // published: a drop is not remembered for longer either
  CHECK(path.open().reason == POLICY_REASON_RULE);
}

TEST_CASE("a remembered verdict answers its own question only") {
  Server path;
  REQUIRE(path.open().reason == POLICY_REASON_RULE);
  path.take_back("peers", {kSet, kFriend});
  REQUIRE(path.open().reason == POLICY_REASON_RULE);
  SECTION("another port") { CHECK(path.open("10.0.0.5", 81).reason == POLICY_REASON_NO_RULE); }
  SECTION("another protocol") {
    CHECK(path.send(kIn, udp4("10.0.0.5", 40000, "10.0.0.1", 80)).reason == POLICY_REASON_NO_RULE);
  }
  SECTION("another peer") { CHECK(path.open("10.0.0.6").reason == POLICY_REASON_NO_RULE); }
  SECTION("a packet that opens nothing") {
    CHECK(path.send(kIn, tcp4("10.0.0.5", 30000, "10.0.0.1", 80, "A")).reason == POLICY_REASON_INVALID_CONNECTION);
  }
  SECTION("another epoch or another set of the endpoint") {
    path.pod.id = kPod;
    path.pod.version = path.pod.version_end = 1000;
    if (GENERATE(true, false))
      path.pod.epoch = 2;
    else
      path.pod.ingress_set = kSet + 1;
    policy_publication before{};
    REQUIRE(path.get("publication", 0U, before));
    path.set("endpoints", kPod, path.pod);
    path.set("publication", 0U, before);
    CHECK(path.open().reason == POLICY_REASON_NO_RULE);
  }
}

TEST_CASE("nothing is remembered while a publication is under way") {
  Server path;
  path.set("publication", 0U, policy_publication{1001, 0});
  REQUIRE(path.open().reason == POLICY_REASON_RULE);
  path.take_back("peers", {kSet, kFriend});
  CHECK(path.open().reason == POLICY_REASON_NO_RULE);
  path.set("publication", 0U, policy_publication{1002, 0});
  CHECK(path.open().reason == POLICY_REASON_NO_RULE);
}

TEST_CASE("who is known by a ticket is not judged by what was remembered of the address") {
  Server path;
  constexpr unsigned kSender = 2;
  policy_endpoint sender{};
  sender.flags = POLICY_POD;
  sender.epoch = 1;
  sender.identity = kFriend;
  sender.addresses[0] = kernel_address("10.0.0.5");
  path.endpoint(kSender, sender);
  const Bytes opening = tcp4("10.0.0.5", 50000, "10.96.0.1", 80, "S");
  const Sent waiting = path.send("policy_from_endpoint", opening, 0, kSender, kSender);
  REQUIRE(waiting.mark != 0);
  REQUIRE(path.open("192.0.2.1").reason == POLICY_REASON_NO_RULE);
  // Masqueraded to that address it is still 10.0.0.5 that comes.
  const Sent judged = path.send(kIn, tcp4("192.0.2.1", 50001, "10.0.0.1", 80, "S"), waiting.mark);
  CHECK(judged.reason == POLICY_REASON_RULE);
  CHECK(path.open("192.0.2.1").reason == POLICY_REASON_NO_RULE);
}

TEST_CASE("a set whose rules all accept needs no look at them") {
  const bool accepts = GENERATE(true, false);
  Server path(accepts);
  const policy_rule_key key{kSet, 0};
  const policy_rule denies{POLICY_DENY, 0};
  path.set("rules", key, denies);
  CHECK(path.open().reason == (accepts ? POLICY_REASON_RULE : POLICY_REASON_POLICY_DENIED));
}
