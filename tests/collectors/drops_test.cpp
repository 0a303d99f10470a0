// Packets that the kernel drops, by its own names for why. Needs root.
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <sys/ioctl.h>

#include <array>
#include <cstring>

#include "agent/base/fd.hpp"
#include "tests/harness/catch.hpp"
#include "tests/harness/collected.hpp"
#include "tests/harness/network_namespace.hpp"
#include "tests/harness/tcp.hpp"

using namespace omnitide;
using test::Collected;

namespace {

std::uint16_t checksum(const iphdr& header) {
  std::array<std::uint16_t, sizeof header / 2> words{};
  std::memcpy(words.data(), &header, sizeof header);
  std::uint32_t sum = 0;
  for (const std::uint16_t word : words)
    sum += word;
  sum = (sum & 0xffff) + (sum >> 16U);
  return static_cast<std::uint16_t>(~(sum + (sum >> 16U)));
}

// Frames with a datagram of 4 bytes, put on a device as if a peer behind it had sent them to `to`.
bool send_datagrams(const char* device, const char* to_device, const char* from, const char* to, std::uint16_t port,
                    int count) {
  const UniqueFd fd(::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0));
  ifreq hardware{};
  std::strncpy(&hardware.ifr_name[0], to_device, IFNAMSIZ - 1);
  if (!fd || ::ioctl(fd.get(), SIOCGIFHWADDR, &hardware) != 0) return false;
  struct {
    ethhdr ethernet;
    iphdr ip;
    udphdr udp;
    std::array<char, 4> data;
  } __attribute__((packed)) frame{};
  std::memcpy(&frame.ethernet.h_dest[0], &hardware.ifr_hwaddr.sa_data[0], ETH_ALEN);
  frame.ethernet.h_source[0] = 2;
  frame.ethernet.h_proto = htons(ETH_P_IP);
  iphdr ip{};
  ip.version = 4;
  ip.ihl = 5;
  ip.ttl = 64;
  ip.protocol = IPPROTO_UDP;
  ip.tot_len = htons(sizeof frame - sizeof frame.ethernet);
  ip.saddr = test::address_of(from, 0).sin_addr.s_addr;
  ip.daddr = test::address_of(to, 0).sin_addr.s_addr;
  ip.check = checksum(ip);
  frame.ip = ip;
  frame.udp.source = htons(40000);
  frame.udp.dest = htons(port);
  frame.udp.len = htons(sizeof frame.udp + sizeof frame.data);
  sockaddr_ll link{};
  link.sll_family = AF_PACKET;
  link.sll_ifindex = static_cast<int>(::if_nametoindex(device));
  for (int i = 0; i < count; ++i) {
    if (::sendto(fd.get(), &frame, sizeof frame, 0, reinterpret_cast<const sockaddr*>(&link), sizeof link) < 0)
      return false;
  }
  return true;
}

}  // namespace

TEST_CASE("datagrams for which there is no socket count with that reason and the device") {
  if (!test::kernel_at_least(5, 17)) {  // it is off then, as another test says
    CHECK_THROWS(Collected({"drops"}));
    return;
  }
  Collected collected({"drops"});
  constexpr int kSent = 31;
  const char* dropped = "omnitide_network_dropped_packets_total";
  test::in_network_namespace([&] {
    test::add_veth_pair("omni-drop", "omni-source");
    const std::uint32_t to = ::if_nametoindex("omni-drop");
    test::set_up(to);
    test::set_up(::if_nametoindex("omni-source"));
    test::add_address(to, "10.90.1.1", 24);
    REQUIRE(send_datagrams("omni-source", "omni-drop", "10.90.1.2", "10.90.1.1", 9, kSent));
  });
  collected.read();
  CHECK(collected.value(dropped, {{"reason", "NO_SOCKET"}, {"netns", "other"}, {"device", "omni-drop"}}) == kSent);
  CHECK(collected.value(dropped, {{"reason", "NO_SOCKET"}, {"device", "omni-source"}}) == 0);
}
