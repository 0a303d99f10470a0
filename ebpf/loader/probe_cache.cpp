#include <fmt/format.h>
#include <sys/utsname.h>

#include <cstddef>
#include <optional>
#include <utility>

#include "agent/base/file.hpp"
#include "agent/base/text.hpp"
#include "agent/base/version.hpp"
#include "ebpf/loader/capabilities.hpp"
#include "ebpf/loader/probe.hpp"

namespace omnitide::ebpf {

namespace {

constexpr std::size_t kLimit = 64U << 10U;
constexpr std::size_t kMaxFeatures = 256;

// One line that says what the answers depend on, one for each feature, and one that says that the file is whole:
//   omnitide-ebpf 1 VERSION BOOT_ID RELEASE CAPABILITIES
//   tcx yes
//   lsm no EPERM: load: operation not permitted
//   end 2
std::string first_line(std::string_view boot_id) {
  utsname names{};
  const bool known = ::uname(&names) == 0;
  return fmt::format("omnitide-ebpf 1 {} {} {} {:x}", version(), boot_id, known ? &names.release[0] : "-",
                     effective_capabilities());
}

std::string render(const std::vector<model::EbpfFeature>& features, std::string_view boot_id) {
  std::string text = first_line(boot_id) + '\n';
  for (const model::EbpfFeature& feature : features) {
    text += fmt::format("{} {}{}{}\n", feature.name, feature.works ? "yes" : "no", feature.reason.empty() ? "" : " ",
                        printable(feature.reason));
  }
  return text + fmt::format("end {}\n", features.size());
}

std::optional<model::EbpfFeature> parse_line(std::string_view line) {
  const std::size_t name_end = line.find(' ');
  if (name_end == std::string_view::npos || name_end == 0) return std::nullopt;
  const std::string_view rest = line.substr(name_end + 1);
  const std::size_t answer_end = rest.find(' ');
  const std::string_view answer = rest.substr(0, answer_end);
  if (answer != "yes" && answer != "no") return std::nullopt;
  const std::string_view reason = answer_end == std::string_view::npos ? "" : rest.substr(answer_end + 1);
  if ((answer == "yes") != reason.empty()) return std::nullopt;
  return model::EbpfFeature{
      .name = std::string(line.substr(0, name_end)), .works = answer == "yes", .reason = std::string(reason)};
}

std::optional<std::vector<model::EbpfFeature>> parse(std::string_view text, std::string_view boot_id) {
  if (!text.ends_with('\n')) return std::nullopt;
  text.remove_suffix(1);
  const std::vector<std::string_view> lines = split(text, '\n');
  if (lines.size() < 3 || lines.size() > kMaxFeatures || lines.front() != first_line(boot_id)) return std::nullopt;
  if (lines.back() != fmt::format("end {}", lines.size() - 2)) return std::nullopt;
  std::vector<model::EbpfFeature> features;
  for (std::size_t i = 1; i + 1 < lines.size(); ++i) {
    std::optional<model::EbpfFeature> feature = parse_line(lines[i]);
    if (!feature) return std::nullopt;
    features.push_back(std::move(*feature));
  }
  return features;
}

}  // namespace

std::vector<model::EbpfFeature> probe_cached(const std::string& cache_file, std::string_view boot_id, bool force) {
  const bool cached = !cache_file.empty() && !boot_id.empty();
  if (cached && !force) {
    if (const Result<std::string> text = read_file(cache_file, kLimit)) {
      if (auto features = parse(*text, boot_id)) return std::move(*features);
    }
  }
  std::vector<model::EbpfFeature> features = probe();
  if (cached) (void)write_file_durably(cache_file, render(features, boot_id));
  return features;
}

}  // namespace omnitide::ebpf
