// What the data path remembers: connections over policy changes, verdicts behind address translation, limits, modes.
#include "tests/harness/catch.hpp"
#include "tests/harness/policy_path.hpp"

using namespace omnitide::test;

namespace {

constexpr unsigned kPod = 1, kPeer = 2;  // ifindices: loopback's, and one of a pod whose packets carry tickets
constexpr unsigned kServer = POLICY_POD_BIT | 5, kOther = POLICY_POD_BIT | 6, kClient = POLICY_POD_BIT | 1;
constexpr const char *kIn = "policy_to_endpoint", *kOut = "policy_from_endpoint", *kLeave = "policy_leave";
constexpr int kPass = -1, kDrop = 2;
constexpr unsigned kMarks = 0x3fff0000;

policy_endpoint pod_at(std::string_view address, unsigned epoch = 1) {
  policy_endpoint pod{};
  pod.flags = POLICY_POD;
  pod.epoch = epoch;
  pod.identity = kClient;
  pod.addresses[0] = kernel_address(address);
  return pod;
}

// A pod 10.0.0.1 that may connect to the server 10.0.0.5 on TCP and UDP 80, and to 203.0.113.0/24 on TCP 443.
struct Caller : PolicyPath {
  policy_endpoint pod = pod_at("10.0.0.1");
  Caller() {
    pod.egress_set = 2;
    pod.egress_flags = POLICY_SET_DENY | POLICY_SET_PORTS;
    endpoint(kPod, pod);
    location("10.0.0.5", kServer);
    location("10.0.0.6", kOther);
    location("0.0.0.0/0", POLICY_WORLD);
    location("203.0.113.0/24", 77);
    rule(2, 0);
    rule(2, 1);
    peers(2, kServer, {0});
    peers(2, 77, {1});
    port(2, 6, 80, {0});
    port(2, 17, 80, {0});
    port(2, 6, 443, {1});
  }
  void publish() {
    ++pod.epoch;
    endpoint(kPod, pod);
  }
  Sent syn(std::string_view to, unsigned port) { return send(kOut, tcp4("10.0.0.1", 40000, to, port, "S")); }
};

}  // namespace

TEST_CASE("a connection to a pod is judged at once") {
  Caller path;
  const auto sent = path.syn("10.0.0.5", 80);
  CHECK(sent.reason == POLICY_REASON_RULE);
  CHECK((sent.mark & kMarks) == 0);
  CHECK(path.syn("10.0.0.6", 80).reason == POLICY_REASON_NO_RULE);
}

TEST_CASE("a Service's address is judged behind address translation") {
  Caller path;
  const Bytes reply = tcp4("10.96.0.1", 80, "10.0.0.1", 40000, "SA");
  const auto waiting = path.syn("10.96.0.1", 80);
  CHECK(waiting.verdict == kPass);
  CHECK(waiting.reason == POLICY_REASON_DEFERRED);
  CHECK((waiting.mark & kMarks) != 0);
  CHECK(path.send(kIn, reply).reason == POLICY_REASON_UNCONFIRMED);
  SECTION("to a server that may be reached") {
    const auto judged =
        path.send(kLeave, tcp4("192.0.2.1", 6000, "10.0.0.5", 80, "S"), waiting.mark);  // masqueraded too
    CHECK(judged.verdict == kPass);
    CHECK(judged.reason == POLICY_REASON_RULE);
    CHECK((judged.mark & kMarks) == 0);
    REQUIRE(judged.events.size() == 1);
    CHECK(judged.events[0].source_identity == kClient);
    CHECK(path.send(kIn, reply).reason == POLICY_REASON_CONNECTION);
    const auto next = path.send(kOut, tcp4("10.0.0.1", 40000, "10.96.0.1", 80, "A"));
    CHECK(next.reason == POLICY_REASON_CONNECTION);
    CHECK((next.mark & kMarks) == 0);
    SECTION("and a change of policy is judged by where it really went") {
      path.publish();
      CHECK(path.send(kIn, tcp4("10.96.0.1", 80, "10.0.0.1", 40000, "A")).reason == POLICY_REASON_CONNECTION);
      path.peers(2, kServer, {1});
      path.publish();
      CHECK(path.send(kIn, tcp4("10.96.0.1", 80, "10.0.0.1", 40000, "A")).reason == POLICY_REASON_REVOKED);
    }
    SECTION("a new connection with the same ports is judged anew") {
      CHECK(path.syn("10.96.0.1", 80).reason == POLICY_REASON_DEFERRED);
      CHECK(path.send(kIn, reply).reason == POLICY_REASON_UNCONFIRMED);
    }
  }
  SECTION("to one that may not") {
    const auto judged = path.send(kLeave, tcp4("10.0.0.1", 40000, "10.0.0.6", 80, "S"), waiting.mark);
    CHECK(judged.verdict == kDrop);
    CHECK(judged.reason == POLICY_REASON_NO_RULE);
    CHECK(path.send(kIn, reply).reason == POLICY_REASON_OPEN);  // no reply to anything: the pod's ingress is open
  }
  SECTION("in a socket of the node") {
    const Bytes server = ip4({.source = "10.0.0.1", .destination = "10.0.0.5"}, tcp(40000, 80, "S"));
    const Bytes closed = ip4({.source = "10.0.0.1", .destination = "192.0.2.1"}, tcp(40000, 80, "S"));
    CHECK(path.send("policy_deliver", ethernet(0x0800, server), waiting.mark).verdict == 1);
    CHECK(path.send("policy_deliver", ethernet(0x0800, closed), waiting.mark).verdict == 0);
    CHECK(path.send("policy_deliver", ethernet(0x0800, closed), 0).verdict == 1);
  }
  SECTION("at the server's own device, where the server's ingress sees who really asks") {
    auto server = pod_at("10.0.0.5");
    server.identity = kServer;
    server.ingress_set = 3;
    server.ingress_flags = POLICY_SET_DENY;
    path.endpoint(kPeer, path.pod);  // the ticket below is of device 1; this keeps another pod on device 2
    path.rule(3, 0);
    path.peers(3, kClient, {0});
    path.any_port(3, {0});
    // The same device serves as the server's: only its own element changes.
    policy_ticket ticket{};
    const unsigned index = (waiting.mark & kMarks) >> 16U;
    REQUIRE(path.get("tickets", index, ticket));
    ticket.ifindex = kPeer;
    path.set("tickets", index, ticket);
    path.endpoint(kPod, server);
    const auto judged = path.send(kIn, tcp4("192.0.2.1", 6000, "10.0.0.5", 80, "S"), waiting.mark);
    CHECK(judged.verdict == kPass);
    REQUIRE(judged.events.size() == 2);  // the sender's egress, then the server's ingress
    CHECK(judged.events[1].source_identity == kClient);
    CHECK(path.send(kIn, tcp4("192.0.2.1", 6001, "10.0.0.5", 80, "S")).verdict == kDrop);  // the same without a ticket
  }
}

TEST_CASE("the first egress policy of a pod judges live connections by where they went, not by the Service's address") {
  Caller path;
  const unsigned set = path.pod.egress_set;
  path.pod.egress_set = 0;
  path.publish();
  const auto sent = path.syn("10.96.0.1", 80);
  CHECK(sent.reason == POLICY_REASON_OPEN);
  CHECK(path.send(kLeave, tcp4("192.0.2.1", 6000, "10.0.0.5", 80, "S"), sent.mark).verdict == kPass);
  CHECK(path.send(kIn, tcp4("10.96.0.1", 80, "10.0.0.1", 40000, "SA")).reason == POLICY_REASON_CONNECTION);
  path.pod.egress_set = set;
  path.publish();
  const Bytes next = tcp4("10.0.0.1", 40000, "10.96.0.1", 80, "A");
  CHECK(path.send(kOut, next).reason == POLICY_REASON_CONNECTION);
  path.peers(2, kServer, {1});
  path.publish();
  CHECK(path.send(kOut, next).reason == POLICY_REASON_REVOKED);
}

TEST_CASE("the first egress policy asks where a live connection goes, when nobody has seen it behind translation") {
  Caller path;
  const unsigned set = path.pod.egress_set;
  path.pod.egress_set = 0;
  path.publish();
  CHECK(path.syn("10.96.0.1", 80).reason == POLICY_REASON_OPEN);  // to a socket of the node itself
  const Bytes next = tcp4("10.0.0.1", 40000, "10.96.0.1", 80, "A"),
              reply = tcp4("10.96.0.1", 80, "10.0.0.1", 40000, "A");
  CHECK(path.send(kIn, reply).reason == POLICY_REASON_CONNECTION);
  path.pod.egress_set = set;
  path.publish();
  const bool reply_first = GENERATE(false, true);
  if (reply_first) CHECK(path.send(kIn, reply).reason == POLICY_REASON_UNCONFIRMED);
  const auto asked = path.send(kOut, next);
  CHECK(asked.reason == POLICY_REASON_DEFERRED);
  CHECK(path.send(kIn, reply).reason == POLICY_REASON_UNCONFIRMED);
  SECTION("allowed there") {
    const Bytes there = ip4({.source = "10.0.0.1", .destination = "10.0.0.5"}, tcp(40000, 80, "A"));
    CHECK(path.send("policy_deliver", ethernet(0x0800, there), asked.mark).verdict == 1);
    CHECK(path.send(kIn, reply).reason == POLICY_REASON_CONNECTION);
  }
  SECTION("denied there") {
    const Bytes there = ip4({.source = "10.0.0.1", .destination = "192.0.2.1"}, tcp(40000, 80, "A"));
    CHECK(path.send("policy_deliver", ethernet(0x0800, there), asked.mark).verdict == 0);
  }
}

TEST_CASE("a connection that waits for its verdict is free when the last egress policy goes") {
  Caller path;
  const Bytes reply = udp4("10.96.0.1", 80, "10.0.0.1", 40000);
  CHECK(path.send(kOut, udp4("10.0.0.1", 40000, "10.96.0.1", 80)).reason == POLICY_REASON_DEFERRED);
  CHECK(path.send(kIn, reply).reason == POLICY_REASON_UNCONFIRMED);
  path.pod.egress_set = 0;
  path.publish();
  CHECK(path.send(kIn, reply).reason == POLICY_REASON_CONNECTION);
}

TEST_CASE("a ticket that names no waiting packet is worth nothing") {
  Caller path;
  CHECK(path.send(kLeave, tcp4("10.0.0.1", 1, "10.0.0.5", 80, "S"), 0x00050000).reason == POLICY_REASON_TICKET);
  const auto waiting = path.syn("10.96.0.1", 80);
  CHECK(path.send(kLeave, udp4("10.0.0.1", 1, "10.0.0.5", 80), waiting.mark).reason == POLICY_REASON_TICKET);
  // From a pod it is taken away.
  const auto forged = path.send(kOut, tcp4("10.0.0.1", 40001, "10.0.0.5", 80, "S"), waiting.mark);
  CHECK(forged.verdict == kPass);
  CHECK((forged.mark & kMarks) == 0);
  // Other marks are left alone.
  CHECK(path.send(kOut, tcp4("10.0.0.1", 40002, "10.0.0.5", 80, "S"), 0x4000).mark == 0x4000);
}

TEST_CASE("an address outside is judged on its way out, translated or not") {
  Caller path;
  const auto waiting = path.syn("203.0.113.9", 443);
  CHECK(path.send(kLeave, tcp4("10.0.0.1", 40000, "203.0.113.9", 443, "S"), waiting.mark).verdict == kPass);
  CHECK(path.send(kIn, tcp4("203.0.113.9", 443, "10.0.0.1", 40000, "SA")).verdict == kPass);
  const auto denied = path.send(kOut, tcp4("10.0.0.1", 40001, "198.51.100.1", 443, "S"));
  CHECK(path.send(kLeave, tcp4("10.0.0.1", 40001, "198.51.100.1", 443, "S"), denied.mark).verdict == kDrop);
}

TEST_CASE("a change of policy reaches live connections, unless they are to be kept") {
  Caller path;
  const Bytes data = tcp4("10.0.0.1", 40000, "10.0.0.5", 80, "A");
  CHECK(path.syn("10.0.0.5", 80).verdict == kPass);
  path.publish();
  CHECK(path.send(kOut, data).reason == POLICY_REASON_CONNECTION);
  path.pod.egress_set = 9;  // a set without rules
  SECTION("cut") {
    path.publish();
    const auto cut = path.send(kOut, data);
    CHECK(cut.verdict == kDrop);
    CHECK(cut.reason == POLICY_REASON_REVOKED);
    CHECK(path.send(kIn, tcp4("10.0.0.5", 80, "10.0.0.1", 40000, "A")).verdict ==
          kPass);  // ingress is open: its own affair
  }
  SECTION("kept") {
    path.pod.flags |= POLICY_KEEP_ESTABLISHED;
    path.publish();
    CHECK(path.send(kOut, data).reason == POLICY_REASON_CONNECTION);
    CHECK(path.syn("10.0.0.5", 80).reason == POLICY_REASON_NO_RULE);
  }
}

TEST_CASE("a peer's new identity counts from the endpoint's next epoch on") {
  Caller path;
  path.location("10.0.0.5", kOther, kServer, 2);  // relabelled: not yet published
  CHECK(path.syn("10.0.0.5", 80).verdict == kPass);
  path.publish();
  CHECK(path.send(kOut, tcp4("10.0.0.1", 40000, "10.0.0.5", 80, "A")).reason == POLICY_REASON_REVOKED);
  CHECK(path.syn("10.0.0.5", 80).reason == POLICY_REASON_NO_RULE);
}

TEST_CASE("a reading while elements are replaced needs two that agree") {
  Caller path;
  path.set("publication", 0U, policy_publication{1, 0});  // a publisher that was killed in the middle
  CHECK(path.syn("10.0.0.5", 80).verdict == kPass);
  CHECK(path.syn("10.0.0.6", 80).verdict == kDrop);
  auto torn = path.pod;
  torn.id = kPod;
  torn.version = 1000;
  torn.version_end = 1001;
  path.set("endpoints", kPod, torn);
  const auto sent = path.syn("10.0.0.5", 80);
  CHECK(sent.verdict == kDrop);
  CHECK(sent.reason == POLICY_REASON_TORN);
}

TEST_CASE("audit judges and tells, and drops nothing") {
  Caller path;
  path.pod.flags |= POLICY_AUDIT;
  path.publish();
  const auto sent = path.syn("10.0.0.6", 80);
  CHECK(sent.verdict == kPass);
  CHECK(sent.reason == POLICY_REASON_NO_RULE);
  REQUIRE(sent.events.size() == 1);
  CHECK(sent.events[0].verdict == POLICY_AUDITED);
  CHECK(path.send(kIn, tcp4("10.0.0.6", 80, "10.0.0.1", 40000, "SA")).verdict == kPass);
  path.pod.flags &= ~static_cast<__u32>(POLICY_AUDIT);
  path.publish();
  CHECK(path.send(kOut, tcp4("10.0.0.1", 40000, "10.0.0.6", 80, "A")).verdict == kDrop);
}

TEST_CASE("a closed endpoint passes neighbour discovery only") {
  Caller path;
  path.pod.flags |= POLICY_CLOSED;
  path.publish();
  CHECK(path.syn("10.0.0.5", 80).reason == POLICY_REASON_CLOSED);
  CHECK(path.send(kIn, tcp4("10.0.0.5", 80, "10.0.0.1", 1, "S"), 0, 0).reason == POLICY_REASON_CLOSED);
  CHECK(path.send(kOut, arp("10.0.0.1", "10.0.0.254")).verdict == kPass);
}

TEST_CASE("an endpoint opens no more connections than its budget") {
  // By ticks, which count from far above a burst; the exact clock begins with the machine.
  PolicyPath path({}, {{"connection_interval_ns", 1'000'000'000'000},
                       {"connection_burst_ns", 3'000'000'000'000},
                       {"tick_ns", 4'000'000}});
  path.location("0.0.0.0/0", POLICY_WORLD);
  path.endpoint(kPod, pod_at("10.0.0.1"));
  int passed = 0;
  Sent last;
  for (unsigned port = 1000; port < 1010; ++port) {
    last = path.send(kIn, tcp4("192.0.2.1", port, "10.0.0.1", 80, "S"));
    passed += last.verdict == kPass ? 1 : 0;
  }
  CHECK(passed == 3);
  CHECK(last.reason == POLICY_REASON_CONNECTION_LIMIT);
}

TEST_CASE("tiers: the first rule decides, pass leaves its tier, over any number of rules") {
  PolicyPath path({{"words", 4096}, {"rules", 20000}});
  auto pod = pod_at("10.0.0.1");
  pod.ingress_set = 4;
  pod.ingress_flags = POLICY_SET_DENY | POLICY_SET_PORTS | POLICY_SET_RANGES;
  path.endpoint(kPod, pod);
  path.location("10.0.0.5", kServer);
  path.location("10.0.0.6", kOther);
  path.location("0.0.0.0/0", POLICY_WORLD);
  const auto ask = [&path](std::string_view from, unsigned port) {
    return path.send(kIn, tcp4(from, 40000, "10.0.0.1", port, "S"));
  };
  path.rule(4, 0, POLICY_PASS, 70);
  path.rule(4, 1, POLICY_DENY);
  path.rule(4, 70);
  path.rule(4, 12345, POLICY_ACCEPT);
  path.peers(4, kServer, {0, 1, 70});
  path.peers(4, POLICY_ANY_POD, {1, 12345});
  path.port(4, 6, 80, {0, 1, 70});
  path.port(4, 6, 81, {1, 70});
  path.range(4, 6, 0x2000, 4, {12345});
  auto sent = ask("10.0.0.5", 80);
  CHECK(sent.reason == POLICY_REASON_RULE);
  CHECK(sent.events[0].rule == 70);
  CHECK(ask("10.0.0.5", 81).reason == POLICY_REASON_POLICY_DENIED);
  CHECK(ask("10.0.0.5", 82).reason == POLICY_REASON_NO_RULE);
  CHECK(ask("10.0.0.6", 80).reason == POLICY_REASON_POLICY_DENIED);
  sent = ask("10.0.0.6", 0x2fff);
  CHECK(sent.reason == POLICY_REASON_RULE);
  CHECK(sent.events[0].rule == 12345);
  CHECK(ask("10.0.0.6", 0x3000).reason == POLICY_REASON_NO_RULE);
  CHECK(ask("192.0.2.1", 0x2fff).reason == POLICY_REASON_NO_RULE);
  // Rows of single bits that never meet: every word is looked at, and none is taken for another.
  std::vector<unsigned> even, odd;
  for (unsigned rule = 0; rule < 16384; rule += 64) {
    even.push_back(rule);
    odd.push_back(rule + 1);
    path.rule(4, rule);
  }
  path.rule(4, 16383);
  path.peers(4, kServer, even);
  path.port(4, 6, 90, odd);
  CHECK(ask("10.0.0.5", 90).reason == POLICY_REASON_NO_RULE);
  even.push_back(16383);
  odd.push_back(16383);
  path.peers(4, kServer, even);
  path.port(4, 6, 90, odd);
  sent = ask("10.0.0.5", 90);
  CHECK(sent.reason == POLICY_REASON_RULE);
  CHECK(sent.events[0].rule == 16383);
}

// Too big for the next link, no route: the node says so before the packet comes to its judge.
TEST_CASE("an error about a packet that waits for its verdict may come from the node only") {
  Caller path;
  const Bytes waiting = ip4({.source = "10.0.0.1", .destination = "203.0.113.9", .protocol = 17}, udp(40000, 443));
  CHECK(path.send(kOut, ethernet(0x0800, waiting)).reason == POLICY_REASON_DEFERRED);
  const Bytes error = ethernet(0x0800, ip4({.source = "192.0.2.9", .destination = "10.0.0.1", .protocol = 1},
                                           icmp(3, 4, 0, waiting.substr(0, 28))));
  CHECK(path.send(kIn, error).reason == POLICY_REASON_UNRELATED_ICMP);
  const auto from_node = path.send(kIn, error, 0, 0);
  CHECK(from_node.reason == POLICY_REASON_RELATED);
  CHECK(from_node.verdict == kPass);
}

TEST_CASE("a pod reaches itself through its Service, however isolated, also after a change") {
  Caller path;
  path.location("10.0.0.1", kClient);
  path.pod.ingress_set = 3;
  path.pod.ingress_flags = POLICY_SET_DENY;
  path.publish();
  const auto waiting = path.syn("10.96.0.9", 80);
  CHECK(waiting.reason == POLICY_REASON_DEFERRED);
  const auto back = path.send(kIn, tcp4("192.0.2.1", 6000, "10.0.0.1", 8080, "S"), waiting.mark);
  CHECK(back.verdict == kPass);
  CHECK(back.reason == POLICY_REASON_SELF);
  for (int i = 0; i < 2; ++i) {
    CHECK(path.send(kOut, tcp4("10.0.0.1", 8080, "192.0.2.1", 6000, "SA")).reason == POLICY_REASON_CONNECTION);
    CHECK(path.send(kIn, tcp4("10.96.0.9", 80, "10.0.0.1", 40000, "SA")).reason == POLICY_REASON_CONNECTION);
    path.publish();
  }
  const auto other = path.send(kOut, tcp4("10.0.0.1", 40001, "10.96.0.9", 80, "S"));
  CHECK(path.send(kLeave, tcp4("192.0.2.1", 6001, "10.0.0.6", 8080, "S"), other.mark).verdict == kDrop);
}
