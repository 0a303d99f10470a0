#include "ebpf/loader/cgroup2.hpp"

#include <fmt/format.h>
#include <linux/magic.h>
#include <sys/vfs.h>

#include <vector>

#include "agent/base/file.hpp"
#include "agent/base/text.hpp"

namespace omnitide::ebpf {

namespace {

constexpr std::size_t kMostMounts = std::size_t{16} << 20U;

bool is_cgroup2(const std::string& folder) {
  struct statfs is {};
  return ::statfs(folder.c_str(), &is) == 0 && is.f_type == CGROUP2_SUPER_MAGIC;
}

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

Result<std::string> cgroup2_root(const std::string& configured) {
  if (configured.empty()) {
    const Result<std::string> mounts = read_file("/proc/self/mountinfo", kMostMounts);
    if (mounts.has_error()) return mounts.error();
    std::optional<std::string> found = find_cgroup2(*mounts);
    if (!found) return fail(Code::failed_precondition, "cgroup v2 is not mounted");
    return std::move(*found);
  }
  for (const std::string& each : {configured, configured + "/unified"})
    if (is_cgroup2(each)) return each;
  return fail(Code::failed_precondition, fmt::format("neither {0} nor {0}/unified is cgroup v2", configured))
      .with_hint("policy.cgroup_root names the folder where cgroup v2 is mounted");
}

}  // namespace omnitide::ebpf
