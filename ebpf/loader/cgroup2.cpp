#include "ebpf/loader/cgroup2.hpp"

#include <vector>

#include "agent/base/text.hpp"

namespace omnitide::ebpf {

namespace {

// White space and backslashes in paths are octal: "\040".
std::string unescape(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto code = text[i] == '\\' ? parse_number<unsigned>(text.substr(i + 1, 3), 8) : std::nullopt;
    if (code && *code < 256 && i + 3 < text.size()) {
      out += static_cast<char>(*code);
      i += 3;
    } else {
      out += text[i];
    }
  }
  return out;
}

}  // namespace

std::optional<std::string> find_cgroup2(std::string_view mountinfo) {
  constexpr std::size_t kRoot = 3, kPoint = 4, kOptional = 6;
  std::optional<std::string> part;
  for (const std::string_view line : split(mountinfo, '\n')) {
    const std::vector<std::string_view> words = split_words(line);
    std::size_t dash = kOptional;
    while (dash < words.size() && words[dash] != "-")
      ++dash;
    if (dash + 1 >= words.size() || words[dash + 1] != "cgroup2") continue;
    if (words[kRoot] == "/") return unescape(words[kPoint]);
    if (!part) part = unescape(words[kPoint]);
  }
  return part;
}

}  // namespace omnitide::ebpf
