// os-release(5): assignments in a subset of the shell's syntax.
#pragma once

#include <string>
#include <string_view>

namespace omnitide::discovery {

struct OsRelease {
  std::string id = "linux", version_id, pretty_name = "Linux";  // the defaults of os-release(5)
};

// Lines that are no assignment are ignored, as os-release(5) asks; of two assignments the later one counts. Values are
// cut at 256 bytes and fit to be printed. Any bytes are safe.
[[nodiscard]] OsRelease parse_os_release(std::string_view text);

}  // namespace omnitide::discovery
