#include "agent/daemon/kubernetes_part.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/post.hpp>

#include "agent/base/log.hpp"
#include "agent/daemon/kubernetes_kind.hpp"
#include "agent/daemon/kubernetes_pods.hpp"
#include "agent/daemon/spawn.hpp"
#include "agent/daemon/tuple.hpp"

namespace omnitide::daemon {

namespace asio = boost::asio;
namespace k8s = kubernetes;
using model::PartState;
using namespace std::chrono_literals;

namespace {

constexpr auto kDiskTime = 60s, kTick = 1s;
constexpr auto kServerPatience = 10s;  // for the API server, before an earlier start's state is taken
constexpr k8s::Resource kClusterPolicies{"policy.networking.k8s.io/v1alpha2", "clusternetworkpolicies", false};
constexpr k8s::Resource kHostPolicies{"omnitide.io/v1alpha1", "hostpolicies", false};

}  // namespace

KubernetesPart::KubernetesPart(asio::io_context& context, io::WorkerPool& pool, KubernetesConnection& connection,
                               Own own, const std::string& state_dir, Hooks hooks)
    : context_(context),
      pool_(pool),
      connection_(connection),
      own_(std::move(own)),
      hooks_(std::move(hooks)),
      journal_(std::make_shared<KubernetesJournal>(state_dir + "/kubernetes-objects", connection.cluster())),
      tick_(context) {}

KubernetesPart::~KubernetesPart() = default;

void KubernetesPart::spawn(asio::awaitable<void> work) {
  spawn_on(context_, std::move(work), [this](const std::string& reason) {
    if (stopping_) return;
    broken_ = "no longer follows the API server, what was known holds: " + reason;
    log::error(log::Part::policy, "no longer follows the API server, what was known holds", {{"reason", reason}});
    report();
  });
}

void KubernetesPart::start() {
  const auto take = [this](PolicyText change) { this->take(std::move(change)); };
  const auto whole = [this] { publish_when_known(); };
  const auto add = [&]<class T>(KindFollower::Kind kind, std::string fields = {}) -> TypedFollower<T>& {
    auto follower = std::make_unique<TypedFollower<T>>(kind, take, whole);
    follower->watcher = std::make_unique<k8s::Watcher>(
        context_, connection_.client(), *follower,
        k8s::Watcher::Options{.resource = kind.resource,
                              .scope = {.space = {}, .labels = {}, .fields = std::move(fields)}});
    TypedFollower<T>& out = *follower;
    kinds_.push_back(std::move(follower));
    return out;
  };
  hooks_.on_state(PartState::starting, "asking " + connection_.server());
  add.operator()<k8s::Pod>({"Pod", k8s::kPods, false, {.own_node = own_.node}},
                           hooks_.on_objects ? std::string() : "spec.nodeName=" + own_.node)
      .on_object = [this](const std::string& source, const k8s::Pod& pod) {
    tell_names(*own_.pods, source, pod, own_.node);
  };
  if (!hooks_.on_objects) return spawn(run());
  add.operator()<k8s::Namespace>({"Namespace", k8s::kNamespaces});
  add.operator()<k8s::Node>({"Node", k8s::kNodes});
  add.operator()<k8s::NetworkPolicy>({"NetworkPolicy", k8s::kNetworkPolicies});
  add.operator()<k8s::CustomObject>({"ClusterNetworkPolicy", kClusterPolicies, true});
  add.operator()<k8s::CustomObject>({"HostPolicy", kHostPolicies, true});
  spawn(run());
}

void KubernetesPart::stop() {
  stopping_ = true;
  tick_.cancel();
  for (const auto& kind : kinds_)
    kind->watcher->stop();
  if (replaced_ && !unkept_.empty()) (void)journal_->append(unkept_);
}

asio::awaitable<void> KubernetesPart::run() {
  if (hooks_.on_objects) co_await load();
  if (stopping_) co_return;
  began_ = std::chrono::steady_clock::now();
  for (const auto& kind : kinds_)
    spawn(kind->watcher->run());
  while (!stopping_) {
    tick_.expires_after(kTick);
    co_await tick_.async_wait(kTuple);
    if (stopping_) co_return;
    for (const auto& kind : kinds_)
      kind->look(std::chrono::steady_clock::now());
    publish_when_known();
    report();
    if (told_ && !keeping_ && (!unkept_.empty() || (!replaced_ && all_known()))) spawn(keep());
  }
}

// What held before this start holds when the server does not answer soon.
asio::awaitable<void> KubernetesPart::load() {
  std::function<Result<PolicyTexts>()> job = [journal = journal_] { return journal->load(); };
  Result<PolicyTexts> known = co_await pool_.run_for<PolicyTexts>(std::move(job), kDiskTime);
  if (stopping_) co_return;
  if (known.has_error()) {
    journal_problem_ = known.error().text();
    log::warning(log::Part::policy, "the objects of the last start are lost, asking the API server",
                 {{"reason", journal_problem_}});
    co_return;
  }
  std::erase_if(*known, [this](const auto& object) {  // of a kind that is not followed any more
    const auto kind =
        std::ranges::find_if(kinds_, [&object](const auto& each) { return object.first.starts_with(each->prefix()); });
    if (kind != kinds_.end()) (*kind)->remember(object.first, object.second);
    return kind == kinds_.end();
  });
  loaded_ = replaced_ = !known->empty();
  untold_ = std::move(*known);
}

// The file is begun by a whole state, and goes on with changes.
asio::awaitable<void> KubernetesPart::keep() {
  keeping_ = true;
  const bool anew = !replaced_;
  const auto changes = std::make_shared<const PolicyTexts>(std::exchange(unkept_, {}));
  std::function<Result<int>()> job = [journal = journal_, changes, anew]() -> Result<int> {
    Result<> kept = anew ? journal->replace(*changes) : journal->append(*changes);
    if (kept.has_error()) return std::move(kept).error();
    return 0;
  };
  const Result<int> kept = co_await pool_.run_for<int>(std::move(job), kDiskTime);
  keeping_ = false;
  journal_problem_ = kept.has_error() ? kept.error().text() : std::string();
  if (kept.has_value()) {
    replaced_ = true;
    co_return;
  }
  // Tried again with what came since, the newer word for each.
  for (const auto& [source, text] : *changes)
    unkept_.try_emplace(source, text);
}

asio::awaitable<Result<PolicyTexts>> KubernetesPart::objects() {
  asio::steady_timer pause(context_);
  while (keeping_ && !stopping_) {  // what is on its way to the disk is in neither place
    pause.expires_after(10ms);
    co_await pause.async_wait(kTuple);
  }
  if (!told_)
    co_return Result<PolicyTexts>(fail(Code::failed_precondition, "the API server has not told its objects yet"));
  // Without a whole state on the disk everything is in `since`.
  std::function<Result<PolicyTexts>()> job = [journal = journal_, whole = replaced_] {
    return whole ? journal->load() : Result<PolicyTexts>(PolicyTexts());
  };
  const PolicyTexts since = unkept_;
  Result<PolicyTexts> out = co_await pool_.run_for<PolicyTexts>(std::move(job), kDiskTime);
  if (out.has_error()) co_return out;
  for (const auto& [source, text] : since) {
    if (text.empty())
      out->erase(source);
    else
      out->insert_or_assign(source, text);
  }
  co_return out;
}

void KubernetesPart::take(PolicyText change) {
  if (change.text.empty()) own_.pods->remove(change.source);
  if (!hooks_.on_objects) return;
  unkept_.insert_or_assign(change.source, change.text);
  untold_.insert_or_assign(std::move(change.source), std::move(change.text));
  if (told_) flush();
}

bool KubernetesPart::all_known() const {
  return std::ranges::all_of(kinds_, [](const auto& kind) { return kind->known(); });
}

void KubernetesPart::publish() {
  if (!hooks_.on_objects) return;
  std::vector<PolicyText> changes;
  changes.reserve(untold_.size());
  for (auto& [source, text] : std::exchange(untold_, {}))
    changes.push_back({source, std::move(text)});
  hooks_.on_objects(std::move(changes), !std::exchange(told_, true));
}

// Half of the objects would be another policy: they are told when all kinds are known, or were before this start.
void KubernetesPart::publish_when_known() {
  if (told_) return;
  const bool waited = loaded_ && std::chrono::steady_clock::now() - began_ >= kServerPatience;
  if (all_known() || waited) publish();
}

// What one read of the connection brought goes on as one change.
void KubernetesPart::flush() {
  if (std::exchange(flushing_, true)) return;
  asio::post(context_, [this] {
    flushing_ = false;
    if (!stopping_ && !untold_.empty()) publish();
  });
}

std::string KubernetesPart::problem() const {
  if (!broken_.empty()) return broken_;
  for (const auto& kind : kinds_) {
    const k8s::Followed& followed = kind->watcher->followed();
    if (followed.problem && !kind->absent())
      return fmt::format("{}: {}; what was known holds", kind->kind().resource.plural, followed.problem->text());
    if (followed.unreadable > 0)
      return fmt::format("{} of the {} could not be read and stay as they were", followed.unreadable,
                         kind->kind().resource.plural);
  }
  return journal_problem_;
}

void KubernetesPart::report() {
  const std::string wrong = problem();
  if (!wrong.empty()) return hooks_.on_state(PartState::degraded, wrong);
  if (!all_known()) return hooks_.on_state(PartState::starting, "asking " + connection_.server());
  hooks_.on_state(PartState::on, "follows " + connection_.server());
}

}  // namespace omnitide::daemon
