// The web page.
#include <algorithm>
#include <memory>

#include "agent/base/version.hpp"
#include "agent/daemon/agent.hpp"
#include "agent/daemon/policy_report.hpp"
#include "omnitide/node/v1/local.pb.h"

namespace omnitide::daemon {

namespace asio = boost::asio;
namespace v1 = node::v1;

namespace {

std::string end_name(const v1::FlowEndpoint& end, const std::string& address, std::uint32_t port) {
  const std::string name = end.pod_name().empty() ? address : end.namespace_() + "/" + end.pod_name();
  return port == 0 ? name : name + ":" + std::to_string(port);
}

std::pair<std::uint32_t, std::uint32_t> ports(const v1::FlowLayer4& l4) {
  if (l4.has_tcp()) return {l4.tcp().source_port(), l4.tcp().destination_port()};
  if (l4.has_udp()) return {l4.udp().source_port(), l4.udp().destination_port()};
  if (l4.has_sctp()) return {l4.sctp().source_port(), l4.sctp().destination_port()};
  return {0, 0};
}

std::string decided_by(const v1::Flow& flow) {
  for (const auto* list :
       {&flow.ingress_allowed_by(), &flow.egress_allowed_by(), &flow.ingress_denied_by(), &flow.egress_denied_by()}) {
    if (!list->empty()) return list->Get(0).kind() + " " + list->Get(0).namespace_() + "/" + list->Get(0).name();
  }
  return flow.reason();
}

PageFlow page_flow(const v1::Flow& flow) {
  const auto [from, to] = ports(flow.l4());
  const WallTime time{std::chrono::seconds(flow.time().seconds())};
  return {.time = format_rfc3339(time).substr(11, 8),
          .verdict = flow.verdict(),
          .direction = flow.traffic_direction(),
          .protocol = flow.protocol(),
          .from = end_name(flow.source(), flow.ip().source(), from),
          .to = end_name(flow.destination(), flow.ip().destination(), to),
          .decided_by = decided_by(flow)};
}

}  // namespace

asio::awaitable<PageView> Agent::page_view() {
  PageView out{
      .node = config_.node.name,
      .version = std::string(version()),
      .not_ready_because = not_ready_because(),
      .up = std::chrono::duration_cast<std::chrono::seconds>(std::chrono::steady_clock::now() - started_steady_),
      .parts = parts_.all(),
      .facts = {},
      .collectors = collector_names(),
      .policy = policy_ != nullptr,
      .flows = {}};
  if (discovery_) out.facts = discovery_->inventory().facts();
  // The newest ones are at the end of what is kept; each answer has a part of it.
  constexpr std::size_t kMost = 500;
  std::uint64_t after = 0;
  while (policy_) {
    const PolicyPart::Flows flows = co_await policy_->flows(after, kMost, std::chrono::milliseconds(0));
    if (flows.items.empty() || flows.next <= after) break;
    after = flows.next;
    v1::FlowList list;
    fill(flows, config_.node.name, list);
    for (const v1::Flow& flow : list.items())
      out.flows.push_back(page_flow(flow));
    if (out.flows.size() > kPageFlows) out.flows.erase(out.flows.begin(), out.flows.end() - kPageFlows);
  }
  std::ranges::reverse(out.flows);
  co_return out;
}

}  // namespace omnitide::daemon
