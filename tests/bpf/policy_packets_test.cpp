// What the data path says about packets of every shape: a named verdict each, and none that gets past a verdict.
#include "tests/harness/catch.hpp"
#include "tests/harness/policy_path.hpp"

using namespace omnitide::test;

namespace {

constexpr unsigned kPod = 1;  // loopback's ifindex: BPF_PROG_TEST_RUN wants a device that exists
constexpr unsigned kFriend = POLICY_POD_BIT | 5, kStranger = POLICY_POD_BIT | 6;
constexpr const char *kIn = "policy_to_endpoint", *kOut = "policy_from_endpoint";
constexpr int kPass = -1, kDrop = 2;

// A pod 10.0.0.1 / fd00::1 that 10.0.0.2 / fd00::2 may reach on TCP 80, UDP 53 and ICMP, and that may reach nobody.
struct Isolated : PolicyPath {
  Isolated() {
    policy_endpoint pod{};
    pod.flags = POLICY_POD;
    pod.epoch = 1;
    pod.identity = POLICY_POD_BIT | 1;
    pod.ingress_set = 1;
    pod.egress_set = 2;
    pod.ingress_flags = POLICY_SET_DENY | POLICY_SET_PORTS | POLICY_SET_PROTOCOLS;
    pod.egress_flags = POLICY_SET_DENY;
    pod.addresses[0] = kernel_address("10.0.0.1");
    pod.addresses[1] = kernel_address("fd00::1");
    endpoint(kPod, pod);
    for (const auto* where : {"10.0.0.2", "fd00::2"})
      location(where, kFriend);
    for (const auto* where : {"10.0.0.3", "fd00::3"})
      location(where, kStranger);
    for (const auto* where : {"0.0.0.0/0", "::/0"})
      location(where, POLICY_WORLD);
    rule(1, 0);
    peers(1, kFriend, {0});
    port(1, 6, 80, {0});
    port(1, 17, 53, {0});
    whole_protocol(1, 1, {0});
    whole_protocol(1, 58, {0});
  }
};

Bytes frame4(const Bytes& packet) { return ethernet(0x0800, packet); }
Bytes frame6(const Bytes& packet) { return ethernet(0x86dd, packet); }

}  // namespace

TEST_CASE("a rule lets its peer and port in, and nobody else") {
  Isolated path;
  auto sent = path.send(kIn, tcp4("10.0.0.2", 40000, "10.0.0.1", 80, "S"));
  CHECK(sent.verdict == kPass);
  CHECK(sent.reason == POLICY_REASON_RULE);
  REQUIRE(sent.events.size() == 1);
  CHECK(sent.events[0].verdict == POLICY_FORWARDED);
  CHECK(sent.events[0].rule == 0);
  CHECK(sent.events[0].source_identity == kFriend);
  sent = path.send(kIn, tcp4("10.0.0.2", 40000, "10.0.0.1", 81, "S"));
  CHECK(sent.verdict == kDrop);
  CHECK(sent.reason == POLICY_REASON_NO_RULE);
  CHECK(path.send(kIn, tcp4("10.0.0.3", 40000, "10.0.0.1", 80, "S")).verdict == kDrop);
  CHECK(path.send(kIn, tcp4("192.0.2.1", 40000, "10.0.0.1", 80, "S")).verdict == kDrop);
  CHECK(path.send(kIn, udp4("10.0.0.2", 5000, "10.0.0.1", 80)).verdict == kDrop);
  CHECK(path.send(kIn, tcp6("fd00::2", 40000, "fd00::1", 80, "S")).verdict == kPass);
  CHECK(path.send(kIn, tcp6("fd00::3", 40000, "fd00::1", 80, "S")).verdict == kDrop);
}

TEST_CASE("replies pass in both families, unasked packets do not") {
  Isolated path;
  CHECK(path.send(kOut, tcp4("10.0.0.1", 80, "10.0.0.3", 40000, "A")).verdict == kDrop);
  CHECK(path.send(kIn, tcp4("10.0.0.2", 40000, "10.0.0.1", 80, "S")).verdict == kPass);
  auto reply = path.send(kOut, tcp4("10.0.0.1", 80, "10.0.0.2", 40000, "SA"));
  CHECK(reply.verdict == kPass);
  CHECK(reply.reason == POLICY_REASON_CONNECTION);
  CHECK(reply.events.empty());
  CHECK(path.send(kIn, tcp6("fd00::2", 40000, "fd00::1", 80, "S")).verdict == kPass);
  CHECK(path.send(kOut, tcp6("fd00::1", 80, "fd00::2", 40000, "SA")).verdict == kPass);
  // A SYN the other way is a connection of its own.
  reply = path.send(kOut, tcp4("10.0.0.1", 80, "10.0.0.2", 40000, "S"));
  CHECK(reply.verdict == kDrop);
  CHECK(reply.reason == POLICY_REASON_NO_RULE);
}

TEST_CASE("TCP without SYN belongs to a connection or is dropped") {
  Isolated path;
  for (const auto* flags : {"A", "F", "R", "FA", "RA", "SA", ""}) {
    INFO(flags);
    const auto sent = path.send(kIn, tcp4("10.0.0.3", 40001, "10.0.0.1", 80, flags));
    CHECK(sent.verdict == kDrop);
    CHECK(sent.reason == POLICY_REASON_INVALID_CONNECTION);
  }
  // Whoever may connect may also be in the middle of it: connections from before the node was enforced live on.
  CHECK(path.send(kIn, tcp4("10.0.0.2", 40001, "10.0.0.1", 80, "A")).verdict == kPass);
  CHECK(path.send(kOut, tcp4("10.0.0.1", 80, "10.0.0.2", 40002, "A")).verdict == kPass);
}

TEST_CASE("fragments follow the first one") {
  Isolated path;
  const Bytes head = tcp(40000, 80, "S") + Bytes(12, 'x');
  const V4 first{.source = "10.0.0.2", .destination = "10.0.0.1", .fragment = 0x2000, .id = 77};
  V4 later = first;
  later.fragment = 4;
  SECTION("out of order: the later one waits for nobody") {
    const auto sent = path.send(kIn, frame4(ip4(later, Bytes(16, 'y'))));
    CHECK(sent.verdict == kDrop);
    CHECK(sent.reason == POLICY_REASON_FRAGMENT_WITHOUT_FIRST);
  }
  SECTION("in order") {
    CHECK(path.send(kIn, frame4(ip4(first, head))).verdict == kPass);
    CHECK(path.send(kIn, frame4(ip4(later, Bytes(16, 'y')))).verdict == kPass);
    V4 other = later;
    other.id = 78;
    CHECK(path.send(kIn, frame4(ip4(other, Bytes(16, 'y')))).verdict == kDrop);
  }
  SECTION("of a denied one none passes") {
    V4 denied = first;
    denied.source = "10.0.0.3";
    CHECK(path.send(kIn, frame4(ip4(denied, head))).verdict == kDrop);
    denied.fragment = 4;
    CHECK(path.send(kIn, frame4(ip4(denied, Bytes(16, 'y')))).verdict == kDrop);
  }
  SECTION("tiny first fragments, and later ones that would rewrite the header") {
    for (std::size_t bytes = 0; bytes < 20; bytes += 4) {
      const auto sent = path.send(kIn, frame4(ip4(first, head.substr(0, bytes))));
      CHECK(sent.verdict == kDrop);
      CHECK(sent.reason == POLICY_REASON_TINY_FRAGMENT);
    }
    for (unsigned offset = 1; offset < 3; ++offset) {
      V4 rewriting = first;
      rewriting.fragment = offset;
      CHECK(path.send(kIn, frame4(ip4(first, head))).verdict == kPass);
      const auto sent = path.send(kIn, frame4(ip4(rewriting, Bytes(16, 'y'))));
      CHECK(sent.verdict == kDrop);
      CHECK(sent.reason == POLICY_REASON_TINY_FRAGMENT);
    }
  }
  SECTION("IPv6") {
    CHECK(path.send(kIn, frame6(ip6("fd00::2", "fd00::1", 44, fragment6(6, 4, false, Bytes(16, 'y'))))).reason ==
          POLICY_REASON_FRAGMENT_WITHOUT_FIRST);
    CHECK(path.send(kIn, frame6(ip6("fd00::2", "fd00::1", 44, fragment6(6, 0, true, head)))).verdict == kPass);
    CHECK(path.send(kIn, frame6(ip6("fd00::2", "fd00::1", 44, fragment6(6, 4, false, Bytes(16, 'y'))))).verdict ==
          kPass);
    // An atomic fragment is a whole packet (RFC 6946).
    CHECK(path.send(kIn, frame6(ip6("fd00::2", "fd00::1", 44, fragment6(6, 0, false, head)))).verdict == kPass);
    CHECK(path.send(kIn, frame6(ip6("fd00::3", "fd00::1", 44, fragment6(6, 0, false, head)))).reason ==
          POLICY_REASON_NO_RULE);
    CHECK(path.send(kIn, frame6(ip6("fd00::2", "fd00::1", 44, fragment6(6, 0, true, head.substr(0, 16))))).reason ==
          POLICY_REASON_TINY_FRAGMENT);
  }
}

TEST_CASE("IP options are stepped over, source routes are dropped") {
  Isolated path;
  const auto with = [](Bytes options, std::string_view source = "10.0.0.2") {
    return frame4(
        ip4({.source = source, .destination = "10.0.0.1", .options = std::move(options)}, tcp(40000, 80, "S")));
  };
  CHECK(path.send(kIn, with({"\x94\x04\x00\x00", 4})).verdict == kPass);  // router alert
  CHECK(path.send(kIn, with({"\x94\x04\x00\x00", 4}, "10.0.0.3")).reason == POLICY_REASON_NO_RULE);
  CHECK(path.send(kIn, with(Bytes(40, '\x01'))).verdict == kPass);
  CHECK(path.send(kIn, with({"\x01\x83\x07\x04\x0a\x00\x00\x09", 8})).reason == POLICY_REASON_SOURCE_ROUTE);
  CHECK(path.send(kIn, with({"\x89\x07\x04\x0a\x00\x00\x09\x00", 8})).reason == POLICY_REASON_SOURCE_ROUTE);
  CHECK(path.send(kIn, with({"\x44\x00\x00\x00", 4})).reason ==
        POLICY_REASON_SOURCE_ROUTE);                                      // an option without length
  CHECK(path.send(kIn, with({"\x00\x83\x00\x00", 4})).verdict == kPass);  // behind the end of options
}

TEST_CASE("extension headers are followed to the transport header") {
  Isolated path;
  const Bytes syn = tcp(40000, 80, "S");
  CHECK(path.send(kIn, frame6(ip6("fd00::2", "fd00::1", 0, extension6(60, extension6(6, syn))))).verdict == kPass);
  CHECK(path.send(kIn, frame6(ip6("fd00::3", "fd00::1", 0, extension6(60, extension6(6, syn))))).reason ==
        POLICY_REASON_NO_RULE);
  CHECK(path.send(kIn, frame6(ip6("fd00::2", "fd00::1", 43, extension6(6, syn)))).verdict == kPass);
  CHECK(path.send(kIn, frame6(ip6("fd00::2", "fd00::1", 43, extension6(6, syn, 1)))).reason ==
        POLICY_REASON_SOURCE_ROUTE);
  CHECK(path.send(kIn, frame6(ip6("fd00::2", "fd00::1", 60, extension6(0, extension6(6, syn))))).reason ==
        POLICY_REASON_EXTENSION_HEADERS);
  Bytes many = syn;
  unsigned next = 6;
  for (int i = 0; i < 9; ++i) {
    many = extension6(next, many);
    next = 60;
  }
  CHECK(path.send(kIn, frame6(ip6("fd00::2", "fd00::1", 60, many))).reason == POLICY_REASON_EXTENSION_HEADERS);
  CHECK(path.send(kIn, frame6(ip6("fd00::2", "fd00::1", 59, ""))).verdict == kDrop);  // no next header: no rule has it
}

TEST_CASE("a packet cut off at any byte passes nowhere") {
  Isolated path;
  const Bytes whole4 = tcp4("10.0.0.2", 40000, "10.0.0.1", 80, "S");
  const Bytes whole6 = frame6(ip6("fd00::2", "fd00::1", 0, extension6(6, tcp(40000, 80, "S"))));
  const auto cut = [&path](const Bytes& whole, std::size_t first) {
    for (std::size_t size = first; size < whole.size(); ++size) {
      INFO(size);
      const auto sent = path.send(kIn, whole.substr(0, size));
      CHECK(sent.verdict == kDrop);
      CHECK(sent.reason >= POLICY_REASON_POLICY_DENIED);
    }
    CHECK(path.send(kIn, whole).verdict == kPass);
  };
  // BPF_PROG_TEST_RUN refuses an untagged frame without a whole IP header; behind a tag it takes any.
  cut(whole4, 14 + 20);
  cut(udp4("10.0.0.2", 1000, "10.0.0.1", 53), 14 + 20);
  cut(whole6, 14 + 40);
  cut(vlan(whole4), 15);
  cut(vlan(whole6), 15);
}

TEST_CASE("contradictory headers are dropped") {
  Isolated path;
  const auto broken = [&path](std::size_t offset, char value) {
    Bytes frame = tcp4("10.0.0.2", 40000, "10.0.0.1", 80, "S");
    frame[offset] = value;
    return path.send(kIn, frame);
  };
  CHECK(broken(14, 0x44).reason == POLICY_REASON_BAD_HEADER);  // header shorter than 20
  CHECK(broken(14, 0x55).reason == POLICY_REASON_BAD_HEADER);  // version 5
  CHECK(broken(14, 0x4f).verdict == kDrop);                    // header longer than the packet's options
  CHECK(broken(17, 10).reason == POLICY_REASON_BAD_HEADER);    // total length below the header's
  CHECK(broken(46, 0x40).reason == POLICY_REASON_BAD_HEADER);  // TCP header shorter than 20
  CHECK(path.send(kIn, frame6(ip6("fd00::2", "fd00::1", 6, tcp(1, 80, "S")))).verdict == kPass);
  Bytes mapped = tcp6("fd00::2", 1, "fd00::1", 80, "S");
  mapped.replace(22, 16, Bytes("\0\0\0\0\0\0\0\0\0\0\xff\xff\x0a\0\0\x02", 16));
  CHECK(path.send(kIn, mapped).reason == POLICY_REASON_BAD_HEADER);  // 10.0.0.2 in disguise
}

TEST_CASE("VLAN tags do not hide a packet") {
  Isolated path;
  const Bytes good = tcp4("10.0.0.2", 40000, "10.0.0.1", 80, "S"), bad = tcp4("10.0.0.3", 40000, "10.0.0.1", 80, "S");
  CHECK(path.send(kIn, vlan(good)).verdict == kPass);
  CHECK(path.send(kIn, vlan(vlan(good), 0x88a8)).verdict == kPass);
  CHECK(path.send(kIn, vlan(bad)).reason == POLICY_REASON_NO_RULE);
  CHECK(path.send(kIn, vlan(vlan(bad), 0x88a8)).reason == POLICY_REASON_NO_RULE);
  CHECK(path.send(kIn, vlan(vlan(vlan(good)))).reason == POLICY_REASON_VLAN_DEPTH);
  CHECK(path.send(kIn, ethernet(0x88cc, Bytes(40, 'x'))).reason == POLICY_REASON_UNKNOWN_ETHERTYPE);
}

TEST_CASE("ICMP errors follow their connection") {
  Isolated path;
  const Bytes opened = ip4({.source = "10.0.0.2", .destination = "10.0.0.1"}, tcp(40000, 80, "S"));
  const Bytes reply = ip4({.source = "10.0.0.1", .destination = "10.0.0.2"}, tcp(80, 40000, "SA"));
  const auto about = [](std::string_view from, const Bytes& quoted) {
    return frame4(ip4({.source = from, .destination = "10.0.0.1", .protocol = 1}, icmp(3, 4, 0, quoted.substr(0, 28))));
  };
  CHECK(path.send(kIn, about("192.0.2.9", reply)).reason == POLICY_REASON_UNRELATED_ICMP);
  CHECK(path.send(kIn, frame4(opened)).verdict == kPass);
  const auto related = path.send(kIn, about("192.0.2.9", reply));
  CHECK(related.verdict == kPass);
  CHECK(related.reason == POLICY_REASON_RELATED);
  CHECK(path.send(kIn, about("192.0.2.9", opened)).reason ==
        POLICY_REASON_UNRELATED_ICMP);  // quotes the wrong direction
  for (std::size_t size = 0; size < 28; ++size) {
    INFO(size);
    const Bytes cut = frame4(
        ip4({.source = "192.0.2.9", .destination = "10.0.0.1", .protocol = 1}, icmp(3, 4, 0, reply.substr(0, size))));
    CHECK(path.send(kIn, cut).verdict == kDrop);
  }
  const Bytes opened6 = ip6("fd00::2", "fd00::1", 6, tcp(40000, 80, "S")),
              reply6 = ip6("fd00::1", "fd00::2", 6, tcp(80, 40000, "SA"));
  const Bytes error6 = frame6(ip6("fd00::99", "fd00::1", 58, icmp(2, 0, 0, reply6)));
  CHECK(path.send(kIn, error6).reason == POLICY_REASON_UNRELATED_ICMP);
  CHECK(path.send(kIn, frame6(opened6)).verdict == kPass);
  CHECK(path.send(kIn, error6).reason == POLICY_REASON_RELATED);
}

TEST_CASE("a rule for a protocol judges echo requests, and replies follow") {
  Isolated path;
  const auto echo = [](unsigned type, std::string_view from, std::string_view to, unsigned id) {
    return frame4(ip4({.source = from, .destination = to, .protocol = 1}, icmp(type, 0, id)));
  };
  CHECK(path.send(kIn, echo(8, "10.0.0.3", "10.0.0.1", 1)).verdict == kDrop);
  CHECK(path.send(kOut, echo(0, "10.0.0.1", "10.0.0.2", 2)).verdict == kDrop);  // nobody asked
  CHECK(path.send(kIn, echo(8, "10.0.0.2", "10.0.0.1", 2)).verdict == kPass);
  CHECK(path.send(kOut, echo(0, "10.0.0.1", "10.0.0.2", 2)).reason == POLICY_REASON_CONNECTION);
}

TEST_CASE("a pod speaks for itself only") {
  Isolated path;
  CHECK(path.send(kOut, tcp4("10.0.0.9", 80, "10.0.0.2", 40000, "SA")).reason == POLICY_REASON_SPOOFED_SOURCE);
  CHECK(path.send(kOut, tcp6("fd00::9", 80, "fd00::2", 40000, "SA")).reason == POLICY_REASON_SPOOFED_SOURCE);
  CHECK(path.send(kOut, arp("10.0.0.1", "10.0.0.254")).verdict == kPass);
  CHECK(path.send(kOut, arp("10.0.0.254", "10.0.0.2")).reason == POLICY_REASON_SPOOFED_SOURCE);
  CHECK(path.send(kIn, arp("10.0.0.254", "10.0.0.1")).verdict == kPass);
  const auto advertise = [](std::string_view target) {
    return frame6(ip6("fe80::1", "ff02::1", 58, icmp(136, 0, 0, address_bytes(target)), 255));
  };
  CHECK(path.send(kOut, advertise("fd00::1")).verdict == kPass);
  CHECK(path.send(kOut, advertise("fd00::254")).reason == POLICY_REASON_SPOOFED_SOURCE);
  CHECK(path.send(kOut, frame6(ip6("fe80::1", "ff02::1", 58, icmp(134, 0), 255))).reason ==
        POLICY_REASON_SPOOFED_SOURCE);
  CHECK(path.send(kOut, frame6(ip6("fe80::1", "fd00::2", 17, udp(1, 53)))).reason == POLICY_REASON_SPOOFED_SOURCE);
}

// A bridge learns by its ARP and neighbour discovery whose device it is.
TEST_CASE("a closed device may say which addresses it has, and nothing else") {
  Isolated path;
  policy_endpoint closed{};
  closed.flags = POLICY_POD | POLICY_CLOSED;
  closed.epoch = 1;
  path.endpoint(kPod, closed);
  const auto discovery = [](unsigned type) {
    return frame6(ip6("fd00::1", "ff02::1", 58, icmp(type, 0, 0, address_bytes("fd00::1")), 255));
  };
  CHECK(path.send(kOut, arp("10.0.0.1", "10.0.0.254")).reason == POLICY_REASON_NEIGHBOUR);
  CHECK(path.send(kOut, discovery(136)).reason == POLICY_REASON_NEIGHBOUR);
  CHECK(path.send(kOut, discovery(135)).reason == POLICY_REASON_NEIGHBOUR);
  CHECK(path.send(kOut, discovery(134)).reason == POLICY_REASON_SPOOFED_SOURCE);
  CHECK(path.send(kOut, tcp4("10.0.0.1", 80, "10.0.0.2", 40000, "S")).reason == POLICY_REASON_CLOSED);
  CHECK(path.send(kOut, tcp6("fd00::1", 80, "fd00::2", 40000, "S")).verdict == kDrop);
  CHECK(path.send(kIn, tcp4("10.0.0.2", 40000, "10.0.0.1", 80, "S")).reason == POLICY_REASON_CLOSED);
}

TEST_CASE("the node reaches its own pods, a masqueraded stranger does not") {
  Isolated path;
  const Bytes probe = tcp4("192.0.2.1", 40000, "10.0.0.1", 9000, "S");
  const auto own = path.send(kIn, probe, 0, 0);
  CHECK(own.verdict == kPass);
  CHECK(own.reason == POLICY_REASON_OWN_NODE);
  CHECK(path.send(kOut, tcp4("10.0.0.1", 9000, "192.0.2.1", 40000, "SA")).verdict == kPass);
  CHECK(path.send(kIn, tcp4("192.0.2.1", 40001, "10.0.0.1", 9000, "S"), 0, 3).verdict == kDrop);
}
