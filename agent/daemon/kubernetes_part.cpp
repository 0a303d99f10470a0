#include "agent/daemon/kubernetes_part.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <cstdlib>

#include "agent/base/log.hpp"
#include "agent/base/text.hpp"
#include "agent/daemon/kubernetes_kind.hpp"
#include "agent/daemon/tuple.hpp"

namespace omnitide::daemon {

namespace asio = boost::asio;
namespace k8s = kubernetes;
using model::PartState;
using namespace std::chrono_literals;

namespace {

constexpr auto kDiskTime = 60s, kTick = 1s;
constexpr k8s::Resource kClusterPolicies{"policy.networking.k8s.io/v1alpha2", "clusternetworkpolicies", false};
constexpr k8s::Resource kHostPolicies{"omnitide.io/v1alpha1", "hostpolicies", false};

std::string variable(const char* name) {
  const char* const value = std::getenv(name);  // NOLINT: read before any thread changes it
  return value == nullptr ? "" : value;
}

}  // namespace

// Only that an object which was there is there no more counts: a server that refuses or is silent says nothing of it.
class OwnDaemonSet final : public k8s::Receiver {
 public:
  explicit OwnDaemonSet(std::function<void()> on_gone) : on_gone_(std::move(on_gone)) {}
  void begin() override { seen_ = false; }
  Result<> put(std::string_view /*bytes*/, k8s::Encoding /*encoding*/) override {
    seen_ = known_ = true;
    return {};
  }
  void remove(const k8s::Name& /*name*/) override { gone(); }
  void whole() override {
    if (known_ && !seen_) gone();
  }
  std::unique_ptr<k8s::Watcher> watcher;

 private:
  void gone() {
    if (std::exchange(known_, false)) on_gone_();
  }
  std::function<void()> on_gone_;
  bool seen_ = false, known_ = false;
};

KubernetesPart::KubernetesPart(asio::io_context& context, io::WorkerPool& pool, config::KubernetesConfig config,
                               const std::string& state_dir, Hooks hooks)
    : context_(context),
      pool_(pool),
      config_(std::move(config)),
      hooks_(std::move(hooks)),
      journal_(std::make_shared<KubernetesJournal>(state_dir + "/kubernetes-objects")),
      tick_(context) {}

KubernetesPart::~KubernetesPart() = default;

Result<k8s::Access> KubernetesPart::access() const {
  if (!config_.kubeconfig.empty()) return k8s::access_of_kubeconfig(config_.kubeconfig);
  return k8s::in_cluster(variable("KUBERNETES_SERVICE_HOST"), variable("KUBERNETES_SERVICE_PORT"));
}

void KubernetesPart::start() {
  Result<k8s::Access> found = access();
  if (found.has_error()) return hooks_.on_state(PartState::failed, found.error().text());
  server_ = found->server;
  client_ = std::make_unique<k8s::Client>(context_, pool_, std::move(*found));
  const auto take = [this](PolicyText change) { this->take(std::move(change)); };
  const auto whole = [this] { kind_is_whole(); };
  const auto add = [&]<class T>(KindFollower::Kind kind) {
    kinds_.push_back(std::make_unique<TypedFollower<T>>(kind, take, whole));
    KindFollower& follower = *kinds_.back();
    follower.watcher =
        std::make_unique<k8s::Watcher>(context_, *client_, follower, k8s::Watcher::Options{.resource = kind.resource});
  };
  add.operator()<k8s::Namespace>({"Namespace", k8s::kNamespaces});
  add.operator()<k8s::Pod>({"Pod", k8s::kPods});
  add.operator()<k8s::Node>({"Node", k8s::kNodes});
  add.operator()<k8s::NetworkPolicy>({"NetworkPolicy", k8s::kNetworkPolicies});
  add.operator()<k8s::CustomObject>({"ClusterNetworkPolicy", kClusterPolicies, true});
  add.operator()<k8s::CustomObject>({"HostPolicy", kHostPolicies, true});
  follow_own_daemon_set();
  hooks_.on_state(PartState::starting, "asking " + server_);
  asio::co_spawn(context_, run(), asio::detached);
}

void KubernetesPart::follow_own_daemon_set() {
  if (config_.daemon_set.empty()) return;
  const std::size_t slash = config_.daemon_set.find('/');
  own_ = std::make_unique<OwnDaemonSet>(hooks_.on_uninstall);
  // A namespace that goes takes its objects in any order: the pod may be told to end before its DaemonSet is gone.
  kinds_.front()->on_seen = [this, space = config_.daemon_set.substr(0, slash)](const k8s::Meta& meta) {
    if (meta.terminating && meta.name.name == space) hooks_.on_uninstall();
  };
  own_->watcher = std::make_unique<k8s::Watcher>(
      context_, *client_, *own_,
      k8s::Watcher::Options{.resource = k8s::kDaemonSets,
                            .scope = {.space = config_.daemon_set.substr(0, slash),
                                      .labels = {},
                                      .fields = "metadata.name=" + config_.daemon_set.substr(slash + 1)}});
  asio::co_spawn(context_, own_->watcher->run(), asio::detached);
}

void KubernetesPart::stop() {
  stopping_ = true;
  tick_.cancel();
  for (const auto& kind : kinds_)
    kind->watcher->stop();
  if (own_) own_->watcher->stop();
  if (client_) client_->close();
}

asio::awaitable<void> KubernetesPart::run() {
  co_await load();
  if (stopping_) co_return;
  for (const auto& kind : kinds_)
    asio::co_spawn(context_, kind->watcher->run(), asio::detached);
  while (!stopping_) {
    tick_.expires_after(kTick);
    co_await tick_.async_wait(kTuple);
    if (stopping_) co_return;
    kind_is_whole();  // a kind that turned out not to be there
    report();
    if (!unkept_.empty() && !keeping_) asio::co_spawn(context_, keep(), asio::detached);
  }
}

// What held before this start holds until the server says otherwise.
asio::awaitable<void> KubernetesPart::load() {
  using Objects = std::vector<PolicyText>;
  std::function<Result<Objects>()> job = [journal = journal_] { return journal->load(); };
  Result<Objects> known = co_await pool_.run_for<Objects>(std::move(job), kDiskTime);
  if (stopping_) co_return;
  if (known.has_error()) {
    journal_problem_ = known.error().text();
    log::warning(log::Part::policy, "the objects of the last start are lost, asking the API server",
                 {{"reason", journal_problem_}});
    co_return;
  }
  if (known->empty()) co_return;
  for (const PolicyText& object : *known)
    for (const auto& kind : kinds_)
      if (object.source.starts_with(kind->prefix())) kind->remember(object);
  told_whole_ = true;
  hooks_.on_objects(std::move(*known), true);
}

asio::awaitable<void> KubernetesPart::keep() {
  keeping_ = true;
  const auto changes = std::make_shared<const std::vector<PolicyText>>(std::exchange(unkept_, {}));
  std::function<Result<int>()> job = [journal = journal_, changes]() -> Result<int> {
    Result<> kept = journal->append(*changes);
    if (kept.has_error()) return std::move(kept).error();
    return 0;
  };
  const Result<int> kept = co_await pool_.run_for<int>(std::move(job), kDiskTime);
  keeping_ = false;
  journal_problem_ = kept.has_error() ? kept.error().text() : std::string();
}

void KubernetesPart::take(PolicyText change) {
  unkept_.push_back(change);
  gathered_.push_back(std::move(change));
  if (told_whole_) flush();
}

bool KubernetesPart::all_known() const {
  return std::ranges::all_of(kinds_, [](const auto& kind) { return kind->known(); });
}

// Half of the objects would be another policy: they are given on when all kinds are known.
void KubernetesPart::kind_is_whole() {
  if (told_whole_ || !all_known()) return;
  told_whole_ = true;
  hooks_.on_objects(std::exchange(gathered_, {}), true);
  report();
}

// What one read of the connection brought goes on as one change.
void KubernetesPart::flush() {
  if (std::exchange(flushing_, true)) return;
  asio::post(context_, [this] {
    flushing_ = false;
    if (!stopping_ && !gathered_.empty()) hooks_.on_objects(std::exchange(gathered_, {}), false);
  });
}

void KubernetesPart::report() {
  std::string problem;
  for (const auto& kind : kinds_) {
    const std::optional<Error>& refused = kind->watcher->followed().problem;
    if (refused && problem.empty() && !(kind->kind().optional && refused->code == Code::not_found))
      problem = fmt::format("{}: {}; what was known holds", kind->kind().resource.plural, refused->text());
  }
  if (problem.empty()) problem = journal_problem_;
  if (!problem.empty()) return hooks_.on_state(PartState::degraded, problem);
  if (!all_known()) return hooks_.on_state(PartState::starting, "asking " + server_);
  hooks_.on_state(PartState::on, "follows " + server_);
}

}  // namespace omnitide::daemon
