// One record of /dev/kmsg. Form: Documentation/ABI/testing/dev-kmsg of the kernel.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace omnitide::health {

struct KernelRecord {
  unsigned level = 0, facility = 0;  // syslog(3): level 3 is an error; facility 0 is the kernel itself
  std::uint64_t sequence = 0;        // one more for each record since the boot
  std::chrono::microseconds time{};  // since the boot
  std::string text;                  // without its tags, escapes undone
};

// Nothing when the bytes are no record.
[[nodiscard]] std::optional<KernelRecord> parse_kernel_record(std::string_view bytes);

}  // namespace omnitide::health
