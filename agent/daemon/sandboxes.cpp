#include "agent/daemon/sandboxes.hpp"

#include <algorithm>
#include <utility>

#include "agent/base/text.hpp"
#include "agent/cni/json.hpp"
#include "agent/daemon/kubernetes_text.hpp"

namespace omnitide::daemon {

namespace {

constexpr std::string_view kPodSources = "kubernetes:Pod/", kInterfaceName = "omnitide.io/interface";
constexpr std::size_t kMostSandboxes = 4096;  // more pods than a node can have

std::string pod_source(const cni::Sandbox& sandbox) {
  return std::string(kPodSources) + sandbox.name_space + "/" + sandbox.name;
}

std::size_t place_of(std::string_view text, const cni::Json& part) {
  return static_cast<std::size_t>(part.text().data() - text.data());
}

std::string addresses_text(const std::vector<std::string>& addresses) {
  std::string out;
  for (const std::string& each : addresses)
    out += (out.empty() ? "{\"ip\":" : ",{\"ip\":") + json_quote(each) + "}";
  return "[" + out + "]";
}

// The annotation of a pod that says otherwise stays.
void add_interface(std::string& text, const std::string& device) {
  const auto pod = cni::Json::parse(text);
  const auto meta = pod.has_value() ? pod->find("metadata") : std::nullopt;
  if (!meta) return;
  const auto annotations = meta->find("annotations");
  if (annotations && annotations->find(kInterfaceName)) return;
  const std::string entry = json_quote(kInterfaceName) + ":" + json_quote(device);
  if (annotations)
    text.insert(place_of(text, *annotations) + 1, entry + (annotations->members().empty() ? "" : ","));
  else
    text.insert(place_of(text, *meta) + 1, "\"annotations\":{" + entry + "},");
}

}  // namespace

// A runtime names static pods by a number that is no UID of the API.
bool Sandboxes::is_of(const cni::Sandbox& sandbox, const Pod& pod) {
  const bool comparable = sandbox.uid.find('-') != std::string::npos;
  return !comparable || uid_text(kubernetes::uid_of(sandbox.uid)) == pod.uid;
}

std::string Sandboxes::amended(const std::string& source, const Pod& pod) const {
  const auto told = told_.find(source);
  std::string out = pod.text;
  if (told == told_.end() || !is_of(told->second, pod)) return out;
  const cni::Sandbox& sandbox = told->second;
  const auto whole = cni::Json::parse(out);
  const auto status = whole.has_value() ? whole->find("status") : std::nullopt;
  const auto addresses = status ? status->find("podIPs") : std::nullopt;
  if (addresses && !sandbox.addresses.empty())
    out.replace(place_of(out, *addresses), addresses->text().size(), addresses_text(sandbox.addresses));
  if (!sandbox.device.empty()) add_interface(out, sandbox.device);
  return out;
}

void Sandboxes::amend(std::vector<PolicyText>& changes) {
  const std::string node = "\"nodeName\":" + json_quote(node_name_);
  for (PolicyText& change : changes) {
    if (!change.source.starts_with(kPodSources)) continue;
    const auto known = pods_.find(change.source);
    if (change.text.empty()) {
      const auto told = told_.find(change.source);
      if (told != told_.end() && known != pods_.end() && is_of(told->second, known->second)) told_.erase(told);
      if (known != pods_.end()) pods_.erase(known);
      continue;
    }
    const auto pod = change.text.find(node) == std::string::npos ? Result<cni::Json>(fail(Code::not_found, ""))
                                                                 : cni::Json::parse(change.text);
    const auto spec = pod.has_value() ? pod->find("spec") : std::nullopt;
    if (!spec || spec->text_member("nodeName") != node_name_) {
      if (known != pods_.end()) pods_.erase(known);
      continue;
    }
    const auto meta = pod->find("metadata");
    Pod& held = pods_[change.source];
    held.uid = meta ? meta->text_member("uid") : std::string();
    held.text = std::move(change.text);
    change.text = amended(change.source, held);
  }
}

Result<std::optional<PolicyText>> Sandboxes::put(cni::Sandbox sandbox) {
  const std::string source = pod_source(sandbox);
  if (!told_.contains(source) && told_.size() >= kMostSandboxes)
    return fail(Code::resource_exhausted, "something is known of 4096 pods already");
  told_.insert_or_assign(source, std::move(sandbox));
  const auto pod = pods_.find(source);
  if (pod == pods_.end() || !is_of(told_[source], pod->second)) return std::optional<PolicyText>();
  return std::optional<PolicyText>({source, amended(source, pod->second)});
}

std::optional<PolicyText> Sandboxes::erase(const cni::Sandbox& sandbox) {
  const std::string source = pod_source(sandbox);
  const auto told = told_.find(source);
  if (told == told_.end() || told->second.container != sandbox.container) return std::nullopt;
  told_.erase(told);
  const auto pod = pods_.find(source);
  if (pod == pods_.end()) return std::nullopt;
  return PolicyText{source, pod->second.text};
}

}  // namespace omnitide::daemon
