// What of a pod on the watch reaches the names for cgroups.
#include "agent/daemon/kubernetes_pods.hpp"

#include "tests/harness/catch.hpp"

using namespace omnitide;
using omnitide::collectors::CgroupLabels;

namespace {

kubernetes::Pod web() {
  kubernetes::Pod pod;
  pod.meta.name = {"shop", "web-0"};
  pod.meta.uid = kubernetes::uid_of("11111111-1111-1111-1111-111111111111");
  pod.kubelet_uid = kubernetes::uid_of("0f6a9d2c-33b1-4c9e-8a55-1234567890ab");
  pod.node = "node-1";
  pod.containers = {{"main", "abc"}};
  return pod;
}

CgroupLabels named(const collectors::PodNames& names, std::string id, std::string uid = {}) {
  CgroupLabels labels{.container_id = std::move(id), .pod_uid = std::move(uid)};
  names.name(labels);
  return labels;
}

}  // namespace

TEST_CASE("pods of this node have names, until they have ended") {
  collectors::PodNames names;
  daemon::tell_names(names, "kubernetes:Pod/shop/web-0", web(), "node-1");
  CHECK(named(names, "abc").container == "main");
  CHECK(named(names, "", "0f6a9d2c-33b1-4c9e-8a55-1234567890ab").pod == "web-0");
  CHECK(named(names, "", "11111111-1111-1111-1111-111111111111").pod.empty());
  kubernetes::Pod ended = web();
  ended.finished = true;
  daemon::tell_names(names, "kubernetes:Pod/shop/web-0", ended, "node-1");
  CHECK(names.size() == 0);
}

TEST_CASE("pods of other nodes and pods without a node have none") {
  collectors::PodNames names;
  kubernetes::Pod pod = web();
  pod.node = "node-2";
  daemon::tell_names(names, "a", pod, "node-1");
  pod.node.clear();
  daemon::tell_names(names, "b", pod, "node-1");
  CHECK(names.size() == 0);
}
