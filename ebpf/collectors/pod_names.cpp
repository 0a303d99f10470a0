#include "ebpf/collectors/pod_names.hpp"

#include <algorithm>
#include <utility>

#include "agent/base/text.hpp"

namespace omnitide::collectors {

namespace {

constexpr std::size_t kLongestName = 260;  // of Kubernetes: 253

std::string without_dashes(std::string uid) {
  std::erase(uid, '-');
  return uid;
}

}  // namespace

void PodNames::put(std::string key, Pod pod) {
  const std::lock_guard lock(mutex_);
  const auto known = pods_.find(key);
  if (known != pods_.end()) forget(known);
  if (pods_.size() >= kMostPods) return;
  if (pod.containers.size() > kMostContainers) pod.containers.resize(kMostContainers);
  const Pod& kept = pods_.insert_or_assign(std::move(key), std::move(pod)).first->second;
  for (const std::string& uid : kept.uids)
    by_uid_[uid] = &kept;
  for (const Container& each : kept.containers)
    by_container_[each.id] = {&kept, each.name};
}

void PodNames::remove(std::string_view key) {
  const std::lock_guard lock(mutex_);
  const auto known = pods_.find(key);
  if (known != pods_.end()) forget(known);
}

// A new pod of a StatefulSet may be told before the end of the old one of its name is: ids go only with their own pod.
void PodNames::forget(std::map<std::string, Pod, std::less<>>::iterator found) {
  const Pod* const pod = &found->second;
  for (const std::string& uid : pod->uids)
    if (const auto at = by_uid_.find(uid); at != by_uid_.end() && at->second == pod) by_uid_.erase(at);
  for (const Container& each : pod->containers)
    if (const auto at = by_container_.find(each.id); at != by_container_.end() && at->second.pod == pod)
      by_container_.erase(at);
  pods_.erase(found);
}

void PodNames::name(CgroupLabels& labels) const {
  if (labels.container_id.empty() && labels.pod_uid.empty()) return;
  const std::lock_guard lock(mutex_);
  Owner owner;
  if (const auto found = by_container_.find(labels.container_id); found != by_container_.end()) {
    owner = found->second;
  } else if (const auto pod = by_uid_.find(without_dashes(labels.pod_uid)); pod != by_uid_.end()) {
    owner.pod = pod->second;
  }
  if (owner.pod == nullptr) return;
  labels.space = printable(owner.pod->space, kLongestName);
  labels.pod = printable(owner.pod->name, kLongestName);
  if (!owner.container.empty()) labels.container = printable(owner.container, kLongestName);
}

std::size_t PodNames::size() const {
  const std::lock_guard lock(mutex_);
  return pods_.size();
}

}  // namespace omnitide::collectors
