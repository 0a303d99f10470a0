// `policy diff`: which connections another set of policies judges differently.
#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "agent/base/text.hpp"
#include "agent/cli/policy_ask.hpp"
#include "agent/cli/policy_commands.hpp"
#include "agent/cli/policy_objects.hpp"
#include "agent/policy/comparison.hpp"
#include "omnitide/node/v1/local.pb.h"

namespace omnitide::cli {

namespace v1 = node::v1;

namespace {

using policy::Difference;

constexpr std::size_t kMostNames = 3;  // of ends that are judged alike, in a table

struct DiffOptions {
  std::string before, after;
};

std::string names_text(const std::vector<std::string>& names) {
  std::string out;
  for (std::size_t i = 0; i < std::min(names.size(), kMostNames); ++i)
    out += (i == 0 ? "" : ", ") + names[i];
  if (names.size() > kMostNames) out += fmt::format(" and {} more", names.size() - kMostNames);
  return out;
}

// One row for all ports of a pair of ends that change the same way.
std::string table_of(const policy::Comparison& found, const Console& console) {
  Table table({{"CHANGE"}, {"FROM"}, {"TO"}, {"PORTS", false, true}});
  const std::vector<Difference>& all = found.differences;
  for (auto at = all.begin(); at != all.end();) {
    const auto same_ends = [&at](const Difference& other) { return other.from == at->from && other.to == at->to; };
    const auto end = std::find_if_not(at, all.end(), same_ends);
    for (const bool opens : {true, false}) {
      std::vector<std::string> ports;
      for (auto each = at; each != end; ++each) {
        const std::string text = policy::describe(each->port);
        if (each->after == opens && std::ranges::find(ports, text) == ports.end()) ports.push_back(text);
      }
      if (ports.empty()) continue;
      table.row({Cell(opens ? "allows" : "denies", opens ? Style::good : Style::bad), names_text(at->from),
                 names_text(at->to), join(ports, ", ")});
    }
    at = end;
  }
  return table.empty() ? "" : table.render(console);
}

std::string text_of(const policy::Comparison& found, const Console& console) {
  std::string out = table_of(found, console);
  if (!found.only_old.empty()) out += fmt::format("Pods only in the old one: {}\n", names_text(found.only_old));
  if (!found.only_new.empty()) out += fmt::format("Pods only in the new one: {}\n", names_text(found.only_new));
  return out.empty() ? "No connection is judged differently.\n" : out;
}

v1::PolicyDifferenceList message_of(const policy::Comparison& found) {
  v1::PolicyDifferenceList out;
  for (const Difference& each : found.differences) {
    v1::PolicyDifference& item = *out.add_items();
    item.mutable_from()->Assign(each.from.begin(), each.from.end());
    item.mutable_to()->Assign(each.to.begin(), each.to.end());
    item.set_protocol(protocol_text(each.port.protocol));
    item.set_port(each.port.first);
    item.set_last_port(each.port.last);
    item.set_ip_version(each.v4 ? "IPv4" : "IPv6");
    item.set_old_verdict(verdict_word(each.before));
    item.set_new_verdict(verdict_word(each.after));
  }
  out.mutable_only_old()->Assign(found.only_old.begin(), found.only_old.end());
  out.mutable_only_new()->Assign(found.only_new.begin(), found.only_new.end());
  return out;
}

int diff(const Session& session, const DiffOptions& options) {
  if (options.before == "-" && options.after == "-")
    return session.failed(fail(Code::invalid_argument, "standard input can be one of the two only"));
  std::vector<policy::Examiner> both;
  for (const std::string& path : {options.before, options.after}) {
    const Result<policy::Loaded> loaded = load_policy(session, path);
    if (loaded.has_error()) return session.failed(loaded.error());
    const std::vector<policy::ObjectRef> objects = loaded->store.objects();
    Result<policy::Examiner> examiner = policy::Examiner::of(objects);
    if (examiner.has_error()) return session.failed(examiner.error());
    both.push_back(std::move(*examiner));
  }
  const Result<policy::Comparison> compared = policy::compare(both[0], both[1]);
  if (compared.has_error()) return session.failed(compared.error());
  const policy::Comparison& found = *compared;
  const int printed = session.format() == Format::table ? session.print(text_of(found, session.console()))
                                                        : session.print(message_of(found));
  const bool same = found.differences.empty() && found.only_old.empty() && found.only_new.empty();
  return printed != 0 ? printed : same ? 0 : 1;
}

}  // namespace

void add_policy_diff(Command& group, Session& session) {
  const auto options = std::make_shared<DiffOptions>();
  Command command = group.add("diff", "Which connections another set of policies judges differently; without an agent");
  session.add_format(command);
  command.argument("old", options->before, "OLD", "A directory or file of Kubernetes objects")
      .argument("new", options->after, "NEW", "Another")
      .example("omnitide-agent policy diff policies/ proposed/")
      .footnote("Exits with 1 when there is a difference. Pods that are judged alike are told together.")
      .action([&session, options] { return diff(session, *options); });
}

}  // namespace omnitide::cli
