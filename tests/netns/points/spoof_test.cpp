// A pod speaks only for itself: what names another source (IP, ARP, neighbour discovery) is dropped at its device.
#include <linux/if_packet.h>
#include <net/if_arp.h>
#include <poll.h>
#include <sys/ioctl.h>

#include <cstring>

#include "tests/harness/catch.hpp"
#include "tests/harness/packets.hpp"
#include "tests/harness/traffic_cluster.hpp"

using namespace omnitide::test;
using omnitide::UniqueFd;

namespace {

constexpr unsigned kPort = 7777;

Bytes mac_of(const std::string& device) {
  const UniqueFd fd = make_socket(AF_INET, SOCK_DGRAM, 0);
  ifreq request{};
  std::strncpy(request.ifr_name, device.c_str(), IFNAMSIZ - 1);
  must(::ioctl(fd.get(), SIOCGIFHWADDR, &request), "ask for a MAC");
  return {request.ifr_hwaddr.sa_data, 6};
}

// The frame as it is, but to the node's end of the pod's veth, or to the bridge.
void send_from(Cluster& cluster, const std::string& pod, const Bytes& frame) {
  const bool routed = cluster.network().topology() == Topology::routed;
  const Bytes gateway = mac_of(routed ? cluster.network().device(pod) : "br0");
  cluster.network().pod(pod)->run([&] {
    const Bytes ready = gateway + mac_of("eth0") + frame.substr(12);
    const UniqueFd fd(must(::socket(AF_PACKET, SOCK_RAW, 0), "make a packet socket"));
    sockaddr_ll to{};
    to.sll_family = AF_PACKET;
    to.sll_ifindex = static_cast<int>(index_of("eth0"));
    must(static_cast<int>(
             ::sendto(fd.get(), ready.data(), ready.size(), 0, reinterpret_cast<const sockaddr*>(&to), sizeof to)),
         "send a frame");
  });
}

// All UDP that reaches a pod over one family.
class Watch {
 public:
  Watch(Cluster& cluster, const std::string& pod, bool four) {
    cluster.network().pod(pod)->run([&] { fd_ = make_socket(four ? AF_INET : AF_INET6, SOCK_RAW, IPPROTO_UDP); });
  }
  [[nodiscard]] bool got_one(int milliseconds) {
    pollfd readable{fd_.get(), POLLIN, 0};
    const bool out = ::poll(&readable, 1, milliseconds) == 1;
    while (receive(fd_.get())) {
    }
    return out;
  }

 private:
  UniqueFd fd_;
};

Bytes udp_frame(const std::string& source, const std::string& destination) {
  const Bytes payload = udp(40000, kPort);
  if (source.find(':') != std::string::npos) return ethernet(0x86dd, ip6(source, destination, 17, payload));
  Bytes packet = ip4({.source = source, .destination = destination, .protocol = 17}, payload);
  unsigned sum = 0;
  for (std::size_t i = 0; i < 20; i += 2)
    sum += static_cast<unsigned>(static_cast<std::uint8_t>(packet[i]) << 8U | static_cast<std::uint8_t>(packet[i + 1]));
  while (sum > 0xffff)
    sum = (sum & 0xffff) + (sum >> 16U);
  packet[10] = static_cast<char>(~sum >> 8U);
  packet[11] = static_cast<char>(~sum);
  return ethernet(0x0800, packet);
}

// RFC 4861, 4.4: an unsolicited advertisement.
Bytes advertisement(const std::string& source, const std::string& target) {
  Bytes out;
  put(out, {136, 0, 0, 0, 0x20, 0, 0, 0});
  return ethernet(0x86dd, ip6(source, "ff02::1", 58, out + address_bytes(target), 255));
}

}  // namespace

TEST_CASE("a packet from an address that is not the pod's is dropped") {
  with_cluster([](Cluster& cluster) {
    // x/a speaks as another pod, the node, the world, the peer itself.
    for (const std::string source : {"10.0.1.2", "10.9.0.1", "192.0.2.1", "10.0.2.1"}) {
      INFO(source);
      Watch watch(cluster, "y/a", true);
      const std::uint64_t before = cluster.counted("spoofed_source");
      send_from(cluster, "x/a", udp_frame(source, "10.0.2.1"));
      CHECK_FALSE(watch.got_one(60));
      CHECK(cluster.counted("spoofed_source") == before + 1);
    }
    for (const std::string source : {"fd00::1:2", "fd09::1", "2001:db8::1", "fd00::2:1"}) {
      INFO(source);
      Watch watch(cluster, "y/a", false);
      const std::uint64_t before = cluster.counted("spoofed_source");
      send_from(cluster, "x/a", udp_frame(source, "fd00::2:1"));
      CHECK_FALSE(watch.got_one(60));
      CHECK(cluster.counted("spoofed_source") == before + 1);
    }
    Watch four(cluster, "y/a", true), six(cluster, "y/a", false);  // the same way is open for its own addresses
    send_from(cluster, "x/a", udp_frame("10.0.1.1", "10.0.2.1"));
    send_from(cluster, "x/a", udp_frame("fd00::1:1", "fd00::2:1"));
    CHECK(four.got_one(900));
    CHECK(six.got_one(900));
  });
}

TEST_CASE("a pod with allow-source: any may speak for others") {
  with_cluster([](Cluster& cluster) {
    cluster.apply(
        "---\napiVersion: v1\nkind: Pod\nmetadata: {namespace: x, name: a, labels: {pod: a}, "
        "annotations: {omnitide.io/allow-source: any}}\nspec: {nodeName: node-1}\n"
        "status: {phase: Running, podIPs: [{ip: 10.0.1.1}, {ip: \"fd00::1:1\"}]}\n");
    Watch four(cluster, "y/a", true), six(cluster, "y/a", false);
    send_from(cluster, "x/a", udp_frame("198.51.100.9", "10.0.2.1"));
    send_from(cluster, "x/a", udp_frame("2001:db8::9", "fd00::2:1"));
    CHECK(four.got_one(900));
    CHECK(six.got_one(900));
  });
}

TEST_CASE("ARP and neighbour discovery for another's address are dropped") {
  with_cluster([](Cluster& cluster) {
    const auto dropped = [&cluster](const Bytes& frame) {
      const std::uint64_t before = cluster.counted("spoofed_source");
      send_from(cluster, "x/a", frame);
      return cluster.counted("spoofed_source") - before;
    };
    CHECK(dropped(arp("10.0.1.2", "10.0.2.1")) == 1);
    CHECK(dropped(arp("10.9.0.1", "10.0.2.1")) == 1);
    CHECK(dropped(arp("10.0.1.1", "10.0.2.1")) == 0);
    CHECK(dropped(advertisement("fd00::1:1", "fd00::1:2")) == 1);
    CHECK(dropped(advertisement("fd00::1:2", "fd00::1:2")) == 1);
    CHECK(dropped(advertisement("fd00::1:1", "fd00::1:1")) == 0);
    Bytes router;
    put(router, {134, 0, 0, 0, 64, 0, 7, 8, 0, 0, 0, 0, 0, 0, 0, 0});
    CHECK(dropped(ethernet(0x86dd, ip6("fe80::1", "ff02::1", 58, router))) == 1);
    CHECK(cluster.wrong({"x/b -> y/a 80", "node -> x/b 80"}) == Lines{});  // nobody learnt a wrong address
  });
}
