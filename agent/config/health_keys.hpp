// The keys of health.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/config/schema.hpp"

namespace omnitide::config {

[[nodiscard]] const std::vector<Key>& health_keys();
// Of health.remediation, what is off by default; inside of the room, as the two below.
[[nodiscard]] std::vector<Key> mending_keys();
// A list of texts that are all valid; one that comes twice is taken once.
void read_texts(const Value& value, std::string_view right, const std::function<bool(std::string_view)>& valid,
                const std::string& hint, std::vector<std::string>& out, Problems& problems);
// systemd.unit(5): a whole name, as "nginx.service".
[[nodiscard]] bool is_unit(std::string_view text);

// "[DAY ]HH:MM-HH:MM", DAY as Sun, Mon, ...; nothing when it is none.
struct HealthWindow {
  int weekday = -1;  // 0 is Sunday; -1: each day
  std::chrono::minutes begin{0}, end{0};
};
[[nodiscard]] std::optional<HealthWindow> parse_window(std::string_view text);

// "PATH AGE": regular files below the folder that are older are removed. Nothing when it is none, and for folders that
// an operating system needs: only those of some depth, below /var, /srv, /opt, /tmp, /mnt, /media, /data.
struct Cleaning {
  std::string path;  // absolute, without "." and ".."
  std::chrono::milliseconds older_than{0};
};
[[nodiscard]] std::optional<Cleaning> parse_cleaning(std::string_view text);

}  // namespace omnitide::config
