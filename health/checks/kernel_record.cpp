#include "health/checks/kernel_record.hpp"

#include "agent/base/text.hpp"

namespace omnitide::health {

namespace {

std::string unescaped(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 3 < text.size() && text[i + 1] == 'x') {
      if (const auto byte = parse_number<std::uint8_t>(text.substr(i + 2, 2), 16)) {
        out += static_cast<char>(*byte);
        i += 3;
        continue;
      }
    }
    out += text[i];
  }
  return out;
}

}  // namespace

// "PRIORITY,SEQUENCE,MICROSECONDS,FLAGS[,...];TEXT\n" and lines of tags behind it.
std::optional<KernelRecord> parse_kernel_record(std::string_view bytes) {
  const std::size_t semicolon = bytes.find(';');
  if (semicolon == std::string_view::npos) return std::nullopt;
  const auto fields = split(bytes.substr(0, semicolon), ',');
  if (fields.size() < 3) return std::nullopt;
  const auto priority = parse_number<std::uint32_t>(fields[0]);
  const auto sequence = parse_number<std::uint64_t>(fields[1]);
  const auto time = parse_number<std::int64_t>(fields[2]);
  if (!priority || !sequence || !time) return std::nullopt;
  std::string_view text = bytes.substr(semicolon + 1);
  text = text.substr(0, text.find('\n'));
  return KernelRecord{.level = *priority & 7U,
                      .facility = *priority >> 3U,
                      .sequence = *sequence,
                      .time = std::chrono::microseconds(*time),
                      .text = unescaped(text)};
}

}  // namespace omnitide::health
