// GET /v1/nodes:watch: one JSON object a line, from the bounded log of changes.
#include <fmt/format.h>

#include "agent/base/text.hpp"
#include "agent/codec/json.hpp"
#include "agent/registry/handlers.hpp"
#include "agent/registry/node_message.hpp"
#include "agent/registry/wire.hpp"

namespace omnitide::registry {

namespace asio = boost::asio;

namespace {

constexpr std::chrono::seconds kBookmarkPeriod{30};
constexpr std::size_t kAtOnce = 100;  // nodes or events between two writes

std::string line(v1::WatchType type, std::uint64_t version, std::optional<v1::Node> node) {
  v1::WatchEvent event;
  event.set_type(type);
  event.set_resource_version(version);
  if (node) *event.mutable_node() = *std::move(node);
  return codec::to_json(event) + "\n";
}

// Counts a watcher as long as its answer lives.
struct Slot {
  explicit Slot(Context& c) : context(c) { ++context.watchers; }
  Slot(const Slot&) = delete;
  Slot& operator=(const Slot&) = delete;
  ~Slot() { --context.watchers; }
  Context& context;
};

class Watch {
 public:
  Watch(Context& context, NodeFilter filter, std::optional<std::uint64_t> from)
      : context_(context), slot_(context), filter_(std::move(filter)), version_(from.value_or(0)), list_(!from) {}

  asio::awaitable<Result<>> run(io::BodyStream& out) {
    if (list_) {
      // Changes meanwhile come again as events after this version.
      version_ = context_.events.version();
      Result<> listed = co_await list(out);
      if (listed.has_error()) co_return listed;
    }
    auto quiet_since = std::chrono::steady_clock::now();
    while (!context_.stopping) {
      if (!context_.events.reaches(version_)) co_return Result<>();  // too slow, or restored: the client lists again
      std::string text;
      for (const Event& event : context_.events.after(version_, kAtOnce)) {
        text += render(event);
        version_ = event.version;
      }
      const auto now = std::chrono::steady_clock::now();
      if (text.empty() && now - quiet_since >= kBookmarkPeriod) {
        text = line(v1::WATCH_TYPE_BOOKMARK, version_, {});
      }
      if (!text.empty()) {
        quiet_since = now;
        Result<> wrote = co_await out.write(text);
        if (wrote.has_error()) co_return wrote;
      } else if (context_.events.version() == version_) {
        co_await context_.events.wait(kBookmarkPeriod);
      }
    }
    co_return Result<>();
  }

 private:
  asio::awaitable<Result<>> list(io::BodyStream& out) {
    const NodeIndex::Map& all = context_.nodes.all();
    std::string last;
    while (true) {
      std::string text;
      std::size_t count = 0;
      for (auto at = all.upper_bound(last); at != all.end() && count < kAtOnce; ++at, ++count) {
        last = at->first;
        if (filter_.takes(at->second)) {
          text += line(v1::WATCH_TYPE_ADDED, at->second.resource_version, node_message(context_, at->second));
        }
      }
      if (count == 0) break;
      if (text.empty()) continue;
      Result<> wrote = co_await out.write(text);
      if (wrote.has_error()) co_return wrote;
    }
    co_return co_await out.write(line(v1::WATCH_TYPE_BOOKMARK, version_, {}));
  }

  // The node as it is now; what became of it since comes as a later event. A node that no longer fits the filter is
  // shown as deleted, so that the watcher's set stays right.
  std::string render(const Event& event) {
    const NodeRecord* node = context_.nodes.find(event.node_id);
    if (node != nullptr && filter_.takes(*node)) {
      return line(static_cast<v1::WatchType>(event.change), event.version, node_message(context_, *node));
    }
    v1::Node gone;
    gone.set_node_id(event.node_id);
    return line(v1::WATCH_TYPE_DELETED, event.version, std::move(gone));
  }

  Context& context_;
  Slot slot_;
  NodeFilter filter_;
  std::uint64_t version_;
  bool list_;
};

}  // namespace

asio::awaitable<io::HttpResponse> watch_nodes(Context& context, io::HttpRequest& request) {
  const Result<NodeFilter> filter = NodeFilter::of(request);
  if (filter.has_error()) co_return refuse(filter.error());
  std::optional<std::uint64_t> from;
  if (const std::string text = query(request, "resourceVersion"); !text.empty() && text != "0") {
    from = parse_number<std::uint64_t>(text);
    if (!from) co_return refuse(invalid("resourceVersion", "resourceVersion is not a number"));
    if (!context.events.reaches(*from)) {
      Error gone = fail(Code::failed_precondition, fmt::format("the changes after {} are no longer kept", *from))
                       .with_hint("list again: watch without resourceVersion");
      gone.field = "resourceVersion";
      co_return refuse(gone);
    }
  }
  if (context.watchers >= context.options.watchers) {
    co_return refuse(fail(Code::resource_exhausted, fmt::format("{} watches are open", context.watchers)));
  }
  io::HttpResponse response;
  response.content_type = "application/x-ndjson";
  auto watch = std::make_shared<Watch>(context, *filter, from);
  response.stream = [watch](io::BodyStream& out) { return watch->run(out); };
  co_return response;
}

}  // namespace omnitide::registry
