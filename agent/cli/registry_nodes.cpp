#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <thread>

#include "agent/base/clock.hpp"
#include "agent/base/text.hpp"
#include "agent/cli/hardware.hpp"
#include "agent/cli/registry_commands.hpp"
#include "agent/codec/facts_codec.hpp"
#include "agent/codec/json.hpp"
#include "omnitide/node/v1/registry.pb.h"

namespace omnitide::cli {

namespace v1 = node::v1;

namespace {

constexpr std::uint32_t kPage = 500;

struct NodeFilterOptions {
  std::string selector, state, page_token;
  std::uint32_t limit = 1000;
};

std::string state_word(v1::NodeState state) {
  const std::string name = to_lower(v1::NodeState_Name(state));
  constexpr std::string_view kPrefix = "node_state_";
  return name.starts_with(kPrefix) ? name.substr(kPrefix.size()) : name;
}

Style state_style(v1::NodeState state) {
  switch (state) {
    case v1::NODE_STATE_APPROVED: return Style::good;
    case v1::NODE_STATE_PENDING: return Style::warning;
    default: return Style::bad;
  }
}

Query query_of(const NodeFilterOptions& options) {
  Query out;
  if (!options.selector.empty()) out["labelSelector"] = options.selector;
  if (!options.state.empty()) out["state"] = options.state;
  return out;
}

std::string nodes_text(const v1::NodeList& list, const Console& console) {
  Table table({{"NODE"}, {"NAME"}, {"STATE"}, {"SEEN"}, {"VERSION"}, {"LABELS", false, true}});
  for (const v1::Node& node : list.items()) {
    table.row({node.node_id(), node.hostname(), Cell(state_word(node.state()), state_style(node.state())),
               Cell(relative(node.last_seen(), node.has_last_seen()), node.online() ? Style::plain : Style::bad),
               node.agent_version(), label_words(node.labels())});
  }
  std::string out = table.empty() ? "No nodes.\n" : table.render(console);
  if (!list.next_page_token().empty()) out += fmt::format("There are more: --page-token {}\n", list.next_page_token());
  return out;
}

int list_nodes(const RegistrySession& registry, RegistryClient& client, const NodeFilterOptions& options) {
  v1::NodeList all;
  Query query = query_of(options);
  std::string next = options.page_token;
  do {
    const auto left = options.limit - static_cast<std::uint32_t>(all.items_size());
    query["pageSize"] = fmt::format("{}", std::min(left, kPage));
    if (!next.empty()) query["pageToken"] = next;
    v1::NodeList page;
    if (const Result<> got = client.call("GET", "/v1/nodes", nullptr, page, query); got.has_error())
      return registry.session().failed(got.error());
    next = page.next_page_token();
    for (v1::Node& node : *page.mutable_items())
      *all.add_items() = std::move(node);
  } while (!next.empty() && static_cast<std::uint32_t>(all.items_size()) < options.limit);
  all.set_next_page_token(next);
  return registry.show(all, [&] { return nodes_text(all, registry.session().console()); });
}

// What it should have of policy and what it says of it; nothing where there is none.
std::string policy_words(const v1::Node& node) {
  const v1::DesiredStateReport& said = node.desired_report();
  if (node.desired_version() == 0 && said.applied_version() == 0 && said.faults() == 0) return {};
  std::string out = fmt::format("version {}", node.desired_version());
  if (!node.has_desired_report()) return out + ", nothing said of it";
  if (said.applied_sha256() == node.desired_sha256()) {
    out += " applied";
  } else {
    out += said.held_sha256() == node.desired_sha256() ? " held" : " not yet fetched";
    if (!said.applied_sha256().empty()) out += fmt::format(", version {} applied", said.applied_version());
  }
  if (said.faults() > 0) out += fmt::format(", {} faults: {}", said.faults(), said.first_fault());
  return out;
}

std::string node_text(const v1::Node& node, const Console& console) {
  Table table({{""}, {"", false, true}});
  const auto row = [&table](const char* name, const std::string& value) {
    if (!value.empty()) table.row({Cell(std::string(name), Style::bold), value});
  };
  row("Node", node.node_id());
  row("Name", node.hostname());
  row("State", state_word(node.state()) + (node.state_reason().empty() ? "" : ": " + node.state_reason()));
  row("Online", node.online() ? "yes" : "no");
  row("Last seen", relative(node.last_seen(), node.has_last_seen()));
  row("Joined", relative(node.joined(), node.has_joined()));
  row("Certificate", node.has_certificate_expires() ? "ends " + relative(node.certificate_expires(), true) : "");
  row("Agent", node.agent_version());
  row("Boot", node.boot_id());
  row("Generation", fmt::format("{}", node.generation()));
  row("Token", node.token_id());
  row("Replaces", node.replaces());
  row("Policy", policy_words(node));
  row("Labels", label_words(node.labels()));
  row("By registry", label_words(node.registry_labels()));
  for (const v1::Condition& condition : node.conditions().items()) {
    const char* status = condition.status() == v1::CONDITION_STATUS_TRUE    ? "true"
                         : condition.status() == v1::CONDITION_STATUS_FALSE ? "false"
                                                                            : "unknown";
    row("Condition", fmt::format("{}={} {} {}", condition.type(), status, condition.reason(), condition.message()));
  }
  std::string out = table.render(console);
  if (!node.has_facts()) return out;
  model::NodeFacts facts;
  codec::from_proto(node.facts(), facts);
  return out + "\n" + hardware_summary(facts).render(console);
}

int show_changed(const RegistrySession& registry, RegistryClient& client, const std::string& path,
                 const google::protobuf::MessageLite& request) {
  v1::Node node;
  if (const Result<> done = client.call("POST", path, &request, node); done.has_error())
    return registry.session().failed(done.error());
  return registry.show(
      node, [&] { return fmt::format("{} is {} now\n", printable(node.node_id()), state_word(node.state())); });
}

// One line an event; on a lost connection goes on where it was.
int watch(const RegistrySession& registry, RegistryClient& client, const NodeFilterOptions& options) {
  Query query = query_of(options);
  const bool json = registry.session().format() == Format::json;
  int printed = 0, failures = 0;
  const auto on_line = [&](std::string_view line) {
    v1::WatchEvent event;
    if (codec::from_json(line, event).has_error()) return true;
    failures = 0;
    if (event.resource_version() != 0) query["resourceVersion"] = fmt::format("{}", event.resource_version());
    if (json) {
      printed = registry.session().print(std::string(line) + "\n");
    } else if (event.type() != v1::WATCH_TYPE_BOOKMARK) {
      const std::string type =
          to_lower(v1::WatchType_Name(event.type())).substr(std::string_view("watch_type_").size());
      const v1::Node& node = event.node();
      printed = registry.session().print(fmt::format("{} {:<8} {} {} {}\n", format_rfc3339(wall_now()), type,
                                                     printable(node.node_id()), printable(node.hostname()),
                                                     state_word(node.state())));
    }
    return printed == 0;
  };
  while (true) {
    const Result<> ended = client.lines("/v1/nodes:watch", query, on_line);
    if (printed != 0) return printed;
    if (ended.has_error() && ended.error().code == Code::failed_precondition) {
      query.erase("resourceVersion");  // the log no longer reaches back: all nodes come anew
    } else if (ended.has_error() && (++failures > 5 || ended.error().code != Code::unavailable)) {
      return registry.session().failed(ended.error());
    }
    std::this_thread::sleep_for(std::chrono::seconds(1));
  }
}

int label(const RegistrySession& registry, RegistryClient& client, const std::string& node,
          const std::vector<std::string>& words) {
  v1::LabelsRequest request;
  for (const std::string& word : words) {
    if (word.size() > 1 && word.ends_with('-') && word.find('=') == std::string::npos) {
      request.add_remove(word.substr(0, word.size() - 1));
      continue;
    }
    const Result<std::pair<std::string, std::string>> read = label_of(word);
    if (read.has_error()) return registry.session().failed(read.error());
    (*request.mutable_set())[read->first] = read->second;
  }
  v1::Node changed;
  const Result<> done = client.call("POST", item_path("nodes", node, "labels"), &request, changed);
  if (done.has_error()) return registry.session().failed(done.error());
  return registry.show(changed, [&] {
    return fmt::format("{}: {}\n", printable(changed.node_id()), printable(label_words(changed.labels())));
  });
}

void add_filter(Command& command, const std::shared_ptr<NodeFilterOptions>& filter) {
  command.option("-l,--selector", filter->selector, "SELECTOR", "Labels: a=b, a!=b, 'a in (x,y)', a, !a")
      .option("--state", filter->state, "pending|approved|quarantined|banned", "Only nodes in this state");
}

void add_verb(Command& group, const std::shared_ptr<RegistrySession>& registry, const std::string& verb,
              const std::string& help) {
  struct Arguments {
    std::string node, reason;
  };
  const auto arguments = std::make_shared<Arguments>();
  registry
      ->add(group, verb, help, "table|json|yaml",
            [registry, arguments, verb](RegistryClient& client) {
              v1::StateChangeRequest request;
              request.set_reason(arguments->reason);
              return show_changed(*registry, client, item_path("nodes", arguments->node, verb), request);
            })
      .argument("NODE", arguments->node, "NODE", "Its id, n-...")
      .option("--reason", arguments->reason, "TEXT", "For the node's log and for other operators")
      .example(
          fmt::format("omnitide-agent registry nodes {} n-abcdefghijklmnopqrstuvwxyz --reason \"ticket 7\"", verb));
}

}  // namespace

void add_registry_nodes(Command& group, const std::shared_ptr<RegistrySession>& registry) {
  Command nodes = group.add("nodes", "List, watch and decide about nodes");
  const auto filter = std::make_shared<NodeFilterOptions>();
  const auto list = [registry, filter](RegistryClient& client) { return list_nodes(*registry, client, *filter); };
  registry->complete(nodes, "table|json|yaml", list);
  nodes.example("omnitide-agent registry nodes list -l site=hall-3");
  Command list_command = registry->add(nodes, "list", "All nodes, or those that fit", "table|json|yaml", list);
  add_filter(list_command, filter);
  list_command.number("--limit", filter->limit, "At most so many (1000)")
      .option("--page-token", filter->page_token, "TOKEN", "Go on after an earlier list")
      .example("omnitide-agent registry nodes list --state pending");

  const auto id = std::make_shared<std::string>();
  registry
      ->add(nodes, "show", "One node with its facts and conditions", "table|json|yaml",
            [registry, id](RegistryClient& client) {
              v1::Node node;
              const Result<> got = client.call("GET", item_path("nodes", *id), nullptr, node);
              if (got.has_error()) return registry->session().failed(got.error());
              return registry->show(node, [&] { return node_text(node, registry->session().console()); });
            })
      .argument("NODE", *id, "NODE", "Its id, n-...")
      .example("omnitide-agent registry nodes show n-abcdefghijklmnopqrstuvwxyz -o yaml");

  const auto watched = std::make_shared<NodeFilterOptions>();
  Command watch_command =
      registry->add(nodes, "watch", "All nodes, then changes as they happen", "table|json",
                    [registry, watched](RegistryClient& client) { return watch(*registry, client, *watched); });
  add_filter(watch_command, watched);
  watch_command.example("omnitide-agent registry nodes watch -o json");

  add_verb(nodes, registry, "approve", "Let a waiting, quarantined or banned node in");
  add_verb(nodes, registry, "quarantine", "Refuse a node until an operator decides");
  add_verb(nodes, registry, "ban", "Refuse a node for good");

  const auto gone = std::make_shared<std::string>();
  registry
      ->add(nodes, "delete", "Forget a node; it may join again by a token", "",
            [registry, gone](RegistryClient& client) {
              v1::Empty empty;
              const Result<> done = client.call("DELETE", item_path("nodes", *gone), nullptr, empty);
              if (done.has_error()) return registry->session().failed(done.error());
              return registry->session().print(fmt::format("{} is forgotten\n", printable(*gone)));
            })
      .argument("NODE", *gone, "NODE", "Its id, n-...")
      .example("omnitide-agent registry nodes delete n-abcdefghijklmnopqrstuvwxyz");

  struct Labels {
    std::string node;
    std::vector<std::string> words;
  };
  const auto labels = std::make_shared<Labels>();
  registry
      ->add(
          nodes, "label", "Set or take away labels; they win over the node's own", "table|json|yaml",
          [registry, labels](RegistryClient& client) { return label(*registry, client, labels->node, labels->words); })
      .argument("NODE", labels->node, "NODE", "Its id, n-...")
      .arguments("LABEL", labels->words, "KEY=VALUE sets, KEY- takes away")
      .example("omnitide-agent registry nodes label n-abcdefghijklmnopqrstuvwxyz site=hall-3 old-");

  struct Pair {
    std::string old_node, new_node;
  };
  const auto pair = std::make_shared<Pair>();
  registry
      ->add(nodes, "replace", "Give a node's labels and place to another, and ban the first", "table|json|yaml",
            [registry, pair](RegistryClient& client) {
              v1::ReplaceRequest request;
              request.set_new_node_id(pair->new_node);
              return show_changed(*registry, client, item_path("nodes", pair->old_node, "replace"), request);
            })
      .argument("OLD", pair->old_node, "NODE", "The id that goes")
      .argument("NEW", pair->new_node, "NODE", "The id that takes its place")
      .example("omnitide-agent registry nodes replace n-OLD n-NEW");
}

}  // namespace omnitide::cli
