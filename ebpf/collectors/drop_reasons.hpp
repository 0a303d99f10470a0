// The kernel's own names for why it dropped a packet.
#pragma once

#include <cstdint>
#include <map>
#include <string>

namespace omnitide::collectors {

// enum skb_drop_reason of the running kernel (include/net/dropreason-core.h), by value: the common ones have names
// there. The upper half of a reason is a subsystem (enum skb_drop_reason_subsys, since Linux 6.4), whose own reasons
// are in a table of its module and not in BTF.
class DropReasons {
 public:
  DropReasons(std::map<std::uint32_t, std::string> reasons, std::map<std::uint32_t, std::string> subsystems)
      : reasons_(std::move(reasons)), subsystems_(std::move(subsystems)) {}
  // "NO_SOCKET"; "OPENVSWITCH_3" of a subsystem; "200" of one without a name.
  [[nodiscard]] std::string name(std::uint32_t reason) const;

 private:
  std::map<std::uint32_t, std::string> reasons_, subsystems_;
};

}  // namespace omnitide::collectors
