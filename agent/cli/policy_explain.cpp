// `policy explain`: what happens to a connection, which policies have a say, and which rule decides.
#include <fmt/format.h>

#include <memory>
#include <string>
#include <vector>

#include "agent/base/text.hpp"
#include "agent/cli/policy_ask.hpp"
#include "agent/cli/policy_commands.hpp"
#include "agent/cli/policy_objects.hpp"
#include "omnitide/node/v1/local.pb.h"

namespace omnitide::cli {

namespace v1 = node::v1;

namespace {

using policy::Direction;
using policy::End;
using policy::Examiner;
using policy::Verdict;

constexpr int kMostRules = 200;  // told of one side
constexpr int kMostRulesInTable = 20;
constexpr std::size_t kMostParts = 256;  // of the two ends together, multiplied

struct ExplainOptions {
  std::string objects, from, to, port, protocol = "TCP";
};

struct Question {
  const End* from = nullptr;
  const End* to = nullptr;
  policy::Protocol protocol = policy::Protocol::tcp;
  std::uint16_t port = 0;
  bool v4 = true;
};

void fill(const policy::ObjectKey& key, const policy::Origin& where, v1::PolicyRule& out) {
  out.set_kind(std::string(policy::kind_name(key.kind)));
  out.set_namespace_(key.name_space);
  out.set_name(key.name);
  out.set_file(valid_utf8(where.file));
  out.set_line(where.line);
}

const char* action_name(policy::Action action) {
  switch (action) {
    case policy::Action::accept: return "accept";
    case policy::Action::deny: return "deny";
    case policy::Action::pass: return "pass";
  }
  return "";
}

void fill(const Examiner::RuleView& view, v1::PolicyRule& out) {
  const policy::RuleOrigin& origin = *view.origin;
  fill(origin.policy, origin.where, out);
  out.set_field(origin.fail_safe ? fmt::format("spec.failSafe.{}", word(origin.direction))
                                 : fmt::format("spec.{}[{}]", word(origin.direction), origin.index));
  out.set_rule_name(valid_utf8(origin.name));
  out.set_action(action_name(origin.action));
  out.set_peer_matches(view.peer);
  out.set_port_matches(view.port);
  out.set_decides(view.decides);
}

std::string rule_text(const v1::PolicyRule& rule) {
  std::string out =
      fmt::format("{} {}{}{}", rule.kind(), rule.namespace_(), rule.namespace_().empty() ? "" : "/", rule.name());
  if (!rule.field().empty()) out += " " + rule.field();
  if (!rule.rule_name().empty()) out += fmt::format(" \"{}\"", rule.rule_name());
  return out;
}

// Why policy has nothing to say about an end.
std::string not_governed(const End& end) {
  if (end.pod == nullptr) return end.name + " is no pod: the policies of pods do not govern it";
  if (end.pod->host_network)
    return end.name + " is on the host's network: it is the node, and no policy of pods governs it";
  return end.name + " has no address of its own: another pod has the same";
}

struct Told {
  const char* reason;
  std::string sentence;
};

Told tell(const Verdict& verdict, const End& subject, Direction direction, const v1::PolicySide& side) {
  const char* way = word(direction);
  switch (verdict.reason) {
    case Verdict::Reason::self: return {"self", "a pod always reaches itself"};
    case Verdict::Reason::own_node: return {"own_node", "a node always reaches its own pods"};
    case Verdict::Reason::deny_list: return {"deny_list", "the address is in the deny list"};
    case Verdict::Reason::open: {
      if (subject.endpoint == nullptr) return {"not_governed", not_governed(subject)};
      return {"open", fmt::format("no policy selects {} for {}", subject.name, way)};
    }
    case Verdict::Reason::rule: {
      for (const v1::PolicyRule& rule : side.rules())
        if (rule.decides())
          return {"rule", fmt::format("{} {} it", rule_text(rule), rule.action() == "deny" ? "denies" : "accepts")};
      return {"rule", "a rule decides"};
    }
    case Verdict::Reason::otherwise: break;
  }
  if (verdict.allowed)
    return {"default", fmt::format("no rule that selects {} for {} is about this connection", subject.name, way)};
  return {"no_rule", fmt::format("{} is isolated for {}, and no rule allows this connection", subject.name, way)};
}

void fill(const Examiner& examiner, const Question& question, Direction direction, const Verdict& verdict,
          v1::PolicySide& out) {
  const End& subject = direction == Direction::egress ? *question.from : *question.to;
  const End& peer = direction == Direction::egress ? *question.to : *question.from;
  out.set_end(subject.name);
  out.set_direction(direction == Direction::egress ? "EGRESS" : "INGRESS");
  out.set_verdict(verdict_word(verdict.allowed));
  if (verdict.reason != Verdict::Reason::self && verdict.reason != Verdict::Reason::own_node) {
    for (const policy::ObjectRef& object : examiner.selecting(subject, direction))
      fill(key_of(*object), origin_of(*object), *out.add_selected_by());
    for (const Examiner::RuleView& view :
         examiner.rules(subject, direction, peer, question.protocol, question.port, question.v4)) {
      const bool told = view.origin != nullptr && (view.peer || view.port) && out.rules_size() < kMostRules;
      if (told || (view.decides && view.origin != nullptr)) {
        fill(view, *out.add_rules());
      } else {
        out.set_other_rules(out.other_rules() + 1);
      }
    }
  }
  const Told told = tell(verdict, subject, direction, out);
  out.set_reason(told.reason);
  out.set_sentence(valid_utf8(told.sentence));
}

void add_notes(const Question& question, v1::PolicyExplanation& out) {
  for (const End* end : {question.from, question.to}) {
    if (end->unaddressed)
      out.add_notes(end->name + " has no address yet: judged by its labels, and by no ipBlock but ::/0");
  }
  if (question.to->pod == nullptr)
    out.add_notes("the address of a Service is judged behind its translation: ask about the pods behind it");
  if (question.from->pod == nullptr && question.to->pod != nullptr)
    out.add_notes("the node that a pod runs on always reaches it, whatever the rules say");
}

v1::PolicyExplanation explain(Examiner& examiner, const Question& question) {
  const std::optional<policy::Answer> answer =
      examiner.ask(*question.from, *question.to, question.protocol, question.port, question.v4);
  v1::PolicyExplanation out;
  out.set_from(question.from->name);
  out.set_to(question.to->name);
  out.set_protocol(protocol_text(question.protocol));
  out.set_port(question.port);
  out.set_ip_version(question.v4 ? "IPv4" : "IPv6");
  out.set_verdict(verdict_word(answer->allowed()));
  fill(examiner, question, Direction::egress, answer->egress, *out.mutable_egress());
  fill(examiner, question, Direction::ingress, answer->ingress, *out.mutable_ingress());
  add_notes(question, out);
  return out;
}

std::string side_text(const v1::PolicySide& side, const Console& console) {
  std::string out;
  Table policies({{fmt::format("POLICY THAT SELECTS {} FOR {}", printable(side.end()), side.direction())}, {"WHERE"}},
                 2);
  for (const v1::PolicyRule& policy : side.selected_by())
    policies.row({rule_text(policy), fmt::format("{}:{}", policy.file(), policy.line())});
  if (!policies.empty()) out += "\n" + policies.render(console);
  Table rules({{"RULE"}, {"ACTION"}, {"PEER"}, {"PORT"}, {"WHERE"}, {""}}, 2);
  const auto yes = [](bool value) { return Cell(value ? "yes" : "no", value ? Style::plain : Style::dim); };
  int left_out = static_cast<int>(side.other_rules());
  for (const v1::PolicyRule& rule : side.rules()) {
    if (static_cast<int>(rules.size()) >= kMostRulesInTable && !rule.decides()) {
      ++left_out;
      continue;
    }
    rules.row({rule_text(rule), rule.action(), yes(rule.peer_matches()), yes(rule.port_matches()),
               fmt::format("{}:{}", rule.file(), rule.line()), Cell(rule.decides() ? "decides" : "", Style::bold)});
  }
  if (!rules.empty()) out += "\n" + rules.render(console);
  if (left_out > 0)
    out += fmt::format("  {} more rule{} of {} match neither peer nor port, or are not shown (-o json)\n", left_out,
                       left_out == 1 ? "" : "s", printable(side.end()));
  return out;
}

std::string text_of(const v1::PolicyExplanation& one, const Console& console) {
  const bool allowed = one.verdict() == "allow";
  const std::string port = one.port() == 0 ? "" : fmt::format(" {}", one.port());
  std::string out = fmt::format("{}  {} -> {}, {}{} over {}\n",
                                console.paint(allowed ? "ALLOWED" : "DENIED", allowed ? Style::good : Style::bad),
                                printable(one.from()), printable(one.to()), one.protocol(), port, one.ip_version());
  Table sides({{""}, {""}, {""}, {"", false, true}}, 2);
  for (const v1::PolicySide* side : {&one.egress(), &one.ingress()}) {
    const bool good = side->verdict() == "allow";
    sides.row({side == &one.egress() ? "leaves" : "enters", side->end(),
               Cell(good ? "allowed" : "denied", good ? Style::good : Style::bad), side->sentence()});
  }
  out += sides.render(console) + side_text(one.egress(), console) + side_text(one.ingress(), console);
  for (const std::string& note : one.notes())
    out += fmt::format("\n  Note: {}\n", printable(note));
  return out;
}

Result<v1::PolicyExplanationList> explain_all(Examiner& examiner, const ExplainOptions& options) {
  const Result<policy::Protocol> protocol = parse_protocol(options.protocol);
  if (protocol.has_error()) return protocol.error();
  const Result<AskedPort> port = parse_port(options.port);
  if (port.has_error()) return port.error();
  const bool icmp = *protocol == policy::Protocol::icmp;
  if (icmp != options.port.empty())
    return fail(Code::invalid_argument, icmp ? "ICMP has no ports" : "a port is needed: --port N or --port NAME");
  const Result<std::vector<End>> from = examiner.find(options.from);
  if (from.has_error()) return from.error();
  const Result<std::vector<End>> to = examiner.find(options.to);
  if (to.has_error()) return to.error();
  if (from->size() * to->size() > kMostParts)
    return fail(Code::invalid_argument,
                fmt::format("rules tell {} parts of these blocks apart, more than can be told at once",
                            from->size() * to->size()))
        .with_hint("ask about smaller ones");
  v1::PolicyExplanationList out;
  bool named = false;
  for (const End& source : *from) {
    for (const End& destination : *to) {
      const std::optional<std::uint16_t> number = resolve(*port, *protocol, destination);
      named = named || number.has_value();
      for (const bool v4 : Examiner::common_families(source, destination)) {
        if (number) *out.add_items() = explain(examiner, {&source, &destination, *protocol, *number, v4});
      }
    }
  }
  if (!named)
    return fail(Code::not_found,
                fmt::format("{} has no {} port named {}", options.to, policy::protocol_name(*protocol), port->name));
  if (out.items().empty())
    return fail(Code::not_found, fmt::format("{} and {} have no address family in common", options.from, options.to));
  return out;
}

// A pod with two families is told twice only where they differ.
void drop_repeated(v1::PolicyExplanationList& list) {
  for (int i = list.items_size() - 1; i > 0; --i) {
    v1::PolicyExplanation other = list.items(i);
    other.set_ip_version(list.items(i - 1).ip_version());
    if (other.SerializeAsString() == list.items(i - 1).SerializeAsString()) {
      list.mutable_items(i - 1)->set_ip_version("IPv4 and IPv6");
      list.mutable_items()->DeleteSubrange(i, 1);
    }
  }
}

int explain(const Session& session, const ExplainOptions& options) {
  const Result<policy::Loaded> loaded = load_policy(session, options.objects);
  if (loaded.has_error()) return session.failed(loaded.error());
  Result<Examiner> examiner = Examiner::of(loaded->store.objects());
  if (examiner.has_error()) return session.failed(examiner.error());
  Result<v1::PolicyExplanationList> list = explain_all(*examiner, options);
  if (list.has_error()) return session.failed(list.error());
  if (session.format() != Format::table) return session.print(*list);
  drop_repeated(*list);
  std::string out;
  for (const v1::PolicyExplanation& one : list->items())
    out += (out.empty() ? "" : "\n") + text_of(one, session.console());
  return session.print(out);
}

}  // namespace

void add_policy_explain(Command& group, Session& session) {
  const auto options = std::make_shared<ExplainOptions>();
  Command command = group.add("explain", "What happens to a connection, and which rule decides");
  session.add_location(command);
  session.add_format(command);
  add_objects_option(command, options->objects);
  command.option("--from", options->from, "END", "Who connects: NAMESPACE/POD, an address or a CIDR")
      .required("--from")
      .option("--to", options->to, "END", "To whom: NAMESPACE/POD, an address or a CIDR")
      .required("--to")
      .option("--port", options->port, "PORT", "A number, or the name of one of the destination's ports; none for ICMP")
      .option("--protocol", options->protocol, "PROTOCOL", "TCP, UDP, SCTP or ICMP (TCP)")
      .example("omnitide-agent policy explain --from shop/web --to shop/db --port 5432 --objects policies/")
      .footnote("Exits with 0 whatever the verdict is; -o json for programs.")
      .action([&session, options] { return explain(session, *options); });
}

}  // namespace omnitide::cli
