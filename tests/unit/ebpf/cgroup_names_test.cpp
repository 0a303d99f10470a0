// What the paths of cgroups tell, as systemd, kubelet and container engines make them.
#include "ebpf/collectors/cgroup_names.hpp"

#include <string>

#include "tests/harness/catch.hpp"

using omnitide::collectors::CgroupLabels;
using omnitide::collectors::describe_cgroup;

namespace {

const std::string kId = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

void check(const std::string& path, std::string_view unit, std::string_view container, std::string_view pod) {
  INFO(path);
  const CgroupLabels labels = describe_cgroup(path);
  CHECK(labels.cgroup == path);
  CHECK(labels.unit == unit);
  CHECK(labels.container_id == container);
  CHECK(labels.container.empty());  // a path has no names
  CHECK(labels.pod_uid == pod);
}

}  // namespace

TEST_CASE("units of systemd are the innermost ones") {
  check("/", "", "", "");
  check("/system.slice/cron.service", "cron.service", "", "");
  check("/system.slice/postgres.service/worker", "postgres.service", "", "");
  check("/user.slice/user-1000.slice/user@1000.service/app.slice/app-x.scope", "app-x.scope", "", "");
  check("/user.slice/user-1000.slice/session-3.scope", "session-3.scope", "", "");
  check("/system.slice", "system.slice", "", "");
  check("/init.scope", "init.scope", "", "");
}

TEST_CASE("containers of docker, containerd, CRI-O, podman and LXC") {
  check("/system.slice/docker-" + kId + ".scope", "", kId, "");
  check("/docker/" + kId, "", kId, "");
  check("/machine.slice/libpod-" + kId + ".scope", "", kId, "");
  check("/machine.slice/libpod-" + kId + ".scope/container", "", kId, "");
  check("/machine.slice/libpod-conmon-" + kId + ".scope", "libpod-conmon-" + kId + ".scope", "", "");
  check("/lxc.payload.web", "", "web", "");
  check("/machine.slice/machine-debian.scope", "", "debian", "");
  check("/docker/" + kId + "/system.slice/nginx.service", "nginx.service", kId, "");
}

TEST_CASE("pods of Kubernetes, by both cgroup drivers and all classes") {
  const std::string uid = "0f6a9d2c-33b1-4c9e-8a55-1234567890ab", low = "0f6a9d2c_33b1_4c9e_8a55_1234567890ab";
  check("/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod" + low + ".slice/cri-containerd-" + kId +
            ".scope",
        "", kId, uid);
  check("/kubepods.slice/kubepods-pod" + low + ".slice/crio-" + kId + ".scope", "", kId, uid);
  check("/kubepods/besteffort/pod" + uid + "/" + kId, "", kId, uid);
  check("/kubelet.slice/kubelet-kubepods.slice", "kubelet-kubepods.slice", "", "");
  check("/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-besteffort.slice/kubelet-kubepods-besteffort-pod" +
            low + ".slice/cri-containerd-" + kId + ".scope",
        "", kId, uid);
  check("/kubepods/burstable/pod" + uid + "/crio-" + kId, "", kId, uid);
  check("/kubepods.slice/kubepods-pod" + low + ".slice/crio-" + kId + ".scope/container", "", kId, uid);
  check("/kubepods.slice/kubepods-pod" + low + ".slice/crio-conmon-" + kId + ".scope", "crio-conmon-" + kId + ".scope",
        "", uid);
  // A static pod's UID is a hash; k3s in a container of docker's.
  check(
      "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod0123456789abcdef0123456789abcdef.slice/"
      "cri-containerd-" +
          kId + ".scope",
      "", kId, "0123456789abcdef0123456789abcdef");
  check("/docker/" + std::string(64, 'f') + "/kubepods/besteffort/pod" + uid + "/" + kId, "", kId, uid);
  check("/k8s.io/" + kId, "", kId, "");  // containerd, where the kubelet has no cgroups for pods
  check("/system.slice/kubepods-burstable-pod" + low + ".slice:cri-containerd:" + kId, "", kId, "");
  check("/kubepods/podnothing", "", "", "");
  check("/kubepods.slice/kubepods-pod" + low + ".slice", "kubepods-pod" + low + ".slice", "", uid);
}

TEST_CASE("names from outside are printable and bounded") {
  CHECK(describe_cgroup("/a\nb\x1b[2J").cgroup == "/a\\x0ab\\x1b[2J");
  CHECK(describe_cgroup("/\xff").cgroup == "/\\xff");
  CHECK(describe_cgroup("/" + std::string(5000, 'x')).cgroup.size() <= 410);
  CHECK(describe_cgroup("").cgroup == "/");
}
