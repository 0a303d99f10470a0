// What one asks of a TCP socket on Linux. Apart, since the kernel's header and libc's of the same name exclude each
// other.
#pragma once

#include <cstdint>

namespace omnitide::io {

[[nodiscard]] std::uint64_t bytes_received(int fd);  // since the connection began; 0 when the kernel does not say
void set_cork(int fd, bool on);                      // while on, only full segments leave

}  // namespace omnitide::io
