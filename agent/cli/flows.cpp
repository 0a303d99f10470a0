// `flows`: new connections and drops, as the running agent's data path reports them.
#include <fmt/format.h>

#include <cstdio>
#include <memory>

#include "agent/base/address.hpp"
#include "agent/base/clock.hpp"
#include "agent/base/text.hpp"
#include "agent/cli/commands.hpp"
#include "agent/codec/json.hpp"
#include "agent/codec/time.hpp"
#include "omnitide/node/v1/local.pb.h"

namespace omnitide::cli {

namespace v1 = node::v1;

namespace {

struct FlowOptions {
  bool follow = false;
  std::string verdict, from, to;
  std::uint32_t last = 100;
};

std::string end_name(const v1::FlowEndpoint& end, const std::string& address) {
  if (!end.pod_name().empty()) return end.namespace_() + "/" + end.pod_name();
  return address;
}

// "ns/pod", "ns/", an address or a CIDR.
bool is_end(const std::string& wanted, const v1::FlowEndpoint& end, const std::string& text) {
  if (wanted.empty()) return true;
  const auto address = parse_address(text);
  if (const auto prefix = parse_prefix(wanted)) return address && prefix->contains(*address);
  if (wanted == text) return true;
  const std::string name = end_name(end, text);
  return wanted.ends_with('/') ? name.starts_with(wanted) : name == wanted;
}

bool is_wanted(const FlowOptions& options, const v1::Flow& flow) {
  const std::string verdict = to_lower(flow.verdict());
  return (options.verdict.empty() || verdict == options.verdict) &&
         is_end(options.from, flow.source(), flow.ip().source()) &&
         is_end(options.to, flow.destination(), flow.ip().destination());
}

std::string ports(const v1::Flow& flow, bool source) {
  const v1::FlowLayer4& l4 = flow.l4();
  if (l4.has_tcp()) return fmt::format(":{}", source ? l4.tcp().source_port() : l4.tcp().destination_port());
  if (l4.has_udp()) return fmt::format(":{}", source ? l4.udp().source_port() : l4.udp().destination_port());
  if (l4.has_sctp()) return fmt::format(":{}", source ? l4.sctp().source_port() : l4.sctp().destination_port());
  return "";
}

std::string decided_by(const v1::Flow& flow) {
  for (const auto* list :
       {&flow.ingress_allowed_by(), &flow.egress_allowed_by(), &flow.ingress_denied_by(), &flow.egress_denied_by()}) {
    if (list->empty()) continue;
    const v1::FlowPolicy& policy = list->Get(0);
    return fmt::format("{} {}{}{}", policy.kind(), policy.namespace_(), policy.namespace_().empty() ? "" : "/",
                       policy.name());
  }
  return flow.reason();
}

std::string line_of(const v1::Flow& flow, const Console& console) {
  const Style style = flow.verdict() == "FORWARDED" ? Style::good
                      : flow.verdict() == "DROPPED" ? Style::bad
                                                    : Style::warning;
  const std::string time = format_rfc3339(codec::time_of(flow.time()));
  return fmt::format("{} {} {:<7} {:<6} {}{} -> {}{}  {}\n", time,
                     console.paint(fmt::format("{:<9}", flow.verdict()), style), flow.traffic_direction(),
                     flow.protocol(), printable(end_name(flow.source(), flow.ip().source())), ports(flow, true),
                     printable(end_name(flow.destination(), flow.ip().destination())), ports(flow, false),
                     printable(decided_by(flow)));
}

Result<v1::FlowList> ask(const Session& session, std::uint64_t after, bool wait) {
  using namespace std::chrono_literals;
  const std::map<std::string, std::string> query{{"after", std::to_string(after)}, {"wait", wait ? "10000" : "0"}};
  const Result<std::string> answer = session.agent_request("GET", "/v1/flows", "", query, 20s);
  if (answer.has_error()) return answer.error();
  v1::FlowList list;
  if (!list.ParseFromString(*answer)) return fail(Code::data_loss, "the agent's answer is no FlowList");
  return list;
}

int print_flow(const Session& session, const v1::Flow& flow) {
  const bool json = session.format() == Format::json;
  const int printed = session.print(json ? codec::to_json(flow) + "\n" : line_of(flow, session.console()));
  std::fflush(stdout);
  return printed;
}

int show_flows(const Session& session, const FlowOptions& options) {
  std::vector<v1::Flow> wanted;
  std::uint64_t after = 0, lost = 0;
  while (true) {  // what the agent kept, oldest first
    const Result<v1::FlowList> list = ask(session, after, false);
    if (list.has_error()) return session.failed(list.error());
    for (const v1::Flow& flow : list->items())
      if (is_wanted(options, flow)) wanted.push_back(flow);
    after = list->next();
    lost = list->lost();
    if (list->items().empty()) break;
  }
  const std::size_t skipped = wanted.size() > options.last ? wanted.size() - options.last : 0;
  for (std::size_t i = skipped; i < wanted.size(); ++i)
    if (const int printed = print_flow(session, wanted[i]); printed != 0) return printed;
  while (options.follow) {
    const Result<v1::FlowList> list = ask(session, after, true);
    if (list.has_error()) return session.failed(list.error());
    for (const v1::Flow& flow : list->items())
      if (is_wanted(options, flow))
        if (const int printed = print_flow(session, flow); printed != 0) return printed;
    after = list->next();
    if (list->lost() > lost) fmt::print(stderr, "{} verdicts were not told: too many at once\n", list->lost() - lost);
    lost = list->lost();
  }
  return 0;
}

}  // namespace

void add_flows(Command& root, Session& session) {
  const auto options = std::make_shared<FlowOptions>();
  Command command = root.add("flows", "New connections and drops, with the policy that decided");
  session.add_location(command);
  session.add_format(command, "table|json");
  command.flag("-f,--follow", options->follow, "Go on as they come")
      .option("--verdict", options->verdict, "forwarded|dropped|audit", "Only these")
      .option("--from", options->from, "END", "Only from here: NAMESPACE/POD, NAMESPACE/, an address or a CIDR")
      .option("--to", options->to, "END", "Only to there")
      .number("--last", options->last, "How many of those that were kept (100)")
      .example("omnitide-agent flows --follow --verdict dropped --to shop/db")
      .footnote("With -o json one flow a line; names follow Hubble's flow.proto.")
      .action([&session, options] { return show_flows(session, *options); });
}

}  // namespace omnitide::cli
