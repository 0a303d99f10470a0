// Names of Kubernetes for cgroups, as the watch tells them: early, late, changed and gone.
#include "ebpf/collectors/pod_names.hpp"

#include "tests/harness/catch.hpp"

using omnitide::collectors::CgroupLabels;
using omnitide::collectors::describe_cgroup;
using omnitide::collectors::PodNames;

namespace {

const std::string kMain(64, 'a'), kProxy(64, 'b');
const std::string kUid = "0f6a9d2c-33b1-4c9e-8a55-1234567890ab", kDigits = "0f6a9d2c33b14c9e8a551234567890ab";
const std::string kPodPath = "/kubepods/burstable/pod" + kUid;

PodNames::Pod web(std::string name = "web-0") {
  return {
      .space = "shop", .name = std::move(name), .uids = {kDigits}, .containers = {{kMain, "main"}, {kProxy, "proxy"}}};
}

CgroupLabels named(const PodNames& names, const std::string& path) {
  CgroupLabels labels = describe_cgroup(path);
  names.name(labels);
  return labels;
}

void check(const CgroupLabels& labels, std::string_view space, std::string_view pod, std::string_view container) {
  INFO(labels.cgroup);
  CHECK(labels.space == space);
  CHECK(labels.pod == pod);
  CHECK(labels.container == container);
}

}  // namespace

TEST_CASE("a container is known by its id, its pod's own cgroup and the sandbox by the pod") {
  PodNames names;
  names.put("web-0", web());
  check(named(names, kPodPath + "/" + kMain), "shop", "web-0", "main");
  check(named(names, kPodPath + "/" + kProxy), "shop", "web-0", "proxy");
  check(named(names, kPodPath), "shop", "web-0", "");
  check(named(names, kPodPath + "/" + std::string(64, 'c')), "shop", "web-0", "");
  check(named(names, "/k8s.io/" + kMain), "shop", "web-0", "main");  // no pod in its path
  check(
      named(names, "/kubepods.slice/kubepods-pod0f6a9d2c_33b1_4c9e_8a55_1234567890ab.slice/crio-" + kProxy + ".scope"),
      "shop", "web-0", "proxy");
  check(named(names, "/system.slice/cron.service"), "", "", "");
  check(named(names, "/docker/" + std::string(64, 'd')), "", "", "");
}

TEST_CASE("a static pod is known by the kubelet's hash") {
  PodNames names;
  names.put("etcd", {.space = "kube-system", .name = "etcd-node-1", .uids = {kDigits}, .containers = {}});
  check(named(names, "/kubepods/besteffort/pod" + kDigits + "/" + kMain), "kube-system", "etcd-node-1", "");
}

TEST_CASE("what a cgroup had stays its own when the pod is gone, and another one under the same key is another pod") {
  PodNames names;
  names.put("web-0", web());
  CgroupLabels old = named(names, kPodPath + "/" + kMain);
  names.put("web-0", {.space = "shop",
                      .name = "web-0",
                      .uids = {std::string(32, '1')},
                      .containers = {{std::string(64, 'e'), "main"}}});
  names.name(old);
  check(old, "shop", "web-0", "main");
  check(named(names, kPodPath + "/" + kMain), "", "", "");
  check(named(names, "/k8s.io/" + std::string(64, 'e')), "shop", "web-0", "main");
  names.remove("web-0");
  names.remove("web-0");
  CHECK(names.size() == 0);
  check(named(names, "/k8s.io/" + std::string(64, 'e')), "", "", "");
}

TEST_CASE("the end of a pod takes nothing from one that has its ids now") {
  PodNames names;
  names.put("old", web("old"));
  names.put("new", web("new"));
  names.remove("old");
  check(named(names, kPodPath + "/" + kMain), "shop", "new", "main");
}

TEST_CASE("pods and containers beyond the limit have no names, names from outside are printable") {
  PodNames names;
  for (std::size_t i = 0; i < PodNames::kMostPods + 10; ++i)
    names.put("p" + std::to_string(i), {.space = "s", .name = "p", .uids = {}, .containers = {}});
  CHECK(names.size() == PodNames::kMostPods);
  names.remove("p0");
  PodNames::Pod many{.space = "a\nb", .name = std::string(5000, 'n'), .uids = {kDigits}, .containers = {}};
  for (std::size_t i = 0; i < PodNames::kMostContainers; ++i)
    many.containers.push_back({"id" + std::to_string(i), "c"});
  many.containers.push_back({kMain, "beyond"});
  names.put("many", many);
  const CgroupLabels labels = named(names, kPodPath + "/" + kMain);
  CHECK(labels.space == "a\\x0ab");
  CHECK(labels.pod.size() < 300);
  CHECK(labels.container.empty());
}
