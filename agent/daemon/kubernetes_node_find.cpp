// Who this node is in its cluster, how its labels get there, and how all of it is taken away again.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include "agent/base/log.hpp"
#include "agent/base/random.hpp"
#include "agent/base/text.hpp"
#include "agent/daemon/kubernetes_node_part.hpp"
#include "agent/kubernetes/answers.hpp"

namespace omnitide::daemon {

namespace asio = boost::asio;
namespace k8s = kubernetes;
using namespace std::chrono_literals;

namespace {

constexpr std::chrono::milliseconds kLookAgain = 10min;  // at the latest, half of it at the earliest
// A master that is rolled to another version is away for a moment.
constexpr unsigned kMasterMissed = 2;
constexpr std::string_view kFeatureApi = "/apis/nfd.k8s-sigs.io/v1alpha1";
// Node Feature Discovery's master, as its Kustomize base and operator label its pods, and as its Helm chart does.
constexpr std::array<std::string_view, 2> kMasters{"app=nfd-master",
                                                   "app.kubernetes.io/name=node-feature-discovery,role=master"};
constexpr std::string_view kMetadataList =
    "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json";

template <class T>
std::optional<k8s::Fault> fault_in(const Result<T>& answer) {
  if (answer.has_value()) return std::nullopt;
  return k8s::Fault{.error = answer.error()};
}

}  // namespace

asio::awaitable<void> KubernetesNodePart::find_out() {
  std::optional<k8s::Fault> wrong = co_await find_self();
  if (!wrong) wrong = co_await find_label_place();
  const SteadyTime now = std::chrono::steady_clock::now();
  if (wrong) {
    unknown_ = wrong->error.text();
    find_ = now + std::max<std::chrono::milliseconds>(find_backoff_.next(random_u64()), 200ms) +
            wrong->retry_after.value_or(0s);
    co_return;
  }
  unknown_.clear();
  find_backoff_.reset();
  find_ = now + kLookAgain / 2 +
          std::chrono::milliseconds(random_u64() % static_cast<std::uint64_t>(kLookAgain.count() / 2));
  want();
}

asio::awaitable<std::optional<k8s::Fault>> KubernetesNodePart::find_self() {
  k8s::Request review;
  review.method = "POST";
  review.path = k8s::kSelfReviewPath;
  review.content_type = k8s::kJsonType;
  review.body = k8s::self_review_body();
  const Answer answer = co_await ask(std::move(review));
  if (answer.has_error()) co_return answer.error();
  const Result<k8s::Self> self = k8s::self_of(answer->text);
  if (self.has_error()) co_return fault_in(self);
  unbound_ = self->node.empty() ? fmt::format(
                                      "the token of {} is bound to no node, so that the cluster could not refuse "
                                      "it other Nodes; Kubernetes 1.30 and newer bind a pod's",
                                      printable(self->user, 200))
                                : std::string();
  stranger_ = !self->node.empty() && self->node != node_
                  ? fmt::format("nothing is written: the token is that of node {}, and node.name is {}",
                                printable(self->node, 200), printable(node_, 200))
                  : std::string();
  k8s::Request own;
  own.path = k8s::object_path(k8s::kNodes, {{}, node_}) + "?resourceVersion=0";
  const Answer node = co_await ask(std::move(own));
  if (node.has_error() && node.error().status == 404) self_.reset();
  if (node.has_error()) co_return node.error();
  Result<k8s::NodeAnswer> found = k8s::node_of(node->text);
  if (found.has_error()) co_return fault_in(found);
  if (self_ && self_->uid != found->uid)  // what belonged to the other Node went with it
    for (Item* item : {&inventory_, &labels_, &feature_})
      item->state.forget();
  self_ = k8s::OwnerNode{node_, found->uid};
  addresses_ = std::move(found->addresses);
  co_return std::nullopt;
}

asio::awaitable<std::optional<k8s::Fault>> KubernetesNodePart::find_label_place() {
  const LabelPlace before = place_;
  if (config_.labels != config::KubernetesLabels::node_feature) {
    k8s::Request request;
    request.path = kFeatureApi;
    const Answer kind = co_await ask(std::move(request));
    if (kind.has_error() && kind.error().status != 404) co_return kind.error();
    feature_known_ = kind.has_value();
  }
  switch (config_.labels) {
    case config::KubernetesLabels::off: place_ = LabelPlace::nowhere; break;
    case config::KubernetesLabels::node: place_ = LabelPlace::node; break;
    case config::KubernetesLabels::node_feature: place_ = LabelPlace::node_feature; break;
    case config::KubernetesLabels::automatic: {
      std::optional<k8s::Fault> wrong = co_await count_feature_masters();
      if (wrong) co_return wrong;
      master_missed_ = masters_ > 0 ? 0 : master_missed_ + 1;
      const bool stays = before == LabelPlace::node_feature && master_missed_ < kMasterMissed;
      place_ = masters_ > 0 || stays ? LabelPlace::node_feature : LabelPlace::node;
    }
  }
  drop_feature_ = feature_known_ && place_ != LabelPlace::node_feature && place_ != before;
  co_return std::nullopt;
}

// By its pods, which tell more than a Deployment that may be scaled to none, and which the agent may list anyway.
asio::awaitable<std::optional<k8s::Fault>> KubernetesNodePart::count_feature_masters() {
  masters_ = 0;
  if (!feature_known_) co_return std::nullopt;
  for (const std::string_view labels : kMasters) {
    const k8s::Scope scope{.labels = std::string(labels), .fields = "status.phase=Running"};
    k8s::Request request;
    request.path = k8s::collection_path(k8s::kPods, {}) + "?limit=1&resourceVersion=0" + k8s::selectors_of(scope);
    request.accept = kMetadataList;
    const Answer pods = co_await ask(std::move(request));
    if (pods.has_error()) co_return pods.error();
    const Result<std::size_t> count = k8s::item_count(pods->text);
    if (count.has_error()) co_return fault_in(count);
    masters_ += *count;
  }
  co_return std::nullopt;
}

// Whether it is gone. Without rights, or without the server, it stays; so does what was never there.
asio::awaitable<KubernetesNodePart::Taken> KubernetesNodePart::took_away(k8s::Request request, std::string_view what) {
  const Answer answer = co_await ask(std::move(request));
  if (answer.has_value() || answer.error().status == 404) {
    left_behind_.erase(std::string(what));
    co_return Taken::done;
  }
  left_behind_[std::string(what)] = answer.error().error.text();
  co_return hopeless(answer.error()) ? Taken::done : Taken::not_yet;
}

bool KubernetesNodePart::hopeless(const k8s::Fault& fault) const {
  const bool never = fault.status == 401 || fault.status == 403;
  return never || (stopping_ && fault.error.code == Code::aborted);
}

k8s::Request KubernetesNodePart::removal(const k8s::Resource& resource, const std::string& space) const {
  k8s::Request out;
  out.method = "DELETE";
  out.path = k8s::object_path(resource, {space, node_});
  return out;
}

// Labels first: everything else goes with its namespace, its definition or its Node.
asio::awaitable<void> KubernetesNodePart::take_away() {
  bool all = true;
  if (!self_) {  // an agent that had no time to ask, and one that only takes away
    std::optional<k8s::Fault> unknown = co_await find_self();
    if (!unknown) unknown = co_await find_label_place();
    left_behind_.erase("labels");
    if (unknown && unknown->status != 404) {
      left_behind_["labels"] = unknown->error.text();
      all = hopeless(*unknown);
    }
  }
  std::vector<std::pair<std::string_view, k8s::Request>> things;
  if (self_ && unbound_.empty())
    things.emplace_back("labels", k8s::apply_request(k8s::kNodes, {{}, node_}, k8s::node_labels_body(*self_, {}),
                                                     k8s::kFieldManager, false));
  if (feature_known_ || place_ == LabelPlace::node_feature)
    things.emplace_back("NodeFeature", removal(k8s::kNodeFeatures, space_));
  if (config_.inventory) things.emplace_back("NodeInventory", removal(k8s::kNodeInventories, {}));
  if (config_.lease) {
    things.emplace_back("Lease", removal(k8s::kLeases, space_));
    things.back().second.path = k8s::object_path(k8s::kLeases, k8s::heartbeat_name(space_, node_));
  }
  for (auto& [name, request] : things) {
    const Taken taken = co_await took_away(std::move(request), name);
    all = all && taken == Taken::done;
  }
  left_ = all;
  leave_ = std::chrono::steady_clock::now() + leave_backoff_.next(random_u64());
  if (!all) co_return;
  hold_.reset();
  for (const auto& [what, why] : left_behind_)
    log::warning(log::Part::registration, "something is left in the cluster: docs/kubernetes.md says how to remove it",
                 {{"what", what}, {"reason", why}});
}

}  // namespace omnitide::daemon
