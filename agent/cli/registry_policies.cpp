#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <thread>

#include "agent/base/file.hpp"
#include "agent/base/text.hpp"
#include "agent/cli/registry_commands.hpp"
#include "omnitide/node/v1/policy.pb.h"
#include "omnitide/node/v1/registry.pb.h"

namespace omnitide::cli {

namespace v1 = node::v1;

namespace {

constexpr std::size_t kMostFile = 4U << 20U;  // as the registry takes it

struct PutOptions {
  std::string file, name, selector, revision;
  bool every_node = false;
};

struct RollOutOptions {
  bool all = false;
  std::chrono::milliseconds wait{0};
};

std::string for_whom(const v1::PolicyDocument& document) {
  return document.node_selector().empty() ? "every node" : document.node_selector();
}

std::string documents_text(const v1::PolicyDocumentList& list, const Console& console) {
  Table table({{"DOCUMENT"},
               {"REVISION", true},
               {"OBJECTS", true},
               {"SIZE", true},
               {"NODES", true},
               {"CHANGED"},
               {"BY"},
               {"FOR", false, true}});
  for (const v1::PolicyDocument& document : list.items()) {
    table.row({document.name(), fmt::format("{}", document.revision()), fmt::format("{}", document.objects()),
               human_bytes(document.bytes()), fmt::format("{}", document.nodes()),
               relative(document.changed(), document.has_changed()), document.changed_by(), for_whom(document)});
  }
  return table.empty() ? "No documents.\n" : table.render(console);
}

std::string history_text(const v1::PolicyDocumentList& list, const Console& console) {
  Table table(
      {{"REVISION", true}, {"STATE"}, {"OBJECTS", true}, {"SIZE", true}, {"CHANGED"}, {"BY"}, {"FOR", false, true}});
  bool newest = true;
  for (const v1::PolicyDocument& document : list.items()) {
    const char* state = document.deleted() ? "deleted" : newest ? "present" : "";
    newest = false;
    table.row({fmt::format("{}", document.revision()), state, fmt::format("{}", document.objects()),
               human_bytes(document.bytes()), relative(document.changed(), document.has_changed()),
               document.changed_by(), for_whom(document)});
  }
  return table.render(console);
}

// The text below a comment that says what it is.
std::string document_text(const v1::PolicyDocument& document) {
  std::string out = fmt::format("# {}, revision {}, for {}; changed {} by {}\n", printable(document.name()),
                                document.revision(), printable(for_whom(document)),
                                relative(document.changed(), document.has_changed()), printable(document.changed_by()));
  std::string_view rest = document.text();
  while (!rest.empty()) {
    const std::size_t end = std::min(rest.find('\n'), rest.size());
    out += printable(rest.substr(0, end), 4 * end + 1) + "\n";
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return out;
}

int list(const RegistrySession& registry, RegistryClient& client) {
  v1::PolicyDocumentList all;
  Query query;
  for (int pages = 0; pages < 1000; ++pages) {
    v1::PolicyDocumentList page;
    if (const Result<> got = client.call("GET", "/v1/policies", nullptr, page, query); got.has_error())
      return registry.session().failed(got.error());
    for (v1::PolicyDocument& document : *page.mutable_items())
      *all.add_items() = std::move(document);
    if (page.next_page_token().empty()) break;
    query["pageToken"] = page.next_page_token();
  }
  return registry.show(all, [&] { return documents_text(all, registry.session().console()); });
}

// "policies/web.yaml" is the document "web".
std::string name_of(const std::string& file) {
  const std::size_t slash = file.rfind('/');
  std::string out = file.substr(slash == std::string::npos ? 0 : slash + 1);
  for (const std::string_view end : {".yaml", ".yml", ".json"}) {
    if (out.size() > end.size() && out.ends_with(end)) return out.substr(0, out.size() - end.size());
  }
  return out;
}

Result<v1::PutPolicyRequest> put_request(const PutOptions& options) {
  v1::PutPolicyRequest out;
  Result<std::string> text = read_file(options.file, kMostFile);
  if (text.has_error()) return std::move(text).error();
  if (valid_utf8(*text) != *text) return fail(Code::invalid_argument, options.file + " is not UTF-8");
  out.set_text(std::move(*text));
  if (options.every_node && !options.selector.empty())
    return fail(Code::invalid_argument, "--nodes and --every-node exclude each other");
  if (options.every_node || !options.selector.empty()) out.set_node_selector(options.selector);
  if (options.revision.empty()) return out;
  const std::optional<std::uint64_t> revision = parse_number<std::uint64_t>(options.revision);
  if (!revision || *revision == 0)
    return fail(Code::invalid_argument, fmt::format("\"{}\" is no revision", printable(options.revision, 40)));
  out.set_revision(*revision);
  return out;
}

int put(const RegistrySession& registry, RegistryClient& client, const PutOptions& options) {
  const Result<v1::PutPolicyRequest> request = put_request(options);
  if (request.has_error()) return registry.session().failed(request.error());
  v1::PolicyDocument document;
  const std::string name = options.name.empty() ? name_of(options.file) : options.name;
  Result<> done = client.call("PUT", item_path("policies", name), &*request, document);
  if (done.has_error()) {
    Error error = std::move(done).error();
    if (error.field == "text") error.field = options.file;  // where the operator finds the line
    return registry.session().failed(error);
  }
  return registry.show(document, [&] {
    std::string out = fmt::format("{} is at revision {}: {} objects for {}\n", printable(document.name()),
                                  document.revision(), document.objects(), printable(for_whom(document)));
    for (const std::string& remark : document.remarks())
      out += fmt::format("remark: {}\n", printable(remark));
    return out;
  });
}

std::string documents_of(const v1::DesiredStateVersion& version) {
  std::string out;
  for (const v1::DesiredDocumentName& document : version.documents())
    out += fmt::format("{}{}@{}", out.empty() ? "" : " ", document.name(), document.revision());
  return version.version() == 0 ? "(none)" : out;
}

std::string roll_out_text(const v1::DesiredStateVersionList& list, const Console& console) {
  Table table({{"VERSION", true},
               {"NODES", true},
               {"HOLD IT", true},
               {"APPLIED", true},
               {"FAULTY", true},
               {"OUTDATED", true},
               {"SINCE"},
               {"DOCUMENTS", false, true}});
  Table faults({{"NODE"}, {"NAME"}, {"FAULTS", true}, {"THE FIRST", false, true}});
  for (const v1::DesiredStateVersion& version : list.items()) {
    const bool complete = version.applied() == version.nodes();
    table.row({fmt::format("{}", version.version()), fmt::format("{}", version.nodes()),
               fmt::format("{}", version.holding()),
               Cell(fmt::format("{}", version.applied()), complete ? Style::good : Style::warning),
               Cell(fmt::format("{}", version.faulty()), version.faulty() == 0 ? Style::plain : Style::bad),
               fmt::format("{}", version.outdated()), relative(version.created(), version.has_created()),
               documents_of(version)});
    for (const v1::DesiredFault& fault : version.faults())
      faults.row({fault.node_id(), fault.hostname(), fmt::format("{}", fault.faults()), fault.first_fault()});
  }
  if (table.empty()) return "No approved nodes.\n";
  return table.render(console) + (faults.empty() ? "" : "\n" + faults.render(console));
}

bool complete(const v1::DesiredStateVersionList& list) {
  return std::ranges::all_of(list.items(), [](const auto& version) { return version.applied() == version.nodes(); });
}

int roll_out(const RegistrySession& registry, RegistryClient& client, const RollOutOptions& options) {
  const auto give_up_at = std::chrono::steady_clock::now() + options.wait;
  v1::DesiredStateVersionList versions;
  while (true) {
    const Result<> got =
        client.call("GET", "/v1/desired-states", nullptr, versions, options.all ? Query{{"all", "true"}} : Query{});
    if (got.has_error()) return registry.session().failed(got.error());
    if (complete(versions) || std::chrono::steady_clock::now() >= give_up_at) break;
    std::this_thread::sleep_for(std::chrono::milliseconds(500));
  }
  const int shown = registry.show(versions, [&] { return roll_out_text(versions, registry.session().console()); });
  return shown == 0 && options.wait.count() > 0 && !complete(versions) ? 1 : shown;
}

void add_put(Command& policies, const std::shared_ptr<RegistrySession>& registry) {
  const auto options = std::make_shared<PutOptions>();
  registry
      ->add(policies, "put", "Make or replace a document from a file", "table|json|yaml",
            [registry, options](RegistryClient& client) { return put(*registry, client, *options); })
      .argument("FILE", options->file, "FILE", "Kubernetes' objects, YAML or JSON, at most 4 MiB")
      .option("--name", options->name, "NAME", "Of the document; else the file's name without its end")
      .option("--nodes", options->selector, "SELECTOR", "Labels of the nodes that get it: a=b, a!=b, 'a in (x,y)', !a")
      .flag("--every-node", options->every_node, "All nodes get it, also where it had a selector")
      .option("--revision", options->revision, "N", "Only when this is the present revision")
      .example("omnitide-agent registry policies put web.yaml --nodes site=hall-3")
      .footnote(
          "A file with a fault is refused with its line. Without --nodes a document keeps the selector that it\n"
          "has; a new one is for every node.");
}

void add_show(Command& policies, const std::shared_ptr<RegistrySession>& registry) {
  struct Which {
    std::string name, revision;
  };
  const auto which = std::make_shared<Which>();
  registry
      ->add(policies, "show", "A document's text; -o json has it byte by byte", "table|json|yaml",
            [registry, which](RegistryClient& client) {
              v1::PolicyDocument document;
              const Query query = which->revision.empty() ? Query{} : Query{{"revision", which->revision}};
              const Result<> got = client.call("GET", item_path("policies", which->name), nullptr, document, query);
              if (got.has_error()) return registry->session().failed(got.error());
              return registry->show(document, [&] { return document_text(document); });
            })
      .argument("NAME", which->name, "NAME", "As the list has it")
      .option("--revision", which->revision, "N", "An earlier one")
      .example("omnitide-agent registry policies show web");
}

}  // namespace

void add_registry_policies(Command& group, const std::shared_ptr<RegistrySession>& registry) {
  Command policies = group.add("policies", "Network policy for nodes by their labels, and how far they are with it");
  const auto all = [registry](RegistryClient& client) { return list(*registry, client); };
  registry->complete(policies, "table|json|yaml", all);
  policies.example("omnitide-agent registry policies put web.yaml --nodes site=hall-3");
  registry->add(policies, "list", "All documents", "table|json|yaml", all)
      .example("omnitide-agent registry policies list");
  add_show(policies, registry);
  add_put(policies, registry);

  const auto gone = std::make_shared<std::string>();
  registry
      ->add(policies, "delete", "Take a document away from every node", "",
            [registry, gone](RegistryClient& client) {
              v1::Empty empty;
              const Result<> done = client.call("DELETE", item_path("policies", *gone), nullptr, empty);
              if (done.has_error()) return registry->session().failed(done.error());
              return registry->session().print(fmt::format("{} is deleted\n", printable(*gone)));
            })
      .argument("NAME", *gone, "NAME", "As the list has it")
      .example("omnitide-agent registry policies delete web");

  const auto past = std::make_shared<std::string>();
  registry
      ->add(policies, "history", "The kept revisions of a document, also of a deleted one", "table|json|yaml",
            [registry, past](RegistryClient& client) {
              v1::PolicyDocumentList revisions;
              const std::string path = item_path("policies", *past) + "/revisions";
              const Result<> got = client.call("GET", path, nullptr, revisions);
              if (got.has_error()) return registry->session().failed(got.error());
              return registry->show(revisions, [&] { return history_text(revisions, registry->session().console()); });
            })
      .argument("NAME", *past, "NAME", "Of the document")
      .example("omnitide-agent registry policies history web");

  const auto options = std::make_shared<RollOutOptions>();
  registry
      ->add(policies, "rollout", "How many nodes should have, hold and apply which version", "table|json|yaml",
            [registry, options](RegistryClient& client) { return roll_out(*registry, client, *options); })
      .flag("--all", options->all, "Also kept versions that concern no node now")
      .duration("--wait", options->wait, "So long until every node applies its version; else exit with 1")
      .example("omnitide-agent registry policies rollout --wait 2m");
}

}  // namespace omnitide::cli
