// Name servers and gateways that answer or do not, in network namespaces of the test's own. Needs root.
#include "agent/daemon/health_network.hpp"

#include <linux/neighbour.h>
#include <poll.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <thread>

#include "tests/harness/catch.hpp"
#include "tests/harness/fixture.hpp"
#include "tests/harness/links.hpp"
#include "tests/harness/loop.hpp"

namespace omnitide::daemon {
namespace {

using namespace std::chrono_literals;
using namespace omnitide::test;
using health::Finding;
using health::Verdict;

const std::atomic<bool> kGoOn{false};

// Listens on port 53 of an address of this namespace, and does what it is told with each question.
class NameServer {
 public:
  enum class Does { answer, fail, refuse_briefly, keep_silent, answer_another };

  NameServer(const std::string& address, Does does) : does_(does) {
    const bool four = address.find(':') == std::string::npos;
    sockaddr_in6 six{};
    sockaddr_in v4{};
    six.sin6_family = AF_INET6;
    v4.sin_family = AF_INET;
    six.sin6_port = v4.sin_port = htons(53);
    (void)::inet_pton(four ? AF_INET : AF_INET6, address.c_str(),
                      four ? static_cast<void*>(&v4.sin_addr) : static_cast<void*>(&six.sin6_addr));
    fd_.reset(::socket(four ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    const auto* where = four ? reinterpret_cast<const sockaddr*>(&v4) : reinterpret_cast<const sockaddr*>(&six);
    if (::bind(fd_.get(), where, four ? sizeof v4 : sizeof six) != 0) throw std::runtime_error("cannot listen on 53");
    thread_ = std::thread([this] { serve(); });
  }
  ~NameServer() {
    ends_ = true;
    thread_.join();
  }
  NameServer(const NameServer&) = delete;
  NameServer& operator=(const NameServer&) = delete;
  [[nodiscard]] unsigned asked() const { return asked_; }

 private:
  void serve() {
    while (!ends_) {
      pollfd ready{fd_.get(), POLLIN, 0};
      if (::poll(&ready, 1, 20) == 1) one();
    }
  }
  void one() {
    std::array<char, 512> buffer{};
    sockaddr_in6 from{};
    socklen_t size = sizeof from;
    const ssize_t got =
        ::recvfrom(fd_.get(), buffer.data(), buffer.size(), 0, reinterpret_cast<sockaddr*>(&from), &size);
    if (got < 12) return;
    ++asked_;
    if (does_ == Does::keep_silent) return;
    auto length = static_cast<std::size_t>(got);
    buffer[2] = static_cast<char>(0x81);
    buffer[3] = static_cast<char>(0x80U | (does_ == Does::fail ? 2U : does_ == Does::refuse_briefly ? 5U : 0U));
    if (does_ == Does::answer_another) buffer[0] = static_cast<char>(buffer[0] + 1);
    if (does_ == Does::refuse_briefly) {
      buffer[5] = 0;
      length = 12;
    }
    (void)::sendto(fd_.get(), buffer.data(), length, 0, reinterpret_cast<const sockaddr*>(&from), size);
  }

  Does does_;
  UniqueFd fd_;
  std::atomic<bool> ends_{false};
  std::atomic<unsigned> asked_{0};
  std::thread thread_;
};

NetworkNode node_of(const TempTree& tree) { return {.root = *Root::open(tree.path()), .interval = 500ms}; }

Finding look(const NetworkNode& node, std::size_t probe) {
  Loop loop;  // its workers are of the calling thread's namespace
  const std::vector<Probe> probes = network_probes(node);
  return loop.run(probes.at(probe).look(std::make_shared<ProbeRun>(loop.context, loop.pool, probes.at(probe).timeout)));
}

std::string value(const Finding& finding, const std::string& name) {
  for (const auto& [key, text] : finding.evidence)
    if (key == name) return text;
  return "none";
}

}  // namespace

TEST_CASE("each name server is asked by itself, and the one that does not answer is named") {
  TempTree tree;
  tree.file("etc/resolv.conf", "nameserver 127.0.0.1\nnameserver 127.0.0.2\n#nameserver 127.0.0.9\nnameserver ::1\n");
  Finding some, none, failing, strange, other;
  unsigned tries = 0;
  in_network_namespace([&] {
    set_up(index_of("lo"));
    const NetworkNode node = node_of(tree);
    const NameServer silent("127.0.0.2", NameServer::Does::keep_silent);
    {
      const NameServer good("127.0.0.1", NameServer::Does::answer);
      some = look(node, 0);
    }
    tries = silent.asked();
    none = look(node, 0);
    const NameServer fails("127.0.0.1", NameServer::Does::fail), refuses("::1", NameServer::Does::refuse_briefly);
    failing = look(node, 0);
    tree.file("etc/resolv.conf", "nameserver 127.0.0.4\n");
    const NameServer another("127.0.0.4", NameServer::Does::answer_another);
    strange = look(node, 0);
    tree.file("etc/resolv.conf", "options edns0\n");
    other = look(node, 0);
  });
  CHECK(some.verdict == Verdict::good);
  CHECK(some.reason == "SomeNameServersSilent");
  CHECK(some.message == "names can be looked up, but 127.0.0.2, ::1 do not answer");
  CHECK(value(some, "127.0.0.1") == "answers NOERROR");
  CHECK(value(some, "127.0.0.2").find("no answer within") == 0);
  CHECK(value(some, "::1").find("does not listen") == 0);
  CHECK(tries == 3);
  CHECK(none.verdict == Verdict::bad);
  CHECK(none.reason == "NameServersSilent");
  CHECK(none.message == "no name server answers: 127.0.0.1, 127.0.0.2, ::1 do not answer");
  // Who says that it cannot find out is there.
  CHECK(failing.verdict == Verdict::good);
  CHECK(value(failing, "127.0.0.1") == "answers SERVFAIL");
  CHECK(value(failing, "::1") == "answers REFUSED");
  CHECK(strange.verdict == Verdict::bad);  // the answer to another question is none
  CHECK(other.verdict == Verdict::unknown);
}

TEST_CASE("the servers behind systemd-resolved's stub are asked too, and libc's three at most") {
  TempTree tree;
  tree.file("etc/resolv.conf", "nameserver 127.0.0.53\n")
      .file("run/systemd/resolve/resolv.conf", "nameserver 192.0.2.1\nnameserver 127.0.0.53\nnameserver 192.0.2.1\n");
  const Root root = *Root::open(tree.path());
  CHECK(configured_name_servers(root).asked == std::vector<std::string>{"127.0.0.53"});
  CHECK(configured_name_servers(root).behind == std::vector<std::string>{"192.0.2.1"});
  tree.file("etc/resolv.conf", "nameserver a\nnameserver b\nnameserver c\nnameserver d\n");
  CHECK(configured_name_servers(root).asked == std::vector<std::string>{"a", "b", "c"});
  CHECK(configured_name_servers(root).behind.empty());
  // The stub answers and its server does not: names that it knows are still found.
  const std::vector<io::NameServerSight> sights{{"127.0.0.53", 2, ""}, {"192.0.2.1", {}, "no answer within 1s"}};
  CHECK(name_servers_finding(sights, 1).reason == "SomeNameServersSilent");
  CHECK(name_servers_finding({sights[1], sights[0]}, 1).verdict == Verdict::bad);
}

TEST_CASE("asking ends early when it is told to, and text that is no address is said to be none") {
  std::atomic<bool> stop{false};
  std::chrono::steady_clock::duration took{};
  std::vector<io::NameServerSight> seen;
  in_network_namespace([&] {
    set_up(index_of("lo"));
    const NameServer silent("127.0.0.1", NameServer::Does::keep_silent);
    std::thread later([&stop] {
      std::this_thread::sleep_for(100ms);
      stop = true;
    });
    const auto began = std::chrono::steady_clock::now();
    seen = io::ask_name_servers({"127.0.0.1", "example"}, 53, 60s, stop);
    took = std::chrono::steady_clock::now() - began;
    later.join();
  });
  CHECK(took < 5s);
  REQUIRE(seen.size() == 2);
  CHECK(seen[1].problem == "it is no address");
}

namespace {

// A node with an uplink to a machine with these addresses, and to nobody else.
struct Uplink {
  PodNamespace router{"up0", {"192.0.2.1/24", "2001:db8::1/64"}};
  std::uint32_t index = index_of("up0");

  Uplink() {
    add_address(index, "192.0.2.2/24");
    add_address(index, "2001:db8::2/64");
    for (const char* family : {"ipv4", "ipv6"}) {  // so that the test need not wait for long
      write_sysctl(std::string(family) + "/neigh/up0/retrans_time_ms", "100");
      write_sysctl(std::string(family) + "/neigh/up0/base_reachable_time_ms", "200");
      write_sysctl(std::string(family) + "/neigh/up0/delay_first_probe_time", "1");
    }
  }
  void gateways(const std::string& four, const std::string& six) const {
    if (!four.empty()) add_route("0.0.0.0/0", index, RT_TABLE_MAIN, four);
    if (!six.empty()) add_route("::/0", index, RT_TABLE_MAIN, six);
  }
  static std::vector<GatewaySight> look(std::chrono::milliseconds patience = 5s) {
    auto gateways = default_gateways();
    if (gateways.has_error()) throw std::runtime_error(gateways.error().text());
    auto sights = look_at_gateways(std::move(*gateways), patience, kGoOn);
    if (sights.has_error()) throw std::runtime_error(sights.error().text());
    return *sights;
  }
};

void remove_address(std::uint32_t index, const std::string& address) {
  ifaddrmsg header{};
  header.ifa_family = AF_INET;
  header.ifa_prefixlen = 24;
  header.ifa_index = index;
  std::string message(bytes_of(header));
  append_attribute(message, IFA_LOCAL, rtnl::wire(*parse_address(address)));
  rtnl::ask(RTM_DELADDR, 0, message, "remove an address");
}

void add_neighbour(std::uint32_t index, const std::string& address, std::string_view hardware) {
  ndmsg header{};
  header.ndm_family = AF_INET;
  header.ndm_ifindex = static_cast<int>(index);
  header.ndm_state = NUD_PERMANENT;
  std::string message(bytes_of(header));
  append_attribute(message, NDA_DST, rtnl::wire(*parse_address(address)));
  append_attribute(message, NDA_LLADDR, hardware);
  rtnl::ask(RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, message, "add a neighbour");
}

std::vector<GatewayState> states(const std::vector<GatewaySight>& sights) {
  std::vector<GatewayState> out;
  for (const GatewaySight& each : sights)
    out.push_back(each.state);
  return out;
}
using States = std::vector<GatewayState>;

}  // namespace

TEST_CASE("a gateway that answers ARP or neighbour discovery is there, one for whose address nobody answers is not") {
  std::vector<GatewaySight> there, gone, half, none;
  Finding finding;
  in_network_namespace([&] {
    set_up(index_of("lo"));
    const Uplink uplink;
    none = Uplink::look();
    uplink.gateways("192.0.2.1", "2001:db8::1");
    there = Uplink::look();
    uplink.gateways("192.0.2.9", {});
    half = Uplink::look();
    finding = look({.root = *Root::open("/"), .interval = 5s}, 1);
    remove_route("::/0", uplink.index);
    uplink.gateways({}, "2001:db8::9");
    gone = Uplink::look();
  });
  CHECK(none.empty());
  REQUIRE(states(there) == States{GatewayState::reachable, GatewayState::reachable});
  CHECK(there[0].gateway.text == "192.0.2.1");
  CHECK(there[0].gateway.link == "up0");
  CHECK(there[1].gateway.text == "2001:db8::1");
  CHECK(states(half) == States{GatewayState::unreachable, GatewayState::reachable});
  CHECK(states(gone) == States{GatewayState::unreachable, GatewayState::unreachable});
  CHECK(finding.verdict == Verdict::bad);
  CHECK(finding.reason == "GatewayUnreachable");
  CHECK(finding.message == "nobody answers for the gateway 192.0.2.9 on up0");
  CHECK(finding.evidence == health::Evidence{{"gateway", "192.0.2.9"}, {"link", "up0"}});
}

TEST_CASE("a gateway that was heard and goes is missed, and found again when it comes back") {
  std::vector<GatewaySight> before, hasty, after, again;
  in_network_namespace([&] {
    set_up(index_of("lo"));
    const Uplink uplink;
    uplink.gateways("192.0.2.1", "");
    before = Uplink::look();
    uplink.router.run([] { remove_address(index_of("eth0"), "192.0.2.1"); });
    std::this_thread::sleep_for(400ms);  // so that the kernel does not rely on what it heard
    hasty = Uplink::look(300ms);
    after = Uplink::look();
    uplink.router.run([] { add_address(index_of("eth0"), "192.0.2.1/24"); });
    again = Uplink::look();
  });
  CHECK(states(before) == States{GatewayState::reachable});
  CHECK(states(hasty) == States{GatewayState::unknown});  // it may still answer
  CHECK(states(after) == States{GatewayState::unreachable});
  CHECK(states(again) == States{GatewayState::reachable});
}

TEST_CASE("for an address that is fixed only an echo says something, where it may be asked for") {
  std::vector<GatewaySight> unasked, answered;
  std::chrono::steady_clock::duration took{};
  in_network_namespace([&] {
    set_up(index_of("lo"));
    const Uplink uplink;
    uplink.gateways("192.0.2.1", "");
    add_neighbour(uplink.index, "192.0.2.1", std::string("\x02\0\0\0\0\x99", 6));  // nobody's
    const auto began = std::chrono::steady_clock::now();
    unasked = Uplink::look(20s);
    took = std::chrono::steady_clock::now() - began;
    add_neighbour(uplink.index, "192.0.2.1", std::string("\xff\xff\xff\xff\xff\xff", 6));  // each one takes it
    write_sysctl("ipv4/ping_group_range", "0 0");
    uplink.router.run([] { write_sysctl("ipv4/icmp_echo_ignore_broadcasts", "0"); });
    answered = Uplink::look(20s);
  });
  CHECK(states(unasked) == States{GatewayState::unknown});
  CHECK(took < 10s);
  CHECK(states(answered) == States{GatewayState::reachable});
}

TEST_CASE("of a family's routes those with the lowest metric count") {
  std::vector<Gateway> found;
  in_network_namespace([&] {
    set_up(index_of("lo"));
    const Uplink uplink;
    for (const auto& [gateway, metric] : std::vector<std::pair<std::string, std::uint32_t>>{
             {"192.0.2.7", 300}, {"192.0.2.1", 100}, {"2001:db8::7", 100}, {"2001:db8::8", 200}}) {
      std::string route = rtnl::route(gateway.find(':') == std::string::npos ? "0.0.0.0/0" : "::/0", uplink.index,
                                      RT_TABLE_MAIN, gateway);
      append_attribute(route, RTA_PRIORITY, bytes_of(metric));
      rtnl::ask(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_APPEND, route, "add a route");
    }
    found = default_gateways().value();
  });
  REQUIRE(found.size() == 2);
  CHECK(found[0].text == "192.0.2.1");
  CHECK(found[0].metric == 100);
  CHECK(found[1].text == "2001:db8::7");
}

TEST_CASE("a family without any gateway that answers is a fault, one of several that is gone is only told") {
  const auto sight = [](int family, const std::string& text, GatewayState state) {
    Gateway gateway;
    gateway.family = family;
    gateway.link = "eth0";
    gateway.text = text;
    return GatewaySight{gateway, state};
  };
  const GatewaySight one = sight(AF_INET, "a", GatewayState::reachable),
                     two = sight(AF_INET, "b", GatewayState::unreachable),
                     six = sight(AF_INET6, "c", GatewayState::unreachable),
                     dark = sight(AF_INET, "d", GatewayState::unknown);
  CHECK(gateways_finding({}).verdict == Verdict::unknown);
  CHECK(gateways_finding({dark}).verdict == Verdict::unknown);
  CHECK(gateways_finding({one}).message == "the gateway a on eth0 answers");
  CHECK(gateways_finding({one, two}).reason == "SomeGatewaysUnreachable");
  CHECK(gateways_finding({one, two}).verdict == Verdict::good);
  CHECK(gateways_finding({dark, two}).verdict == Verdict::unknown);
  CHECK(gateways_finding({one, six}).verdict == Verdict::bad);
}

}  // namespace omnitide::daemon
