// Documents of policy, as operators put, see and delete them.
#include <fmt/format.h>

#include <algorithm>

#include "agent/base/text.hpp"
#include "agent/io/crypto.hpp"
#include "agent/policy/parse.hpp"
#include "agent/registry/handlers.hpp"
#include "agent/registry/node_message.hpp"
#include "agent/registry/page.hpp"
#include "agent/registry/policy_repository.hpp"
#include "agent/registry/survey.hpp"
#include "agent/registry/wire.hpp"

namespace omnitide::registry {

namespace {

constexpr std::size_t kShownFaults = 5, kMostRemarks = 20;

struct Putting {
  PolicyRecord record;
  std::optional<std::string> selector;  // absent: what the document has
  std::uint64_t expected = 0;
  std::vector<std::string> remarks;
  bool changed = false;
};

Error no_such_policy(const std::string& name) {
  return fail(Code::not_found, fmt::format("there is no policy document {}", printable(name, 80)));
}

Result<> check_name(const std::string& name) {
  const auto good = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
  const bool right = !name.empty() && name.size() <= 63 && good(name.front()) && good(name.back()) &&
                     std::all_of(name.begin(), name.end(), [&](char c) { return good(c) || c == '-' || c == '.'; });
  if (right) return {};
  return invalid("name", fmt::format("\"{}\" is no name for a document", printable(name, 80)))
      .with_hint("1 to 63 lower-case letters, digits, '-' and '.', with a letter or digit at both ends");
}

Result<Selector> node_selector(const std::string& text) {
  Result<Selector> out = Selector::parse(text);
  if (out.has_value()) return out;
  Error error = std::move(out).error();
  error.field = "nodeSelector";
  return error;
}

// "line 12: NetworkPolicy shop/web: spec.ingress[0]: message"; the name of the file is what the caller gave.
std::string words(const policy::Fault& fault) {
  std::string out = fault.line == 0 ? std::string() : fmt::format("line {}: ", fault.line);
  for (const std::string* part : {&fault.object, &fault.field}) {
    if (!part->empty()) out += *part + ": ";
  }
  return printable(out + fault.message, 1000);
}

// What the parser on the nodes would say is said here, before anything is stored.
Result<> check_text(Putting& in) {
  policy::ParseLimits limits;
  limits.bytes = kMostDocument;
  const policy::Parsed parsed = policy::parse(in.record.text, in.record.name, limits);
  std::vector<std::string> wrong;
  std::string hint;
  for (const policy::Fault& fault : parsed.faults) {
    std::vector<std::string>& list = fault.applied ? in.remarks : wrong;
    if (!fault.applied && wrong.empty()) hint = printable(fault.hint, 500);
    list.push_back(words(fault));
  }
  if (!wrong.empty()) {
    const std::size_t more = wrong.size() - std::min(wrong.size(), kShownFaults);
    wrong.resize(std::min(wrong.size(), kShownFaults));
    Error error = invalid("text", omnitide::join(wrong, "; "));
    if (more > 0) error.message += fmt::format("; and {} more faults", more);
    error.hint = std::move(hint);
    return error;
  }
  if (parsed.objects.empty()) {
    return invalid("text", "the text has no object that policy is made of")
        .with_hint("NetworkPolicy, ClusterNetworkPolicy, HostPolicy, Namespace, Pod, Node, or a List of them");
  }
  if (parsed.skipped > 0) in.remarks.push_back(fmt::format("{} objects of other kinds are ignored", parsed.skipped));
  in.remarks.resize(std::min(in.remarks.size(), kMostRemarks));
  in.record.objects = static_cast<std::uint32_t>(parsed.objects.size());
  in.record.sha256 = io::sha256(in.record.text);
  return {};
}

// No node of today would get more than a node may have. For those of tomorrow the fetch is refused.
Result<> check_fits(Context& context, const Putting& in) {
  if (context.desired.bytes() + in.record.bytes <= kMostDesired / 2) return {};
  const auto present = context.desired.documents().find(in.record.name);
  const bool known = present != context.desired.documents().end();
  const Result<Selector> selector =
      node_selector(in.selector ? *in.selector : (known ? present->second->record.selector : ""));
  if (selector.has_error()) return selector.error();
  for (const auto& [node_id, node] : context.nodes.all()) {
    const std::size_t bytes = context.desired.bytes_with(node, in.record, *selector);
    if (bytes <= kMostDesired) continue;
    return fail(Code::failed_precondition, fmt::format("node {} would get {} of documents, more than {}", node_id,
                                                       human_bytes(bytes), human_bytes(kMostDesired)))
        .with_hint("narrow the node selectors of documents, or delete some");
  }
  return {};
}

Result<std::shared_ptr<Putting>> read_put(const io::HttpRequest& request, WallTime now) {
  v1::PutPolicyRequest in;
  if (const Result<> read = decode(request, in); read.has_error()) return read.error();
  auto out = std::make_shared<Putting>();
  out->record.name = parameter(request, "name");
  if (const Result<> good = check_name(out->record.name); good.has_error()) return good.error();
  if (in.text().empty()) return invalid("text", "the text is empty").with_hint("to take a document away, delete it");
  if (in.text().size() > kMostDocument) {
    return invalid("text", fmt::format("the text has {}, more than {}", human_bytes(in.text().size()),
                                       human_bytes(kMostDocument)))
        .with_hint("divide it into several documents");
  }
  if (in.has_node_selector()) {
    if (const Result<Selector> good = node_selector(in.node_selector()); good.has_error()) return good.error();
    out->selector = in.node_selector();
  }
  out->expected = in.revision();
  out->record.text = std::move(*in.mutable_text());
  out->record.bytes = out->record.text.size();
  out->record.changed = now;
  out->record.changed_by = request.peer->certificate->common_name;
  return out;
}

Result<> put_in(Database& database, Putting& in) {
  Result<std::optional<PolicyRecord>> found = find_policy(database, in.record.name);
  if (found.has_error()) return std::move(found).error();
  std::optional<PolicyRecord>& present = *found;
  const std::uint64_t revision = present ? present->revision : 0;
  if (in.expected != 0 && in.expected != revision) {
    Error error = fail(Code::aborted, present ? fmt::format("the document is at revision {} now", revision)
                                              : std::string("the document was deleted"))
                      .with_hint("look at it again, then put it with that revision");
    error.field = "revision";
    return error;
  }
  in.record.selector = in.selector.value_or(present ? present->selector : "");
  if (present && present->text == in.record.text && present->selector == in.record.selector) {
    in.record = std::move(*present);
    return {};
  }
  const Result<PolicyTotals> totals = policy_totals(database);
  if (totals.has_error()) return totals.error();
  if (totals->bytes - (present ? present->bytes : 0) + in.record.bytes > kMostPolicies ||
      (!present && totals->documents >= kMostDocuments)) {
    return fail(Code::failed_precondition,
                fmt::format("{} documents with {} are kept, the most are {} with {}", totals->documents,
                            human_bytes(totals->bytes), kMostDocuments, human_bytes(kMostPolicies)));
  }
  in.changed = true;
  return save_policy(database, in.record);
}

}  // namespace

Answer<v1::PolicyDocument> put_policy(Context& context, io::HttpRequest& request) {
  const Result<std::shared_ptr<Putting>> read = read_put(request, context.now());
  if (read.has_error()) co_return read.error();
  const std::shared_ptr<Putting> in = *read;
  // Megabytes take a while to parse: not on the loop.
  auto checking = context.reader.run([in](Database& /*database*/) { return check_text(*in); });
  const Result<> checked = co_await std::move(checking);
  if (checked.has_error()) co_return checked.error();
  if (const Result<> fits = check_fits(context, *in); fits.has_error()) co_return fits.error();
  auto running = context.writer.run([in](Database& database) { return put_in(database, *in); },
                                    [&context, in] {
                                      if (in->changed) context.desired.put(in->record);
                                    });
  const Result<> done = co_await std::move(running);
  if (done.has_error()) co_return done.error();
  v1::PolicyDocument out = policy_message(in->record);
  for (std::string& remark : in->remarks)
    out.add_remarks(std::move(remark));
  co_return out;
}

Answer<v1::Empty> remove_policy(Context& context, io::HttpRequest& request) {
  auto record = std::make_shared<PolicyRecord>();
  record->name = parameter(request, "name");
  record->changed = context.now();
  record->changed_by = request.peer->certificate->common_name;
  record->deleted = true;
  auto running = context.writer.run(
      [record](Database& database) -> Result<> {
        const Result<std::optional<PolicyRecord>> found = find_policy(database, record->name);
        if (found.has_error()) return found.error();
        if (!*found) return no_such_policy(record->name);
        record->selector = (*found)->selector;
        return save_policy(database, *record);
      },
      [&context, record] { context.desired.erase(record->name); });
  const Result<> done = co_await std::move(running);
  if (done.has_error()) co_return done.error();
  co_return v1::Empty();
}

Answer<v1::PolicyDocumentList> list_policies(Context& context, io::HttpRequest& request) {
  const Survey survey = co_await survey_nodes(context);
  std::map<std::string_view, std::uint64_t> nodes;
  for (const auto& [digest, standing] : survey) {
    if (!standing.set) continue;
    for (const DocumentRef& document : standing.set->documents)
      nodes[document->record.name] += standing.nodes;
  }
  v1::PolicyDocumentList out;
  const Result<std::string> next = page(context.desired.documents(), request, [&](const DocumentRef& document) {
    v1::PolicyDocument& row = *out.add_items();
    row = policy_message(document->record);
    row.set_nodes(nodes[document->record.name]);
  });
  if (next.has_error()) co_return next.error();
  out.set_next_page_token(*next);
  co_return out;
}

Answer<v1::PolicyDocument> show_policy(Context& context, io::HttpRequest& request) {
  auto record = std::make_shared<PolicyRecord>();
  record->name = parameter(request, "name");
  if (const std::string text = query(request, "revision"); !text.empty()) {
    const std::optional<std::uint64_t> revision = parse_number<std::uint64_t>(text);
    if (!revision || *revision == 0) co_return invalid("revision", "revision is not a number");
    record->revision = *revision;
  }
  auto running = context.reader.run([record](Database& database) -> Result<> {
    Result<std::optional<PolicyRecord>> found = record->revision == 0
                                                    ? find_policy(database, record->name)
                                                    : find_revision(database, record->name, record->revision);
    if (found.has_error()) return std::move(found).error();
    if (!*found) return no_such_policy(record->name);
    *record = std::move(**found);
    return {};
  });
  const Result<> done = co_await std::move(running);
  if (done.has_error()) co_return done.error();
  v1::PolicyDocument out = policy_message(*record);
  out.set_text(std::move(record->text));
  co_return out;
}

Answer<v1::PolicyDocumentList> list_revisions(Context& context, io::HttpRequest& request) {
  const std::string name = parameter(request, "name");
  auto rows = std::make_shared<std::vector<PolicyRecord>>();
  auto running = context.reader.run([name, rows](Database& database) -> Result<> {
    Result<std::vector<PolicyRecord>> found = policy_history(database, name);
    if (found.has_error()) return std::move(found).error();
    *rows = std::move(*found);
    return {};
  });
  const Result<> done = co_await std::move(running);
  if (done.has_error()) co_return done.error();
  if (rows->empty()) co_return no_such_policy(name);
  v1::PolicyDocumentList out;
  for (const PolicyRecord& row : *rows)
    *out.add_items() = policy_message(row);
  co_return out;
}

}  // namespace omnitide::registry
