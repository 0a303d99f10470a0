// The file of SparkplugState: lines of words, the broker's name last.
#include <fmt/format.h>

#include "agent/base/text.hpp"
#include "agent/telemetry/sparkplug_session.hpp"

namespace omnitide::telemetry {

namespace {

constexpr std::string_view kFirstLine = "omnitide-sparkplug 1";
constexpr std::size_t kMostLines = 16;

}  // namespace

std::string encode_state(const SparkplugState& state) {
  std::string out = fmt::format("{}\nbdseq {}\n", kFirstLine, state.next_bd_seq);
  for (const HostState& host : state.hosts)
    out += fmt::format("host {} {} {}\n", host.timestamp, host.online ? "online" : "offline", host.broker);
  return out;
}

Result<SparkplugState> decode_state(std::string_view text) {
  const auto damaged = [] { return fail(Code::data_loss, "the state of the Sparkplug session is damaged"); };
  const std::vector<std::string_view> lines = split(text, '\n');
  if (lines.size() < 3 || lines.size() > kMostLines || lines[0] != kFirstLine || !lines.back().empty())
    return damaged();
  SparkplugState out;
  for (std::size_t i = 1; i + 1 < lines.size(); ++i) {
    const std::vector<std::string_view> words = split(lines[i], ' ');
    const std::optional<std::uint64_t> number = words.size() > 1 ? parse_number<std::uint64_t>(words[1]) : std::nullopt;
    if (!number) return damaged();
    if (i == 1 && words.size() == 2 && words[0] == "bdseq" && *number < 256) {
      out.next_bd_seq = *number;
    } else if (i > 1 && words.size() >= 4 && words[0] == "host" && (words[2] == "online" || words[2] == "offline")) {
      const auto broker = static_cast<std::size_t>(words[3].data() - lines[i].data());
      out.hosts.push_back({std::string(lines[i].substr(broker)), *number, words[2] == "online"});
    } else {
      return damaged();
    }
  }
  return out;
}

}  // namespace omnitide::telemetry
