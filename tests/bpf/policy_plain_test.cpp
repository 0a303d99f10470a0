// The short ways of the data path: a plain header is parsed in one step, a connection is found by a hash. Neither may
// say anything else than the long way.
#include <cstring>
#include <random>

#include "tests/harness/catch.hpp"
#include "tests/harness/policy_path.hpp"

using namespace omnitide::test;

namespace {

constexpr unsigned kPod = 1, kFriend = POLICY_POD_BIT | 5;
constexpr const char *kIn = "policy_to_endpoint", *kOut = "policy_from_endpoint";

struct Pod : PolicyPath {
  explicit Pod(unsigned flags = 0) : PolicyPath({}, {{"event_interval_ns", 0}}) {
    policy_endpoint pod{};
    pod.flags = POLICY_POD | flags;
    pod.epoch = 1;
    pod.identity = POLICY_POD_BIT | 1;
    pod.ingress_set = 1;
    pod.egress_set = 1;
    pod.ingress_flags = pod.egress_flags = POLICY_SET_DENY | POLICY_SET_PORTS;
    pod.addresses[0] = kernel_address("10.0.0.1");
    pod.addresses[1] = kernel_address("fd00::1");
    endpoint(kPod, pod);
    for (const auto* where : {"0.0.0.0/0", "::/0"})
      location(where, POLICY_WORLD);
  }
  void welcome(std::string_view friendly) {
    location(friendly, kFriend);
    rule(1, 0);
    peers(1, kFriend, {0});
    port(1, 6, 80, {0});
    port(1, 17, 80, {0});
  }
};

const std::vector<Bytes>& plain_packets() {
  static const Bytes data(30, 'x');
  static const std::vector<Bytes> all{
      tcp4("10.0.0.2", 40000, "10.0.0.1", 80, "S"),
      ethernet(0x0800, ip4({.source = "10.0.0.1", .destination = "10.0.0.2", .protocol = 17}, udp(80, 5353, data))),
      tcp6("fd00::2", 40000, "fd00::1", 80, "SA"),
      ethernet(0x86dd, ip6("fd00::1", "fd00::2", 17, udp(80, 5353, data))),
  };
  return all;
}

// All but the length, of which a tag is a part.
bool same_event(policy_event left, policy_event right) {
  left.time_ns = right.time_ns = 0;
  left.length = right.length = 0;
  return std::memcmp(&left, &right, sizeof left) == 0;
}

// A packet with a VLAN tag is never plain: the same behind a tag goes the long way.
void compare(PolicyPath& path, const Bytes& packet) {
  for (const char* program : {kIn, kOut}) {
    const Sent plain = path.send(program, packet);
    const Sent tagged = path.send(program, vlan(packet));
    INFO(program << ", reasons " << plain.reason << " and " << tagged.reason << ", " << packet.size() << " bytes");
    REQUIRE(plain.reason == tagged.reason);
    REQUIRE(plain.verdict == tagged.verdict);
    REQUIRE(plain.events.size() == tagged.events.size());
    REQUIRE((plain.events.empty() || same_event(plain.events[0], tagged.events[0])));
  }
}

}  // namespace

TEST_CASE("a header parsed in one step says what it says behind a tag, whatever bit of it is changed") {
  Pod path(POLICY_ANY_SOURCE);  // nothing passes, so that no connection is remembered
  for (const Bytes& packet : plain_packets()) {
    compare(path, packet);
    for (std::size_t at = 12; at < packet.size() && at < 74; ++at) {
      for (unsigned bit = 0; bit < 8; ++bit) {
        Bytes changed = packet;
        changed[at] = static_cast<char>(static_cast<unsigned char>(changed[at]) ^ 1U << bit);
        compare(path, changed);
      }
    }
    const std::size_t ip = packet[12] == 8 ? 34 : 54;  // the kernel itself refuses to send less
    for (std::size_t size = ip; size < packet.size(); ++size)
      compare(path, packet.substr(0, size));
  }
}

TEST_CASE("a header parsed in one step says what it says behind a tag, with several bytes changed") {
  Pod path(POLICY_ANY_SOURCE);
  std::minstd_rand generator(4);  // NOLINT: the same each time
  const auto random = [&generator] { return static_cast<unsigned>(generator() >> 4U); };
  for (int i = 0; i < 1500; ++i) {
    Bytes packet = plain_packets()[random() % plain_packets().size()];
    for (unsigned changes = 1 + random() % 3; changes > 0; --changes)
      packet[12 + random() % (packet.size() - 12)] = static_cast<char>(random());
    compare(path, packet);
  }
}

TEST_CASE("both ways of parsing name one connection") {
  const std::string_view friendly = GENERATE("10.0.0.2", "fd00::2");
  const bool tagged_first = GENERATE(false, true);
  Pod path;
  path.welcome(friendly);
  const bool v4 = friendly.find(':') == std::string_view::npos;
  const auto packet = [&](const char* flags) {
    return v4 ? tcp4(friendly, 40000, "10.0.0.1", 80, flags) : tcp6(friendly, 40000, "fd00::1", 80, flags);
  };
  const auto reply = v4 ? tcp4("10.0.0.1", 80, friendly, 40000, "SA") : tcp6("fd00::1", 80, friendly, 40000, "SA");
  CHECK(path.send(kIn, tagged_first ? vlan(packet("S")) : packet("S")).reason == POLICY_REASON_RULE);
  CHECK(path.send(kOut, tagged_first ? reply : vlan(reply)).reason == POLICY_REASON_CONNECTION);
  CHECK(path.send(kIn, tagged_first ? packet("A") : vlan(packet("A"))).reason == POLICY_REASON_CONNECTION);
}

TEST_CASE("connections of the same hash are two connections") {
  Pod path;  // without seeds the hash does not tell protocols apart
  path.welcome("10.0.0.2");
  const auto with = [](unsigned protocol) {
    return ethernet(0x0800, ip4({.source = "10.0.0.2", .destination = "10.0.0.1", .protocol = protocol},
                                protocol == 6 ? tcp(40000, 80, "S") : udp(40000, 80, Bytes(30, 'x'))));
  };
  policy_connection_key key{};
  key.scope = kPod;
  key.local = kernel_address("10.0.0.1");
  key.remote = kernel_address("10.0.0.2");
  key.local_port = 80;
  key.remote_port = 40000;
  key.protocol = 6;
  const policy_seeds none{};
  const __u64 hash = policy_connection_hash(&key, &none.words[0]);
  key.protocol = 17;
  REQUIRE(policy_connection_hash(&key, &none.words[0]) == hash);
  CHECK(path.send(kIn, with(6)).reason == POLICY_REASON_RULE);
  CHECK(path.send(kIn, with(132)).reason == POLICY_REASON_NO_RULE);
  CHECK(path.send(kIn, with(17)).reason == POLICY_REASON_RULE);
  CHECK(path.send(kIn, with(17)).reason == POLICY_REASON_CONNECTION);
  CHECK(path.send(kIn, with(132)).reason == POLICY_REASON_NO_RULE);
  const Bytes later =
      ethernet(0x0800, ip4({.source = "10.0.0.2", .destination = "10.0.0.1", .protocol = 6}, tcp(40000, 80, "A")));
  CHECK(path.send(kIn, later).reason == POLICY_REASON_CONNECTION);
}
