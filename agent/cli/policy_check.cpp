// `policy check`: every fault of policy files, and hints, without an agent.
#include <fmt/format.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "agent/base/text.hpp"
#include "agent/cli/policy_commands.hpp"
#include "agent/cli/policy_objects.hpp"
#include "agent/policy/compiler.hpp"
#include "agent/policy/lint.hpp"
#include "omnitide/node/v1/local.pb.h"

namespace omnitide::cli {

namespace v1 = node::v1;

namespace {

struct CheckOptions {
  std::string path;
  bool strict = false;
};

void add(v1::PolicyCheck& out, const policy::Fault& fault) {
  v1::PolicyFault& row = fault.applied ? *out.add_hints() : *out.add_faults();
  row.set_source(valid_utf8(fault.file));
  row.set_line(fault.line);
  row.set_object(valid_utf8(fault.object));
  row.set_field(valid_utf8(fault.field));
  row.set_message(valid_utf8(fault.message));
  row.set_hint(valid_utf8(fault.hint));
}

// The objects may be right one by one and more than the kernel's tables hold.
void add_limits(v1::PolicyCheck& out, const std::vector<policy::ObjectRef>& objects) {
  policy::Compiler compiler(policy::Compiler::Options{});
  const Result<policy::PlanUpdate> plan = compiler.apply(policy::Changes{objects, {}, {}});
  if (plan.has_value()) return;
  policy::Fault fault{.file = {}, .message = plan.error().message, .hint = plan.error().hint};
  if (fault.hint.empty()) fault.hint = "nothing of it would be enforced";
  add(out, fault);
}

v1::PolicyCheck report_of(const policy::Loaded& loaded) {
  v1::PolicyCheck out;
  for (const policy::Fault& fault : loaded.faults)
    add(out, fault);
  for (const policy::Fault& fault : loaded.store.faults())
    add(out, fault);
  const std::vector<policy::ObjectRef> objects = loaded.store.objects();
  add_limits(out, objects);
  for (const policy::Fault& hint : policy::lint(objects))
    add(out, hint);
  std::map<policy::ObjectKey::Kind, std::uint64_t> counts;
  for (const policy::ObjectRef& object : objects)
    ++counts[policy::key_of(*object).kind];
  for (const auto& [kind, count] : counts) {
    v1::PolicyKindCount& row = *out.add_kinds();
    row.set_kind(std::string(policy::kind_name(kind)));
    row.set_objects(count);
  }
  out.set_skipped(loaded.store.skipped());
  out.set_valid(out.faults_size() == 0);
  return out;
}

std::string findings(const google::protobuf::RepeatedPtrField<v1::PolicyFault>& rows, const std::string& title,
                     Style style, const Console& console) {
  Table table({{title}, {"OBJECT"}, {"FIELD"}, {"WHAT IS WRONG AND WHAT TO DO", false, true}});
  for (const v1::PolicyFault& row : rows) {
    const std::string where = row.line() == 0 ? row.source() : fmt::format("{}:{}", row.source(), row.line());
    const std::string what = row.hint().empty() ? row.message() : fmt::format("{} ({})", row.message(), row.hint());
    table.row({Cell(where, style), row.object(), row.field(), what});
  }
  return table.empty() ? "" : table.render(console) + "\n";
}

std::string counted(std::uint64_t count, std::string_view word) {
  return fmt::format("{} {}{}", count, word, count == 1 ? "" : "s");
}

std::string text_of(const v1::PolicyCheck& report, const Console& console) {
  std::string out = findings(report.faults(), "FAULT", Style::bad, console);
  out += findings(report.hints(), "HINT", Style::warning, console);
  Table kinds({{"KIND"}, {"OBJECTS", true}});
  std::uint64_t objects = 0;
  for (const v1::PolicyKindCount& row : report.kinds()) {
    kinds.row({row.kind(), std::to_string(row.objects())});
    objects += row.objects();
  }
  if (report.skipped() > 0) kinds.row({"others, skipped", std::to_string(report.skipped())});
  if (!kinds.empty()) out += kinds.render(console) + "\n";
  const auto hints = static_cast<std::uint64_t>(report.hints_size());
  if (!report.valid()) {
    return out + fmt::format("{}, {}; {} good.\n", counted(static_cast<std::uint64_t>(report.faults_size()), "fault"),
                             counted(hints, "hint"),
                             objects == 1 ? "1 object is" : fmt::format("{} objects are", objects));
  }
  if (objects == 0) return out + "There are no policy objects here.\n";
  return out + fmt::format("All {} good{}.\n",
                           objects == 1 ? "of the 1 object is" : fmt::format("{} objects are", objects),
                           hints == 0 ? "" : ", with " + counted(hints, "hint"));
}

int check(const Session& session, const CheckOptions& options) {
  const Result<policy::Loaded> loaded = load_policy(options.path);
  if (loaded.has_error()) return session.failed(loaded.error());
  const v1::PolicyCheck report = report_of(*loaded);
  const int printed =
      session.format() == Format::table ? session.print(text_of(report, session.console())) : session.print(report);
  if (printed != 0) return printed;
  return report.valid() && !(options.strict && report.hints_size() > 0) ? 0 : 1;
}

}  // namespace

void add_policy_check(Command& group, Session& session) {
  const auto options = std::make_shared<CheckOptions>();
  Command command = group.add("check", "Every fault of policy files with file and line, and hints; without an agent");
  session.add_format(command);
  command
      .argument("path", options->path, "DIR",
                "A directory of *.yaml, *.yml and *.json, one file, or - for standard input")
      .flag("--strict", options->strict, "Hints are a problem too")
      .example(
          "omnitide-agent policy check /etc/omnitide/policies\n"
          "kubectl get ns,pods,netpol -A -o yaml | omnitide-agent policy check -")
      .footnote("Exits with 1 when something is wrong.")
      .action([&session, options] { return check(session, *options); });
}

}  // namespace omnitide::cli
