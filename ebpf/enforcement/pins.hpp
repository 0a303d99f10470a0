// The folder in the bpffs through which maps and links outlive the process:
//   BASE/policy-vN/MAP            N is POLICY_ABI
//   BASE/policy-vN/links/IFINDEX-in, -out, -xdp, and links/cgroup
//   BASE/closed/IFINDEX-in, -out  guards: what omnitide-cni attached to a new pod's device (agent/cni/guard.hpp); a
//   link,
//                                 or where the kernel has no tcx the program, whose filter is in clsact
#pragma once

#include <compare>
#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "agent/base/error.hpp"
#include "agent/base/fd.hpp"
#include "ebpf/enforcement/faults.hpp"
#include "ebpf/enforcement/maps.hpp"

namespace omnitide::enforcement {

enum class Hook : std::uint8_t { in, out, xdp, cgroup };

// Where a program is attached; the ifindex of the cgroup is 0.
struct LinkKey {
  std::uint32_t ifindex = 0;
  Hook hook = Hook::in;
  auto operator<=>(const LinkKey&) const = default;
};
[[nodiscard]] std::string link_name(const LinkKey& key);  // "7-in"
[[nodiscard]] std::optional<LinkKey> parse_link_name(std::string_view name);

struct PinnedLink {
  LinkKey key;
  std::string path;
  bool ours = true;  // in the folder of this version
};

class Pins {
 public:
  // Makes the folders. failed_precondition when `base` is not in a bpffs. Another version's folder stays as it is.
  [[nodiscard]] static Result<Pins> open(const std::string& base, unsigned abi, std::shared_ptr<Faults> faults);

  [[nodiscard]] std::string link_path(const LinkKey& key) const { return folder_ + "/links/" + link_name(key); }
  // The maps that an earlier process of this version pinned; empty ones are not there.
  [[nodiscard]] Shared maps() const;
  // The newest of the other versions' folders that has maps.
  [[nodiscard]] Shared foreign_maps() const;
  // Pins each map under a temporary name and renames it over what is there.
  [[nodiscard]] Result<> pin(const Maps& maps) const;

  // Those of every version.
  [[nodiscard]] std::vector<PinnedLink> links() const;
  [[nodiscard]] Result<> pin_link(int fd, const LinkKey& key) const;
  [[nodiscard]] Result<> adopt(const PinnedLink& link) const;  // moves it into this version's folder
  [[nodiscard]] Result<> remove(const std::string& path) const;

  [[nodiscard]] std::set<LinkKey> guards() const;
  [[nodiscard]] std::string guard_path(const LinkKey& key) const { return base_ + "/closed/" + link_name(key); }

  [[nodiscard]] Result<> remove_other_versions() const;
  [[nodiscard]] Result<> remove_all() const;  // every version, and BASE when it is empty then

 private:
  Pins(std::string base, std::string folder, std::shared_ptr<Faults> faults)
      : base_(std::move(base)), folder_(std::move(folder)), faults_(std::move(faults)) {}
  [[nodiscard]] std::vector<std::string> versions() const;  // folders
  [[nodiscard]] Result<> remove_version(const std::string& folder) const;

  std::string base_, folder_;
  std::shared_ptr<Faults> faults_;
};

}  // namespace omnitide::enforcement
