// What only the driver of a NIC knows: offloads and its own name, by the ethtool ioctl; XDP features, by the "netdev"
// generic netlink family. Kernel: include/uapi/linux/ethtool.h, Documentation/netlink/specs/netdev.yaml.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "agent/base/error.hpp"
#include "agent/base/fd.hpp"

namespace omnitide::discovery {

// Asks about links of the network namespace in which it was opened.
class Ethtool {
 public:
  [[nodiscard]] static Result<Ethtool> open();
  // Names of the active features, sorted ("rx-gro", "tx-checksum-ipv4", ...); empty when the link has none to tell.
  [[nodiscard]] std::vector<std::string> offloads(const std::string& link);
  struct Driver {
    std::string name, version, firmware;
  };
  [[nodiscard]] Driver driver(const std::string& link) const;
  struct Settings {
    std::optional<std::uint64_t> bits_per_second;
    std::string duplex;  // "full", "half", or empty
    std::optional<bool> auto_negotiation;
  };
  [[nodiscard]] Settings settings(const std::string& link);

 private:
  bool call(const std::string& link, void* data) const;
  bool load_names(const std::string& link);

  UniqueFd fd_;
  std::vector<std::string> names_;  // by feature bit: the same for every link
  std::int8_t mode_words_ = 0;      // how long the kernel's masks of link modes are, 0: not asked yet
};

// The names of set bits: "basic", "redirect", "ndo-xmit", "xsk-zerocopy", "hw-offload", "rx-sg", "ndo-xmit-sg".
[[nodiscard]] std::vector<std::string> xdp_feature_names(std::uint64_t bits);

// The payload of a NETDEV_CMD_DEV_GET answer: interface index and feature bits. nullopt when malformed.
[[nodiscard]] std::optional<std::pair<std::uint32_t, std::uint64_t>> parse_xdp_features(std::string_view payload);

// XDP feature bits by interface index. not_found before kernel 6.3, which has no such family.
[[nodiscard]] Result<std::map<std::uint32_t, std::uint64_t>> dump_xdp_features();

}  // namespace omnitide::discovery
