#include "agent/daemon/kubernetes_pods.hpp"

#include "agent/base/text.hpp"

namespace omnitide::daemon {

namespace {

std::string digits_of(const kubernetes::Uid& uid) { return hex_encode(std::string(uid.begin(), uid.end())); }

}  // namespace

void tell_names(collectors::PodNames& names, const std::string& source, const kubernetes::Pod& pod,
                std::string_view node) {
  if (pod.node != node || pod.finished) return names.remove(source);
  collectors::PodNames::Pod told;
  told.space = pod.meta.name.space;
  told.name = pod.meta.name.name;
  told.uids = {digits_of(pod.kubelet_uid)};
  for (const kubernetes::Pod::Container& each : pod.containers)
    told.containers.push_back({each.id, each.name});
  names.put(source, std::move(told));
}

}  // namespace omnitide::daemon
