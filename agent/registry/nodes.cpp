// What operators see of nodes and decide about them.
#include <fmt/format.h>

#include <algorithm>

#include "agent/base/text.hpp"
#include "agent/registry/admission.hpp"
#include "agent/registry/handlers.hpp"
#include "agent/registry/node_message.hpp"
#include "agent/registry/repository.hpp"
#include "agent/registry/selector.hpp"
#include "agent/registry/wire.hpp"

namespace omnitide::registry {

namespace {

// One node changed by an operator: `change` runs inside the transaction on the stored record.
using NodeChange = std::function<Result<>(Database&, NodeRecord&)>;
struct Changing {
  std::string node_id;
  NodeRecord node;
};

Answer<v1::Node> change_node(Context& context, std::string node_id, NodeChange change) {
  auto job = std::make_shared<Changing>();
  job->node_id = std::move(node_id);
  Writer::Work work = [job, change = std::move(change)](Database& database) -> Result<> {
    Result<std::optional<NodeRecord>> known = find_node(database, job->node_id);
    if (known.has_error()) return std::move(known).error();
    if (!*known) return no_such_node(job->node_id);
    job->node = std::move(**known);
    const Result<> changed = change(database, job->node);
    return changed.has_error() ? changed : save_node(database, job->node);
  };
  auto running =
      context.writer.run(std::move(work), [&context, job] { context.committed(job->node, Change::modified); });
  const Result<> done = co_await std::move(running);
  if (done.has_error()) co_return done.error();
  const NodeRecord* known = context.nodes.find(job->node_id);
  co_return node_message(context, known != nullptr ? *known : job->node);
}

Result<std::string> reason_of(const io::HttpRequest& request, std::string otherwise) {
  v1::StateChangeRequest in;
  if (const Result<> read = decode(request, in); read.has_error()) return read.error();
  if (in.reason().size() > 1024) return invalid("reason", "the reason is longer than 1024 bytes");
  return in.reason().empty() ? std::move(otherwise) : in.reason();
}

std::string by_operator(const io::HttpRequest& request) {
  return fmt::format("by operator {}", request.peer->certificate->common_name);
}

Answer<v1::Node> set_state(Context& context, const io::HttpRequest& request, State state, std::string otherwise) {
  const Result<std::string> reason = reason_of(request, std::move(otherwise));
  if (reason.has_error()) co_return reason.error();
  auto running = change_node(context, parameter(request, "id"),
                             [state, text = *reason](Database& database, NodeRecord& node) -> Result<> {
                               node.state = state;
                               node.state_reason = text;
                               if (state != State::approved) return {};
                               // The operator has settled which copy lives on: a clean slate.
                               return clear_superseded(database, node.node_id);
                             });
  co_return co_await std::move(running);
}

struct Replacing {
  std::string old_id, new_id;
  NodeRecord old_node, new_node;
};

Result<> replace_in(Database& database, Replacing& in) {
  Result<std::optional<NodeRecord>> old_node = find_node(database, in.old_id);
  if (old_node.has_error()) return std::move(old_node).error();
  if (!*old_node) return no_such_node(in.old_id);
  Result<std::optional<NodeRecord>> new_node = find_node(database, in.new_id);
  if (new_node.has_error()) return std::move(new_node).error();
  if (!*new_node) {
    Error error = no_such_node(in.new_id).with_hint("the new device joins first, with a token that wants approval");
    error.field = "newNodeId";
    return error;
  }
  in.old_node = std::move(**old_node);
  in.new_node = std::move(**new_node);
  if (in.new_node.state == State::banned || in.new_node.state == State::quarantined) {
    return fail(Code::failed_precondition, fmt::format("node {} is banned or quarantined", in.new_id));
  }
  NodeRecord& fresh = in.new_node;
  (void)set_labels(fresh, &NodeRecord::registry_labels, in.old_node.registry_labels);
  (void)set_labels(fresh, &NodeRecord::token_labels, in.old_node.token_labels);
  if (fresh.hostname.empty()) fresh.hostname = in.old_node.hostname;
  fresh.replaces = in.old_id;
  fresh.state = State::approved;
  fresh.state_reason.clear();
  in.old_node.state = State::banned;
  in.old_node.state_reason = fmt::format("replaced by {}", in.new_id);
  const Result<> saved = save_node(database, in.old_node);
  return saved.has_error() ? saved : save_node(database, fresh);
}

}  // namespace

Answer<v1::NodeList> list_nodes(Context& context, io::HttpRequest& request) {
  const Result<NodeFilter> filter = NodeFilter::of(request);
  if (filter.has_error()) co_return filter.error();
  std::size_t size = 100;
  if (const std::string text = query(request, "pageSize"); !text.empty()) {
    const std::optional<std::size_t> wanted = parse_number<std::size_t>(text);
    if (!wanted || *wanted == 0) co_return invalid("pageSize", "pageSize must be a number from 1 to 500");
    size = std::min<std::size_t>(*wanted, 500);
  }
  const std::optional<std::string> after = base64_decode(query(request, "pageToken"));
  if (!after) co_return invalid("pageToken", "pageToken is not one that a list gave");
  v1::NodeList out;
  const NodeIndex::Map& all = context.nodes.all();
  auto at = after->empty() ? all.begin() : all.upper_bound(*after);
  for (; at != all.end() && static_cast<std::size_t>(out.items_size()) < size; ++at) {
    if (filter->takes(at->second)) *out.add_items() = node_message(context, at->second);
  }
  if (at != all.end()) out.set_next_page_token(base64_encode(std::prev(at)->first));
  co_return out;
}

Answer<v1::Node> show_node(Context& context, io::HttpRequest& request) {
  const std::string node_id = parameter(request, "id");
  if (context.nodes.find(node_id) == nullptr) co_return no_such_node(node_id);
  auto details = std::make_shared<NodeDetails>();
  auto running = context.reader.run([details, node_id](Database& database) -> Result<> {
    Result<NodeDetails> loaded = load_details(database, node_id);
    if (loaded.has_error()) return std::move(loaded).error();
    *details = std::move(*loaded);
    return {};
  });
  const Result<> done = co_await std::move(running);
  if (done.has_error()) co_return done.error();
  const NodeRecord* node = context.nodes.find(node_id);
  if (node == nullptr) co_return no_such_node(node_id);
  v1::Node out = node_message(context, *node);
  // The bytes are the device's own; what is no message is left out, the digest in the node shows that it came.
  if (!details->facts.empty() && !out.mutable_facts()->ParseFromString(details->facts)) out.clear_facts();
  if (!details->conditions.empty() && !out.mutable_conditions()->ParseFromString(details->conditions)) {
    out.clear_conditions();
  }
  co_return out;
}

Answer<v1::Empty> remove_node(Context& context, io::HttpRequest& request) {
  auto node = std::make_shared<NodeRecord>();
  node->node_id = parameter(request, "id");
  auto running = context.writer.run(
      [node](Database& database) -> Result<> {
        const Result<std::optional<NodeRecord>> known = find_node(database, node->node_id);
        if (known.has_error()) return known.error();
        if (!*known) return no_such_node(node->node_id);
        const Result<std::uint64_t> version = next_resource_version(database);
        if (version.has_error()) return version.error();
        node->resource_version = *version;
        return delete_node(database, node->node_id);
      },
      [&context, node] { context.committed(*node, Change::deleted); });
  const Result<> done = co_await std::move(running);
  if (done.has_error()) co_return done.error();
  co_return v1::Empty();
}

Answer<v1::Node> approve_node(Context& context, io::HttpRequest& request) {
  co_return co_await set_state(context, request, State::approved, "approved " + by_operator(request));
}

Answer<v1::Node> quarantine_node(Context& context, io::HttpRequest& request) {
  co_return co_await set_state(context, request, State::quarantined, by_operator(request));
}

Answer<v1::Node> ban_node(Context& context, io::HttpRequest& request) {
  co_return co_await set_state(context, request, State::banned, by_operator(request));
}

Answer<v1::Node> label_node(Context& context, io::HttpRequest& request) {
  v1::LabelsRequest in;
  if (const Result<> read = decode(request, in); read.has_error()) co_return read.error();
  const Result<Labels> fresh = labels_of(in.set());
  if (fresh.has_error()) co_return fresh.error();
  const std::vector<std::string> gone(in.remove().begin(), in.remove().end());
  auto running = change_node(context, parameter(request, "id"),
                             [add = *fresh, gone](Database& /*database*/, NodeRecord& node) -> Result<> {
                               Labels labels = decode_labels(node.registry_labels);
                               for (const std::string& key : gone)
                                 labels.erase(key);
                               for (const auto& [key, value] : add)
                                 labels[key] = value;
                               if (const Result<> good = check_labels(labels); good.has_error()) return good;
                               (void)set_labels(node, &NodeRecord::registry_labels, encode_labels(labels));
                               return {};
                             });
  co_return co_await std::move(running);
}

Answer<v1::Node> replace_node(Context& context, io::HttpRequest& request) {
  v1::ReplaceRequest in;
  if (const Result<> read = decode(request, in); read.has_error()) co_return read.error();
  auto job = std::make_shared<Replacing>();
  job->old_id = parameter(request, "id");
  job->new_id = in.new_node_id();
  if (job->new_id.empty() || job->new_id == job->old_id) {
    co_return invalid("newNodeId", "newNodeId must name the node that takes the place");
  }
  auto running = context.writer.run([job](Database& database) { return replace_in(database, *job); },
                                    [&context, job] {
                                      context.committed(job->old_node, Change::modified);
                                      context.committed(job->new_node, Change::modified);
                                    });
  const Result<> done = co_await std::move(running);
  if (done.has_error()) co_return done.error();
  const NodeRecord* node = context.nodes.find(job->new_id);
  co_return node_message(context, node != nullptr ? *node : job->new_node);
}

}  // namespace omnitide::registry
