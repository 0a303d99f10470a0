#include "ebpf/collectors/cgroup_names.hpp"

#include <algorithm>
#include <cstddef>
#include <vector>

#include "agent/base/text.hpp"

namespace omnitide::collectors {

namespace {

constexpr std::size_t kLongest = 400;  // bytes of a label

bool is_hex(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

// The ids of docker, containerd, CRI-O and podman.
bool is_container_id(std::string_view text) { return (text.size() == 64 || text.size() == 32) && is_hex(text); }

// "docker-ID.scope", "cri-containerd-ID.scope", "crio-ID.scope", "libpod-ID.scope", "crio-ID", or the ID alone; with
// containerd's "SLICE:cri-containerd:ID" when its two drivers were mixed up. A conmon watches a container, and is none.
std::string_view container_of(std::string_view part) {
  if (part.find("conmon") != std::string_view::npos) return {};
  if (part.ends_with(".scope")) part.remove_suffix(std::string_view(".scope").size());
  const std::size_t divider = part.find_last_of("-:");
  const std::string_view id = divider == std::string_view::npos ? part : part.substr(divider + 1);
  if (is_container_id(id)) return id;
  for (const std::string_view prefix : {std::string_view("lxc.payload."), std::string_view("machine-")}) {
    if (part.starts_with(prefix) && part.size() > prefix.size()) return part.substr(prefix.size());
  }
  return {};
}

// Below it are pods: "kubepods", "kubepods.slice", and with a cgroupRoot "kubelet-kubepods.slice" (kind has one).
constexpr std::string_view kPods = "kubepods";

// "kubepods-burstable-podUID.slice" with underscores, or "podUID". A static pod's UID has no dashes.
std::string pod_of(std::string_view part) {
  if (part.ends_with(".slice")) {
    part.remove_suffix(std::string_view(".slice").size());
    if (part.find("kubepods-") == std::string_view::npos) return {};
    part.remove_prefix(part.rfind('-') + 1);
  }
  if (!part.starts_with("pod")) return {};
  std::string uid(part.substr(3));
  std::ranges::replace(uid, '_', '-');
  std::string digits = uid;
  std::erase(digits, '-');
  return digits.size() == 32 && is_hex(digits) ? uid : std::string();
}

bool is_unit(std::string_view part) {
  constexpr std::array<std::string_view, 5> kSuffixes{".service", ".scope", ".socket", ".mount", ".swap"};
  return std::ranges::any_of(kSuffixes, [part](std::string_view suffix) { return part.ends_with(suffix); });
}

}  // namespace

CgroupLabels describe_cgroup(std::string_view path) {
  CgroupLabels out;
  out.cgroup = printable(path.empty() ? "/" : path, kLongest);
  std::string_view unit, slice;
  bool in_pods = false;
  for (const std::string_view part : split(path, '/')) {
    in_pods = in_pods || part.find(kPods) != std::string_view::npos;
    if (const std::string pod = in_pods ? pod_of(part) : std::string(); !pod.empty()) out.pod_uid = pod;
    if (const std::string_view container = container_of(part); !container.empty()) {
      out.container_id = printable(container, kLongest);
      unit = {};
    } else if (is_unit(part)) {
      unit = part;
    } else if (part.ends_with(".slice")) {
      slice = part;
    }
  }
  if (!unit.empty())
    out.unit = printable(unit, kLongest);
  else if (out.container_id.empty())
    out.unit = printable(slice, kLongest);
  return out;
}

}  // namespace omnitide::collectors
