// What a pod or a stranger may try to get around policy.
#include <unistd.h>

#include "tests/harness/catch.hpp"
#include "tests/harness/policy_path.hpp"

using namespace omnitide::test;

namespace {

constexpr unsigned kPod = 1, kPeer = 2;  // ifindices
constexpr unsigned kClient = POLICY_POD_BIT | 1, kServer = POLICY_POD_BIT | 5;
constexpr const char *kIn = "policy_to_endpoint", *kOut = "policy_from_endpoint", *kLeave = "policy_leave";
constexpr int kPass = -1, kDrop = 2;
constexpr unsigned kMarks = 0x3fff0000;

// A pod that nobody may connect to, and that may connect to the server 10.0.0.5, fd00::5 on TCP and UDP 80 only.
struct Suspect : PolicyPath {
  policy_endpoint pod{};
  Suspect() {
    pod.flags = POLICY_POD;
    pod.identity = kClient;
    pod.addresses[0] = kernel_address("10.0.0.1");
    pod.addresses[1] = kernel_address("fd00::1");
    pod.ingress_set = 9;
    pod.ingress_flags = POLICY_SET_DENY;
    pod.egress_set = 2;
    pod.egress_flags = POLICY_SET_DENY | POLICY_SET_PORTS;
    publish();
    location("10.0.0.5", kServer);
    location("fd00::5", kServer);
    location("0.0.0.0/0", POLICY_WORLD);
    location("::/0", POLICY_WORLD);
    rule(2, 0);
    peers(2, kServer, {0});
    port(2, 6, 80, {0});
    port(2, 17, 80, {0});
  }
  void publish() {
    ++pod.epoch;
    endpoint(kPod, pod);
  }
};

Bytes icmp6(std::string_view from, std::string_view to, unsigned type, unsigned hop_limit) {
  return ethernet(0x86dd, ip6(from, to, 58, icmp(type, 0, 0, address_bytes("fd00::1")), hop_limit));
}
Bytes icmp4_error(std::string_view from, std::string_view to, const Bytes& quoted) {
  return ethernet(0x0800, ip4({.source = from, .destination = to, .protocol = 1}, icmp(3, 3, 0, quoted)));
}

}  // namespace

TEST_CASE("neighbour and listener discovery is no way out: what a router would forward is judged") {
  Suspect path;
  for (const unsigned type : {130U, 131U, 132U, 133U, 135U, 136U, 143U}) {
    INFO("type " << type);
    const unsigned right = type <= 132 || type == 143 ? 1 : 255;
    CHECK(path.send(kOut, icmp6("fd00::1", "ff02::1", type, right)).reason == POLICY_REASON_NEIGHBOUR);
    CHECK(path.send(kIn, icmp6("fe80::9", "ff02::1", type, right)).reason == POLICY_REASON_NEIGHBOUR);
    for (const unsigned other : {64U, 254U}) {
      CHECK(path.send(kOut, icmp6("fd00::1", "2001:db8::1", type, other)).verdict == kDrop);
      CHECK(path.send(kIn, icmp6("2001:db8::1", "fd00::1", type, other)).verdict == kDrop);
    }
    CHECK(path.send(kOut, icmp6("fd00::1", "2001:db8::1", type, right)).verdict == kDrop);
  }
  path.set("own", kernel_address("fd00::fe"), 1U);
  CHECK(path.send(kOut, icmp6("fd00::1", "fd00::fe", 135, 255)).reason ==
        POLICY_REASON_NEIGHBOUR);  // is it still there?
  CHECK(path.send(kOut, icmp6("fd00::1", "fd00::5", 135, 255)).reason == POLICY_REASON_NEIGHBOUR);
}

TEST_CASE("a pod does not advertise the link-local address of its gateway") {
  Suspect path;
  path.set("own", kernel_address("fe80::fe"), 1U);
  const auto advertise = [](std::string_view from, std::string_view target) {
    return ethernet(0x86dd, ip6(from, "ff02::1", 58, icmp(136, 0, 0, address_bytes(target)), 255));
  };
  CHECK(path.send(kOut, advertise("fe80::1", "fe80::1")).verdict == kPass);
  CHECK(path.send(kOut, advertise("fe80::1", "fe80::fe")).reason == POLICY_REASON_SPOOFED_SOURCE);
  CHECK(path.send(kOut, advertise("fe80::fe", "fe80::1")).reason == POLICY_REASON_SPOOFED_SOURCE);
}

TEST_CASE("a tunnel of the node takes packets before any socket's filter: they are judged where they leave the pod") {
  Suspect path;
  path.set("own", kernel_address("192.0.2.10"), 1U);
  const auto outer = path.send(kOut, udp4("10.0.0.1", 5000, "192.0.2.10", 8472));
  CHECK(outer.verdict == kDrop);
  CHECK(outer.reason == POLICY_REASON_NO_RULE);
  CHECK(path.send(kOut, udp4("10.0.0.1", 5000, "192.0.2.11", 8472)).reason ==
        POLICY_REASON_DEFERRED);  // perhaps a Service
  CHECK(path.send(kOut, udp4("10.0.0.1", 5000, "192.0.2.10", 53)).reason == POLICY_REASON_DEFERRED);
}

TEST_CASE("a ticket that was given to another pod meanwhile does not judge by that pod's rules") {
  Suspect path;
  policy_endpoint open{};
  open.flags = POLICY_POD;
  open.epoch = 1;
  open.identity = POLICY_POD_BIT | 7;
  open.addresses[0] = kernel_address("10.0.0.7");
  path.endpoint(kPeer, open);
  path.location("10.0.0.1", kClient);
  const auto waiting = path.send(kOut, udp4("10.0.0.1", 5000, "198.51.100.1", 53));
  const unsigned index = (waiting.mark & kMarks) >> 16U;
  policy_ticket ticket{};
  REQUIRE(path.get("tickets", index, ticket));
  ticket.ifindex = kPeer;
  ticket.connection.scope = kPeer;
  ticket.connection.local = kernel_address("10.0.0.7");
  path.set("tickets", index, ticket);
  const auto judged = path.send(kLeave, udp4("10.0.0.1", 5000, "198.51.100.1", 53), waiting.mark);
  CHECK(judged.verdict == kDrop);
  CHECK(judged.reason == POLICY_REASON_TICKET);
}

TEST_CASE("ICMP errors end with the connection that they are about") {
  Suspect path;
  REQUIRE(path.send(kOut, tcp4("10.0.0.1", 40000, "10.0.0.5", 80, "S")).verdict == kPass);
  const Bytes quoted = ip4({.source = "10.0.0.1", .destination = "10.0.0.5"}, tcp(40000, 80, "A"));
  CHECK(path.send(kIn, icmp4_error("10.0.0.5", "10.0.0.1", quoted)).reason == POLICY_REASON_RELATED);
  path.publish();  // no change for this one
  CHECK(path.send(kIn, icmp4_error("10.0.0.5", "10.0.0.1", quoted)).reason == POLICY_REASON_RELATED);
  path.pod.egress_set = 9;
  path.publish();
  CHECK(path.send(kIn, icmp4_error("10.0.0.5", "10.0.0.1", quoted)).reason == POLICY_REASON_UNRELATED_ICMP);
  const Bytes own = ip4({.source = "10.0.0.5", .destination = "10.0.0.1"}, tcp(80, 40000, "A"));
  CHECK(path.send(kOut, icmp4_error("10.0.0.1", "10.0.0.5", own)).reason == POLICY_REASON_UNRELATED_ICMP);
}

TEST_CASE("a UDP flow behind a Service is asked where it goes once a second, however many replies come") {
  Suspect path;
  const Bytes request = udp4("10.0.0.1", 5000, "10.96.0.1", 80), reply = udp4("10.96.0.1", 80, "10.0.0.1", 5000);
  const auto first = path.send(kOut, request);
  REQUIRE(path.send(kLeave, udp4("10.0.0.1", 5000, "10.0.0.5", 80), first.mark).verdict == kPass);
  CHECK((path.send(kOut, request).mark & kMarks) == 0);
  ::usleep(1'100'000);
  CHECK(path.send(kIn, reply).reason == POLICY_REASON_CONNECTION);
  CHECK((path.send(kOut, request).mark & kMarks) != 0);
}

TEST_CASE("a flood of connections takes no operator's way into the node") {
  PolicyPath path({}, {{"connection_interval_ns", 1'000'000'000'000}, {"connection_burst_ns", 3'000'000'000'000}});
  policy_endpoint host{};
  host.flags = POLICY_HOST;
  host.epoch = 1;
  host.ingress_set = 4;
  host.ingress_flags = POLICY_SET_DENY | POLICY_SET_PORTS;
  path.endpoint(kPod, host);
  path.set("own", kernel_address("192.0.2.1"), 1U);
  path.location("0.0.0.0/0", POLICY_WORLD);
  path.rule(4, 0);
  path.peers(4, POLICY_WORLD, {0});
  path.port(4, 6, 22, {0});
  for (unsigned client = 1000; client < 1020; ++client)
    CHECK(path.send("policy_enter", tcp4("198.51.100.1", client, "192.0.2.1", 22, "S")).verdict == kPass);
  CHECK(path.send("policy_enter", tcp4("198.51.100.1", 2000, "192.0.2.1", 23, "S")).verdict == kDrop);
}

TEST_CASE("fragments with extension headers behind the fragment header belong together") {
  Suspect path;
  Bytes options = extension6(17, udp(5000, 80, Bytes(24, 'x')));
  const auto fragment = [&](std::string_view to, unsigned offset, bool more, const Bytes& payload) {
    return ethernet(0x86dd, ip6("fd00::1", to, 44, fragment6(60, offset, more, payload)));
  };
  CHECK(path.send(kOut, fragment("fd00::5", 0, true, options)).verdict == kPass);
  CHECK(path.send(kOut, fragment("fd00::5", 5, false, Bytes(16, 'y'))).verdict == kPass);
  CHECK(path.send(kOut, fragment("fd00::6", 5, false, Bytes(16, 'y'))).reason == POLICY_REASON_FRAGMENT_WITHOUT_FIRST);
}
