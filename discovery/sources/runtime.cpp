// Container runtimes, by the sockets at which they listen by default.
#include <fcntl.h>
#include <sys/stat.h>

#include <array>
#include <utility>

#include "discovery/sources/catalogue.hpp"

namespace omnitide::discovery {

namespace {

struct KnownSocket {
  std::string_view runtime, path;
};

constexpr std::array<KnownSocket, 8> kSockets{{
    {"containerd", "/run/containerd/containerd.sock"},
    {"containerd", "/run/k3s/containerd/containerd.sock"},            // k3s, RKE2
    {"containerd", "/run/k0s/containerd.sock"},                       // k0s
    {"containerd", "/var/snap/microk8s/common/run/containerd.sock"},  // MicroK8s
    {"cri-o", "/run/crio/crio.sock"},
    {"docker", "/run/docker.sock"},
    {"cri-dockerd", "/run/cri-dockerd.sock"},
    {"podman", "/run/podman/podman.sock"},
}};

bool is_socket(const Root& root, const std::string& path) {
  const Result<UniqueFd> fd = root.open_at(path, O_PATH);
  struct stat info {};
  return fd.has_value() && ::fstat(fd->get(), &info) == 0 && S_ISSOCK(info.st_mode);
}

Result<Report> read_runtimes(const Root& root) {
  std::vector<model::ContainerRuntime> runtimes;
  for (const KnownSocket& known : kSockets) {
    std::string path(known.path);
    if (is_socket(root, path))
      runtimes.push_back({.name = std::string(known.runtime), .socket = std::move(path), .version = {}});
  }
  Report report;
  report.patch = [runtimes = std::move(runtimes)](model::NodeFacts& node) {
    node.system.container_runtimes = runtimes;
  };
  return report;
}

}  // namespace

Source runtime_source() {
  return {.name = "runtime",
          .deadline = std::chrono::milliseconds{1000},
          .subsystems = {},
          .on_rtnetlink = false,
          .on_mounts = false,
          .read = read_runtimes};
}

}  // namespace omnitide::discovery
