#include "health/checks/log_line.hpp"

#include <re2/re2.h>

#include <utility>
#include <vector>

#include "agent/base/text.hpp"
#include "health/checks/log_pattern.hpp"
#include "health/checks/time_layout.hpp"

namespace omnitide::health {

namespace {

constexpr std::int64_t kLineMemory = 256 << 10;  // bytes for one compiled expression and its states
constexpr int kMostGroups = 16;
constexpr std::size_t kLongestLayout = 128;

RE2::Options capturing() {
  RE2::Options out(RE2::Quiet);
  out.set_max_mem(kLineMemory);
  return out;
}

std::optional<std::string> last_group(const RE2& pattern, std::string_view line) {
  const int groups = pattern.NumberOfCapturingGroups() + 1;
  std::vector<re2::StringPiece> found(static_cast<std::size_t>(groups));
  if (!pattern.Match(re2::StringPiece(line.data(), line.size()), 0, line.size(), RE2::UNANCHORED, found.data(), groups))
    return std::nullopt;
  return std::string(found.back().data() == nullptr ? "" : found.back().data(), found.back().size());
}

Error refused(std::string field, std::string message) {
  return {.code = Code::invalid_argument, .message = std::move(message), .field = std::move(field), .hint = {}};
}

}  // namespace

struct LogLineForm::Patterns {
  RE2 timestamp, message;
  Patterns(const std::string& time_text, const std::string& message_text)
      : timestamp(time_text, capturing()), message(message_text, capturing()) {}
};

Result<LogLineForm> LogLineForm::make(const std::string& timestamp, const std::string& message, std::string layout) {
  if (timestamp.empty() || timestamp.size() > LogPattern::kLongest)
    return refused("timestamp", "there is no pattern of the time, or it is longer than 1024 bytes");
  if (message.empty() || message.size() > LogPattern::kLongest)
    return refused("message", "there is no pattern of the message, or it is longer than 1024 bytes");
  if (layout.empty() || layout.size() > kLongestLayout)
    return refused("timestampFormat", "there is no layout of the time, or it is longer than 128 bytes");
  auto patterns = std::make_shared<const Patterns>(timestamp, message);
  for (const auto& [field, pattern] :
       {std::pair("timestamp", &patterns->timestamp), std::pair("message", &patterns->message)}) {
    if (!pattern->ok()) return refused(field, "a pattern is no regular expression: " + printable(pattern->error()));
    if (pattern->NumberOfCapturingGroups() >= kMostGroups) return refused(field, "a pattern has more than 15 groups");
  }
  return LogLineForm(std::move(patterns), std::move(layout));
}

std::optional<LogLineForm::Line> LogLineForm::parse(std::string_view line, WallTime now) const {
  const std::optional<std::string> time = last_group(patterns_->timestamp, line);
  if (!time) return std::nullopt;
  const std::optional<WallTime> at = parse_time(layout_, *time, now);
  if (!at) return std::nullopt;
  std::optional<std::string> message = last_group(patterns_->message, line);
  if (!message) return std::nullopt;
  return Line{*at, std::move(*message)};
}

}  // namespace omnitide::health
