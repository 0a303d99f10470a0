// Tables that the programs fill themselves, full: nothing passes that may not, and nothing that may is blocked; and no
// pod takes the room of another.
#include <chrono>
#include <thread>

#include "tests/harness/catch.hpp"
#include "tests/harness/links.hpp"
#include "tests/harness/policy_path.hpp"

using namespace omnitide::test;

namespace {

constexpr const char *kIn = "policy_to_endpoint", *kOut = "policy_from_endpoint";
constexpr int kPass = -1, kDrop = 2;
constexpr unsigned kFriend = POLICY_POD_BIT | 7;
constexpr std::string_view kServerAddress = "10.0.0.5", kFlooderAddress = "10.0.0.6";

// Two pods on devices of their own. Each takes TCP and UDP 80 from 10.0.0.9, and nothing else from anybody; what they
// themselves may open is TCP 443 to it.
struct Pods : PolicyPath {
  Pods(const std::map<std::string, unsigned>& sizes, const std::map<std::string, __u64>& settings)
      : PolicyPath(sizes, settings) {
    add_veth_pair("server", "flooder");
    server = index_of("server");
    flooder = index_of("flooder");
    location("0.0.0.0/0", POLICY_WORLD);
    location("10.0.0.9", kFriend);
    for (const unsigned direction : {1U, 2U}) {
      rule(direction, 0);
      peers(direction, kFriend, {0});
    }
    port(1, 6, 80, {0});
    port(1, 17, 80, {0});
    port(2, 6, 443, {0});
    pod(server, kServerAddress);
    pod(flooder, kFlooderAddress);
  }
  void pod(unsigned device, std::string_view address, unsigned epoch = 1) {
    policy_endpoint value{};
    value.flags = POLICY_POD;
    value.epoch = epoch;
    value.identity = POLICY_POD_BIT | device;
    value.addresses[0] = kernel_address(address);
    value.ingress_set = 1;
    value.egress_set = 2;
    value.ingress_flags = value.egress_flags = POLICY_SET_DENY | POLICY_SET_PORTS;
    endpoint(device, value);
  }

  Sent to(unsigned device, const Bytes& packet) { return send(kIn, packet, 0, 1, device); }
  Sent from(unsigned device, const Bytes& packet) { return send(kOut, packet, 0, 1, device); }
  Sent opens(unsigned device, std::string_view address, unsigned client) {
    return to(device, tcp4("10.0.0.9", client, address, 80, "S"));
  }
  // Established: asked for and answered.
  void connection(unsigned client) {
    REQUIRE(opens(server, kServerAddress, client).verdict == kPass);
    REQUIRE(from(server, tcp4(kServerAddress, 80, "10.0.0.9", client, "SA")).reason == POLICY_REASON_CONNECTION);
  }
  // A packet of a connection that is not known is judged by the rules instead.
  bool remembers(unsigned client) {
    const Sent sent = to(server, tcp4("10.0.0.9", client, kServerAddress, 80, "A"));
    CHECK(sent.verdict == kPass);
    return sent.reason == POLICY_REASON_CONNECTION;
  }

  unsigned server = 0, flooder = 0;
};

}  // namespace

TEST_CASE("with a full table of connections new ones are judged as ever, and those pushed out live on") {
  in_network_namespace([] {
    Pods pods({{"connections", 256}}, {{"connection_interval_ns", 0}});
    for (unsigned client = 1000; client < 1050; ++client)
      pods.connection(client);
    for (unsigned client = 2000; client < 3500; ++client)
      REQUIRE(pods.opens(pods.server, kServerAddress, client).verdict == kPass);
    // 1,550 connections of one pod in 512 ways: which are pushed out is no matter.
    for (unsigned client = 1000; client < 1050; ++client)
      CHECK(pods.from(pods.server, tcp4(kServerAddress, 80, "10.0.0.9", client, "A")).verdict == kPass);
    pods.connection(7000);
    for (const char* flags : {"S", "SA", "A", "FA", "R", ""}) {
      CHECK(pods.to(pods.server, tcp4("10.0.0.9", 7001, kServerAddress, 81, flags)).verdict == kDrop);
      CHECK(pods.to(pods.server, tcp4("10.0.0.8", 7001, kServerAddress, 80, flags)).verdict == kDrop);
      CHECK(pods.from(pods.server, tcp4(kServerAddress, 7001, "10.0.0.9", 444, flags)).verdict == kDrop);
    }
    CHECK(pods.to(pods.server, udp4("10.0.0.9", 7001, kServerAddress, 80)).verdict == kPass);
    CHECK(pods.to(pods.server, udp4("10.0.0.9", 7001, kServerAddress, 81)).verdict == kDrop);
  });
}

TEST_CASE("a pod that opens connections without end pushes out its own, and takes a busy bucket's free ways only") {
  in_network_namespace([] {
    Pods pods({{"connections", 256}}, {{"connection_interval_ns", 0}});
    for (unsigned client = 1000; client < 1128; ++client)
      pods.connection(client);
    for (unsigned client = 2000; client < 6000; ++client)
      REQUIRE(pods.opens(pods.flooder, kFlooderAddress, client).verdict == kPass);
    unsigned kept = 0;
    for (unsigned client = 1000; client < 1128; ++client)
      kept += pods.remembers(client) ? 1U : 0U;
    CHECK(kept >= 126);  // half of the limit: two a bucket, of which six have room
    pods.connection(7000);
  });
}

TEST_CASE("of a full bucket the connections that are over go first, then those that rest longest") {
  in_network_namespace([] {
    constexpr __u64 kBrief = 1'000'000'000;
    Pods pods({{"connections", 4}}, {{"connection_interval_ns", 0}, {"short_idle_ns", kBrief}});  // one bucket
    pods.connection(1000);
    for (unsigned client = 2000; client < 2007; ++client)  // asked for and never answered
      REQUIRE(pods.opens(pods.server, kServerAddress, client).verdict == kPass);
    std::this_thread::sleep_for(std::chrono::milliseconds(1500));
    for (unsigned client = 3000; client < 3007; ++client)
      REQUIRE(pods.opens(pods.server, kServerAddress, client).verdict == kPass);
    CHECK(pods.remembers(1000));
    REQUIRE(pods.opens(pods.server, kServerAddress, 3007).verdict == kPass);
    CHECK(pods.remembers(3007));
  });
}

TEST_CASE("a pod that floods gets its budget of connections and takes no other pod's room") {
  in_network_namespace([] {
    constexpr __u64 kEach = 200'000'000;  // so slow that the flood is over before many more are granted
    Pods pods({{"connections", 1024}}, {{"connection_interval_ns", kEach}, {"connection_burst_ns", kEach * 100}});
    for (unsigned client = 1000; client < 1050; ++client)
      pods.connection(client);
    unsigned opened = 0, refused = 0;
    for (unsigned client = 2000; client < 4500; ++client) {
      const Sent sent = pods.opens(pods.flooder, kFlooderAddress, client);
      opened += sent.verdict == kPass ? 1U : 0U;
      refused += sent.verdict == kDrop && sent.reason == POLICY_REASON_CONNECTION_LIMIT ? 1U : 0U;
    }
    CHECK(opened >= 90);
    CHECK(opened < 200);
    CHECK(opened + refused == 2500);
    for (unsigned client = 1000; client < 1050; ++client)
      CHECK(pods.remembers(client));
    pods.connection(1050);  // the other pod's budget is its own
  });
}

TEST_CASE("with a full table of translations a connection through a Service is judged anew, and goes on") {
  in_network_namespace([] {
    Pods pods({{"translations", 256}}, {{"connection_interval_ns", 0}});
    const auto translated = [&](unsigned device, std::string_view own, unsigned client, std::string_view flags) {
      const Sent sent = pods.from(device, tcp4(own, client, "10.96.0.1", 443, flags));
      const bool waits = sent.reason == POLICY_REASON_DEFERRED;
      REQUIRE(sent.verdict == kPass);
      // The address that the Service stands for; in the program's sight the packet leaves by another device.
      if (waits)
        REQUIRE(pods.send("policy_leave", tcp4(own, client, "10.0.0.9", 443, flags), sent.mark, device).verdict ==
                kPass);
      return waits;
    };
    REQUIRE(translated(pods.server, kServerAddress, 900, "S"));
    const Bytes reply = tcp4("10.96.0.1", 443, kServerAddress, 900, "A");
    REQUIRE(pods.to(pods.server, reply).reason == POLICY_REASON_CONNECTION);
    for (unsigned client = 2000; client < 2800; ++client)
      REQUIRE(translated(pods.flooder, kFlooderAddress, client, "S"));
    pods.pod(pods.server, kServerAddress, 2);  // another policy: what is known is judged again
    (void)pods.to(pods.server, reply);         // may be dropped, and is sent again
    CHECK(translated(pods.server, kServerAddress, 900, "A"));
    CHECK(pods.to(pods.server, reply).reason == POLICY_REASON_CONNECTION);
    // What may not be reached is not reached by a translation that was forgotten either.
    const Sent sent = pods.from(pods.server, tcp4(kServerAddress, 901, "10.96.0.1", 443, "S"));
    CHECK(pods.send("policy_leave", tcp4(kServerAddress, 901, "10.0.0.8", 443, "S"), sent.mark, pods.server).verdict ==
          kDrop);
  });
}

TEST_CASE("a flood of first fragments neither opens a way for later ones nor keeps others' packets from passing") {
  in_network_namespace([] {
    Pods pods({{"fragments", 2048}}, {{"connection_interval_ns", 0}});
    const auto fragment = [](std::string_view from, std::string_view to, unsigned id, bool first) {
      const Bytes payload = first ? udp(5000, 80, Bytes(24, 'x')) : Bytes(32, 'y');
      return ethernet(
          0x0800, ip4({.source = from, .destination = to, .protocol = 17, .fragment = first ? 0x2000U : 4U, .id = id},
                      payload));
    };
    for (unsigned id = 0; id < 2500; ++id) {
      // Of a stranger: dropped, however many.
      REQUIRE(pods.to(pods.flooder, fragment("10.0.0.8", kFlooderAddress, id, true)).verdict == kDrop);
      REQUIRE(pods.to(pods.flooder, fragment("10.0.0.8", kFlooderAddress, id, false)).verdict == kDrop);
      if (id % 50 != 0) continue;
      REQUIRE(pods.to(pods.server, fragment("10.0.0.9", kServerAddress, id, true)).verdict == kPass);
      for (unsigned other = 0; other < 20; ++other)
        (void)pods.to(pods.flooder, fragment("10.0.0.8", kFlooderAddress, 3000 + id + other, true));
      CHECK(pods.to(pods.server, fragment("10.0.0.9", kServerAddress, id, false)).verdict == kPass);
      CHECK(pods.to(pods.server, fragment("10.0.0.9", kServerAddress, id + 1, false)).reason ==
            POLICY_REASON_FRAGMENT_WITHOUT_FIRST);
    }
  });
}
