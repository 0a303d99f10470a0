// What this process has of memory.
#pragma once

#include <cstddef>
#include <fstream>
#include <string>

namespace omnitide::test {

// AddressSanitizer keeps freed memory back, to find who uses it: what a process has then says nothing.
#if defined(__SANITIZE_ADDRESS__)
inline constexpr bool kKeepsFreedMemory = true;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
inline constexpr bool kKeepsFreedMemory = true;
#else
inline constexpr bool kKeepsFreedMemory = false;
#endif
#else
inline constexpr bool kKeepsFreedMemory = false;
#endif

// VmRSS of proc_pid_status(5); 0 when it cannot be read.
inline std::size_t resident_kilobytes() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("VmRSS:")) return std::stoul(line.substr(6));
  }
  return 0;
}

}  // namespace omnitide::test
