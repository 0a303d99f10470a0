// Whose a container is, by what Kubernetes says of the pods of this node. Plain values, no I/O.
#pragma once

#include <cstddef>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "ebpf/collectors/cgroup_names.hpp"

namespace omnitide::collectors {

// Told by one thread, asked by others; each call is short.
class PodNames {
 public:
  struct Container {
    std::string id, name;
  };
  struct Pod {
    std::string space, name;        // space: the namespace
    std::vector<std::string> uids;  // as 32 hexadecimal digits: under each of them the kubelet may have its cgroup
    std::vector<Container> containers;
  };
  // What a node has is far less (kubelet's maxPods: 110). Beyond, cgroups keep their ids and have no names.
  static constexpr std::size_t kMostPods = 4096, kMostContainers = 256;

  // In the place of what was told under that key.
  void put(std::string key, Pod pod);
  void remove(std::string_view key);
  // Fills what is known of the pod that the path's container id, or the path's pod, belongs to. What is not known
  // stays.
  void name(CgroupLabels& labels) const;
  [[nodiscard]] std::size_t size() const;

 private:
  struct Owner {
    const Pod* pod = nullptr;
    std::string_view container;
  };
  void forget(std::map<std::string, Pod, std::less<>>::iterator found);

  mutable std::mutex mutex_;
  std::map<std::string, Pod, std::less<>> pods_;  // its elements stay where they are
  std::unordered_map<std::string, const Pod*> by_uid_;
  std::unordered_map<std::string, Owner> by_container_;
};

}  // namespace omnitide::collectors
