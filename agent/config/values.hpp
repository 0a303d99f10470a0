// Turns a plain value into a typed one, or says what is wrong and what would be right. One function a type.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "agent/config/config.hpp"
#include "agent/config/document.hpp"

namespace omnitide::config {

// Where a reader puts what it found wrong. `Problem::field` is relative to the key: "", "[2]" or "name".
using Problems = std::vector<Problem>;

inline constexpr std::size_t kMaxListItems = 64, kLongestPath = 4000;
inline constexpr std::chrono::milliseconds kWeek = std::chrono::days{7};

void read_boolean(const Value& value, bool& out, Problems& problems);
void read_duration(const Value& value, std::chrono::milliseconds least, std::chrono::milliseconds most,
                   std::chrono::milliseconds& out, Problems& problems);
// Empty, or an absolute path. `longest` is in bytes.
void read_path(const Value& value, bool may_be_empty, std::size_t longest, std::string& out, Problems& problems);
void read_node_name(const Value& value, std::string& out, Problems& problems);
// Empty, or "https://HOST[:PORT]".
void read_endpoint(const Value& value, std::string& out, Problems& problems);
// "ADDRESS:PORT" with a literal address or localhost; IPv6 in brackets.
void read_listen(const Value& value, std::string& out, Problems& problems);
void read_host_names(const Value& value, std::vector<std::string>& out, Problems& problems);
void read_words(const Value& value, std::span<const std::string> allowed, std::vector<std::string>& out,
                Problems& problems);
// The index of the word in `allowed`.
void read_choice(const Value& value, std::span<const std::string> allowed, std::size_t& out, Problems& problems);
// Kubernetes label syntax for keys and values.
void read_labels(const Value& value, std::map<std::string, std::string>& out, Problems& problems);
// A whole number between the two, both included.
void read_count(const Value& value, std::uint32_t least, std::uint32_t most, std::uint32_t& out, Problems& problems);
// Names of network devices, with * and ?.
void read_device_names(const Value& value, std::vector<std::string>& out, Problems& problems);
// "0x3fff0000": bits of a packet's mark; 4 to 30 of them, side by side, and not kube-proxy's 0x4000 and 0x8000.
void read_mark_mask(const Value& value, std::uint32_t& out, Problems& problems);
void read_levels(const Value& value, std::map<log::Part, log::Level>& out, Problems& problems);

// The other way: a setting as it is written in a file.
[[nodiscard]] Value show(bool value);
[[nodiscard]] Value show(const std::string& value);
[[nodiscard]] Value show(std::uint32_t value);
[[nodiscard]] Value show(std::chrono::milliseconds value);
[[nodiscard]] Value show(const std::vector<std::string>& values);

// Whether a listen address that read_listen accepted can be reached from this machine only.
[[nodiscard]] bool is_loopback(std::string_view listen);

[[nodiscard]] const std::vector<std::string>& level_names();
[[nodiscard]] const std::vector<std::string>& part_names();

}  // namespace omnitide::config
