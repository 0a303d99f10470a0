#include "agent/daemon/health_network.hpp"

#include <fmt/format.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <functional>
#include <memory>
#include <utility>

#include "agent/base/text.hpp"
#include "agent/daemon/health_looks.hpp"
#include "health/checks/checks.hpp"

namespace omnitide::daemon {

namespace asio = boost::asio;
using namespace std::chrono_literals;
using health::Finding;
using health::Verdict;
using std::chrono::milliseconds;

namespace {

constexpr std::size_t kOfLibc = 3, kMostBehind = 8;  // resolv.conf(5): MAXNS
constexpr milliseconds kLongestQuestion = 3s;

std::vector<std::string> servers_of(const Root& root, const std::string& path, std::size_t most) {
  std::vector<std::string> out;
  const Result<std::string> text = root.read(path);
  if (text.has_error()) return out;
  for (const std::string_view line : split(*text, '\n')) {
    const auto words = split_words(line);
    if (words.size() < 2 || words[0] != "nameserver" || out.size() >= most) continue;
    std::string server(words[1]);
    if (std::ranges::find(out, server) == out.end()) out.push_back(std::move(server));
  }
  return out;
}

// Runs `look` on a worker until its probe's time is over or the agent stops.
using Job = std::function<Result<Finding>(milliseconds patience, const std::atomic<bool>& stop)>;
asio::awaitable<Finding> on_a_worker(Job look, milliseconds longest, std::shared_ptr<ProbeRun> run) {
  const auto stop = std::make_shared<std::atomic<bool>>(false);
  run->on_stop([stop] { *stop = true; });
  const milliseconds time = std::min(run->left(), longest);
  std::function<Result<Finding>()> job = [look = std::move(look), stop, patience = time * 9 / 10] {
    return look(patience, *stop);
  };
  Result<Finding> found = co_await run->workers().run_for<Finding>(job, time + 1s);
  if (found.has_error()) co_return health::unknown(found.error().text());
  co_return std::move(*found);
}

Result<Finding> look_at_name_servers(const NetworkNode& node, milliseconds patience, const std::atomic<bool>& stop) {
  NameServers servers = configured_name_servers(node.root);
  const std::size_t asked = servers.asked.size();
  std::vector<std::string> all = std::move(servers.asked);
  all.insert(all.end(), servers.behind.begin(), servers.behind.end());
  return name_servers_finding(io::ask_name_servers(all, node.port, patience, stop), asked);
}

Result<Finding> look_for_gateways(milliseconds patience, const std::atomic<bool>& stop) {
  Result<std::vector<Gateway>> gateways = default_gateways();
  if (gateways.has_error()) return std::move(gateways).error();
  const Result<std::vector<GatewaySight>> sights = look_at_gateways(std::move(*gateways), patience, stop);
  if (sights.has_error()) return sights.error();
  return gateways_finding(*sights);
}

std::string gateway_name(const Gateway& gateway) {
  return fmt::format("{} on {}", gateway.text, printable(gateway.link));
}

}  // namespace

NameServers configured_name_servers(const Root& root) {
  constexpr std::array<std::string_view, 2> kStub{"127.0.0.53", "127.0.0.54"};  // systemd-resolved.service(8)
  NameServers out{servers_of(root, "/etc/resolv.conf", kOfLibc), {}};
  if (std::ranges::find_first_of(out.asked, kStub) == out.asked.end()) return out;
  out.behind = servers_of(root, "/run/systemd/resolve/resolv.conf", kMostBehind);
  std::erase_if(out.behind,
                [&out](const std::string& server) { return std::ranges::find(out.asked, server) != out.asked.end(); });
  return out;
}

Finding name_servers_finding(const std::vector<io::NameServerSight>& sights, std::size_t asked) {
  if (asked == 0) return health::unknown("no name server is configured");
  std::vector<std::string> silent;
  health::Evidence evidence;
  std::size_t answering = 0;
  for (std::size_t i = 0; i < sights.size(); ++i) {
    const io::NameServerSight& each = sights[i];
    if (each.code && i < asked) ++answering;
    if (!each.code) silent.push_back(printable(each.server, 60));
    evidence.emplace_back(printable(each.server, 60),
                          each.code ? "answers " + std::string(io::dns_response_name(*each.code)) : each.problem);
  }
  if (silent.empty())
    return finding_of(Verdict::good, "NameServersAnswer", fmt::format("{} name servers answer", sights.size()),
                      std::move(evidence));
  const std::string who = fmt::format("{} {} not answer", join(silent, ", "), silent.size() == 1 ? "does" : "do");
  if (answering == 0)
    return finding_of(Verdict::bad, "NameServersSilent", "no name server answers: " + who, std::move(evidence));
  return finding_of(Verdict::good, "SomeNameServersSilent", "names can be looked up, but " + who, std::move(evidence));
}

Finding gateways_finding(const std::vector<GatewaySight>& sights) {
  if (sights.empty()) return health::unknown("no default route has a gateway");
  std::vector<std::string> reached, lost;
  health::Evidence evidence;
  bool cut_off = false, heard = false;
  for (const int family : {AF_INET, AF_INET6}) {
    std::size_t gone = 0, all = 0;
    for (const GatewaySight& each : sights) {
      if (each.gateway.family != family) continue;
      ++all;
      if (each.state == GatewayState::reachable) reached.push_back(gateway_name(each.gateway));
      if (each.state != GatewayState::unreachable) continue;
      ++gone;
      lost.push_back(gateway_name(each.gateway));
      evidence.emplace_back("gateway", each.gateway.text);
      evidence.emplace_back("link", printable(each.gateway.link));
    }
    cut_off = cut_off || (all > 0 && gone == all);
    heard = heard || !reached.empty();
  }
  if (cut_off)
    return finding_of(Verdict::bad, "GatewayUnreachable",
                      fmt::format("nobody answers for the gateway {}", join(lost, ", ")), std::move(evidence));
  if (!heard) return health::unknown("no gateway was heard, and none is known to be gone");
  if (!lost.empty())
    return finding_of(Verdict::good, "SomeGatewaysUnreachable",
                      fmt::format("{} answers, {} does not", join(reached, ", "), join(lost, ", ")),
                      std::move(evidence));
  return finding_of(Verdict::good, "GatewayReachable", fmt::format("the gateway {} answers", join(reached, ", ")));
}

std::vector<Probe> network_probes(const NetworkNode& node) {
  Probe servers;
  servers.name = kNameServersCheck;
  servers.condition = kNameServersCondition;
  servers.what = "Whether the name servers of /etc/resolv.conf answer a question, each by itself";
  servers.interval = 2 * node.interval;
  servers.timeout = std::min<milliseconds>(kLongestQuestion, servers.interval);
  servers.hysteresis = {2, 1, 0};
  servers.look = [node](std::shared_ptr<ProbeRun> run) {
    Job job = [node](milliseconds patience, const std::atomic<bool>& stop) {
      return look_at_name_servers(node, patience, stop);
    };
    return on_a_worker(std::move(job), kLongestQuestion, std::move(run));
  };
  Probe gateway;
  gateway.name = kGatewayCheck;
  gateway.condition = kGatewayCondition;
  gateway.what = "Whether the gateways of the default routes answer, by ARP, neighbour discovery or an echo";
  gateway.interval = node.interval;
  gateway.timeout = std::min<milliseconds>(kLongestProbeJob, node.interval);
  gateway.hysteresis = {2, 1, 0};
  gateway.look = [](std::shared_ptr<ProbeRun> run) {
    Job job = look_for_gateways;
    return on_a_worker(std::move(job), kLongestProbeJob, std::move(run));
  };
  return {std::move(servers), std::move(gateway)};
}

}  // namespace omnitide::daemon
