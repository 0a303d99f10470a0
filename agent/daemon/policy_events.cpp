#include "agent/daemon/policy_events.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "agent/base/log.hpp"
#include "agent/base/random.hpp"
#include "agent/base/text.hpp"
#include "agent/daemon/tuple.hpp"
#include "agent/io/crypto.hpp"
#include "agent/kubernetes/acceptance.hpp"

namespace omnitide::daemon {

namespace asio = boost::asio;
namespace k8s = kubernetes;
using namespace std::chrono_literals;

namespace {

constexpr std::string_view kPolicySource = "kubernetes:";
constexpr std::size_t kNameDigest = 16;  // hexadecimal digits
constexpr auto kPolicySpread = 3000ms;   // not all nodes ask for the object at once

constexpr std::string_view kPolicyManager = "omnitide-agent-policy";

struct PolicyKind {
  std::string_view name;
  k8s::Resource resource;
  bool has_status = true;
};
constexpr std::array<PolicyKind, 3> kPolicyKinds{
    {{"NetworkPolicy", k8s::kNetworkPolicies, false},
     {"ClusterNetworkPolicy", {"policy.networking.k8s.io/v1alpha2", "clusternetworkpolicies", false}},
     {"HostPolicy", {"omnitide.io/v1alpha1", "hostpolicies", false}}}};

std::string fault_key(const policy::Fault& fault) { return fault.file + "\n" + fault.text(); }

// Faults of the API server's objects all come from one "file", and name the object: "HostPolicy bad", "NetworkPolicy
// shop/web".
std::string source_of(const policy::Fault& fault) {
  if (fault.file != "kubernetes") return fault.file;
  std::string out = std::string(kPolicySource) + fault.object;
  std::ranges::replace(out, ' ', '/');
  return out;
}

k8s::EventNote policy_note(const policy::Fault& fault, const PolicyObject& object, std::string uid) {
  k8s::EventNote out;
  out.about = {.api = std::string(object.resource.api),
               .kind = std::string(object.kind),
               .space = object.name.space,
               .name = object.name.name,
               .uid = std::move(uid)};
  out.source = "policy";
  out.warning = !fault.applied;
  out.reason = fault.applied ? "PolicyRemark" : "PolicyRefused";
  out.action = "Enforce";
  out.note = (fault.field.empty() ? "" : fault.field + ": ") + fault.message;
  if (!fault.hint.empty()) out.note += " (" + fault.hint + ")";
  out.time = wall_now();
  out.shared_name =
      out.about.name + "." + hex_encode(io::sha256(out.about.uid + "\n" + out.note)).substr(0, kNameDigest);
  return out;
}

}  // namespace

std::optional<PolicyObject> policy_object(std::string_view source) {
  if (!source.starts_with(kPolicySource)) return std::nullopt;
  source.remove_prefix(kPolicySource.size());
  const std::size_t slash = source.find('/');
  if (slash == std::string_view::npos) return std::nullopt;
  for (const PolicyKind& kind : kPolicyKinds) {
    if (kind.name != source.substr(0, slash)) continue;
    const std::string_view name = source.substr(slash + 1);
    const std::size_t parts = name.find('/');
    PolicyObject out{kind.resource, {{}, std::string(name)}, kind.name, kind.has_status};
    if (parts != std::string_view::npos)
      out.name = {std::string(name.substr(0, parts)), std::string(name.substr(parts + 1))};
    return out;
  }
  return std::nullopt;
}

PolicyEvents::PolicyEvents(asio::io_context& context, k8s::Client& client, std::function<void(k8s::EventNote)> record)
    : client_(client), record_(std::move(record)), timer_(context) {}

void PolicyEvents::stop() {
  stopping_ = true;
  timer_.cancel();
}

void PolicyEvents::tell(std::span<const policy::Fault> faults) {
  std::set<std::string> now, refused;
  for (policy::Fault fault : faults) {
    fault.file = source_of(fault);
    if (now.size() == kMostTold || !policy_object(fault.file)) continue;
    if (!fault.applied) refused.insert(fault.file);
    std::string key = fault_key(fault);
    if (!told_.contains(key)) {
      if (waiting_.size() >= kMostWaiting) continue;  // when there is room again
      waiting_.push_back({fault, false});
    }
    now.insert(std::move(key));
  }
  for (const std::string& source : refused_)
    if (!refused.contains(source) && waiting_.size() < kMostWaiting)
      waiting_.push_back({policy::Fault{.file = source}, true});
  told_ = std::move(now);
  refused_ = std::move(refused);
  if (!waiting_.empty()) timer_.cancel();
}

asio::awaitable<void> PolicyEvents::run() {
  while (!stopping_) {
    if (waiting_.empty()) {
      timer_.expires_at(SteadyTime::max());
      co_await timer_.async_wait(kTuple);
      continue;
    }
    timer_.expires_after(std::chrono::milliseconds(random_u64() % static_cast<std::uint64_t>(kPolicySpread.count())));
    while (!stopping_ && timer_.expiry() > std::chrono::steady_clock::now())
      co_await timer_.async_wait(kTuple);
    while (!stopping_ && !waiting_.empty()) {
      Item item = std::move(waiting_.front());
      waiting_.pop_front();
      co_await one(std::move(item));
    }
  }
}

// The object's UID tells it from an earlier one of its name; one that is gone by now is not spoken of.
asio::awaitable<void> PolicyEvents::one(Item item) {
  const std::optional<PolicyObject> object = policy_object(item.fault.file);
  if (item.mended && !object->has_status) co_return;
  const Result<k8s::Body> answer = co_await client_.get(object->resource, object->name);
  if (answer.has_error()) {
    if (answer.error().code != Code::not_found) told_.erase(fault_key(item.fault));
    co_return;
  }
  const Result<k8s::Acceptance> said = k8s::acceptance_of(answer->text);
  if (said.has_error() || said->uid.empty()) co_return;
  k8s::EventNote note = policy_note(item.fault, *object, said->uid);
  const std::string message = note.note;
  if (!item.mended) record_(std::move(note));
  if (!object->has_status || item.fault.applied) co_return;
  if (!(item.mended ? said->acceptance_is_news() : said->refusal_is_news())) co_return;
  const k8s::Verdict verdict =
      item.mended ? k8s::Verdict{true, "Accepted", ""} : k8s::Verdict{false, "PolicyRefused", message};
  std::string body = k8s::acceptance_body(object->resource.api, object->kind, object->name.name, said->generation,
                                          verdict, wall_now());
  const Result<k8s::Body> wrote = co_await client_.apply(object->resource, object->name, std::move(body),
                                                         std::string(kPolicyManager), true, "status");
  if (wrote.has_error() && problem_.pass(std::chrono::steady_clock::now()))
    log::warning(log::Part::policy, "a policy's status is not written, going on", {{"reason", wrote.error().text()}});
}

}  // namespace omnitide::daemon
