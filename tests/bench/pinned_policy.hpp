// What a running agent enforces, seen from outside in its pinned maps.
#pragma once

#include <bpf/bpf.h>

#include <cstdint>
#include <filesystem>
#include <stdexcept>
#include <string>

#include "agent/base/address.hpp"
#include "agent/base/fd.hpp"
#include "ebpf/abi/policy.h"
#include "ebpf/enforcement/encode.hpp"

namespace omnitide::bench {

class PinnedPolicy {
 public:
  // `folder` is the agent's policy.pin_dir.
  explicit PinnedPolicy(const std::string& folder)
      : addresses_(pinned(folder, "addresses")), publication_(pinned(folder, "publication")) {}

  // 0: the address is not known.
  [[nodiscard]] std::uint32_t identity(const Address& address) const {
    const policy_address key = enforcement::encode(address);
    policy_location value{};
    return bpf_map_lookup_elem(addresses_.get(), &key, &value) == 0 ? value.identity : 0;
  }
  // Whether every endpoint judges by what the maps say: no change is half published.
  [[nodiscard]] bool at_rest() const {
    const std::uint32_t zero = 0;
    policy_publication now{};
    if (bpf_map_lookup_elem(publication_.get(), &zero, &now) != 0)
      throw std::runtime_error("publication is not readable");
    return now.sequence % 2 == 0;
  }

 private:
  static UniqueFd pinned(const std::string& folder, const std::string& map) {
    for (const auto& entry : std::filesystem::directory_iterator(folder)) {
      const int fd = bpf_obj_get((entry.path() / map).c_str());
      if (fd >= 0) return UniqueFd(fd);
    }
    throw std::runtime_error("no map " + map + " is pinned below " + folder);
  }
  UniqueFd addresses_, publication_;
};

}  // namespace omnitide::bench
