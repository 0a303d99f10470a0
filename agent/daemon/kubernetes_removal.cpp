#include "agent/daemon/kubernetes_removal.hpp"

#include <algorithm>
#include <utility>

#include "agent/kubernetes/decode.hpp"
#include "agent/kubernetes/watcher.hpp"

namespace omnitide::daemon {

namespace asio = boost::asio;
namespace k8s = kubernetes;

class RemovalWatch::Watched : public k8s::Receiver {
 public:
  Watched(asio::io_context& context, k8s::Client& client, k8s::Watcher::Options options,
          std::function<void()> on_change)
      : watcher(context, client, *this, std::move(options)), on_change_(std::move(on_change)) {}
  void begin() override { seen_ = false; }
  void remove(const k8s::Name& /*name*/) override { end(); }
  void whole() override {
    if (known_ && !seen_) end();
  }
  [[nodiscard]] bool going() const { return going_; }

 protected:
  Result<> take(const Result<k8s::Meta>& meta) {
    if (meta.has_error()) return meta.error();
    seen_ = known_ = true;
    say(meta->terminating);  // it waits for what is in it, or for its pods
    return {};
  }

 private:
  void end() {
    if (std::exchange(known_, false)) say(true);
  }
  void say(bool going) {
    going_ = going;
    on_change_();
  }

 public:
  k8s::Watcher watcher;

 private:
  std::function<void()> on_change_;
  bool seen_ = false, known_ = false, going_ = false;
};

namespace {

template <class T>
Result<k8s::Meta> meta_in(std::string_view bytes, k8s::Encoding encoding) {
  Result<T> object = k8s::decode<T>(bytes, encoding, {});
  if (object.has_error()) return std::move(object).error();
  return std::move(object->meta);
}

}  // namespace

RemovalWatch::~RemovalWatch() = default;

RemovalWatch::RemovalWatch(asio::io_context& context, k8s::Client& client, const std::string& daemon_set,
                           std::function<void(bool)> on_removal)
    : on_removal_(std::move(on_removal)) {
  class Set final : public Watched {
   public:
    using Watched::Watched;
    Result<> put(std::string_view bytes, k8s::Encoding encoding) override {
      return take(meta_in<k8s::DaemonSet>(bytes, encoding));
    }
  };
  // A namespace that goes takes its objects in any order: the pod may be told to end before its DaemonSet is gone.
  class Space final : public Watched {
   public:
    using Watched::Watched;
    Result<> put(std::string_view bytes, k8s::Encoding encoding) override {
      return take(meta_in<k8s::Namespace>(bytes, encoding));
    }
  };
  const std::size_t slash = daemon_set.find('/');
  const std::string space = daemon_set.substr(0, slash), name = daemon_set.substr(slash + 1);
  const auto changed = [this] { note(); };
  const auto named = [](const std::string& text) { return "metadata.name=" + text; };
  watched_.push_back(std::make_unique<Set>(
      context, client,
      k8s::Watcher::Options{.resource = k8s::kDaemonSets, .scope = {.space = space, .fields = named(name)}}, changed));
  watched_.push_back(std::make_unique<Space>(
      context, client, k8s::Watcher::Options{.resource = k8s::kNamespaces, .scope = {.fields = named(space)}},
      changed));
}

void RemovalWatch::note() {
  on_removal_(std::ranges::any_of(watched_, [](const auto& each) { return each->going(); }));
}

std::vector<asio::awaitable<void>> RemovalWatch::run() {
  std::vector<asio::awaitable<void>> out;
  for (const auto& each : watched_)
    out.push_back(each->watcher.run());
  return out;
}

void RemovalWatch::stop() {
  for (const auto& each : watched_)
    each->watcher.stop();
}

std::optional<Error> RemovalWatch::problem() const {
  for (const auto& each : watched_)
    if (each->watcher.followed().problem) return each->watcher.followed().problem;
  return std::nullopt;
}

}  // namespace omnitide::daemon
