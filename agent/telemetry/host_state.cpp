#include "agent/telemetry/host_state.hpp"

#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <cstddef>
#include <optional>
#include <string>

#include "agent/base/text.hpp"

namespace omnitide::telemetry {

namespace {

constexpr std::size_t kLongest = 4096;
constexpr unsigned kDeepest = 8;

Error wrong(std::string_view what) {
  return fail(Code::invalid_argument, fmt::format("is no STATE of a host: {}", what));
}

// A reader of JSON that keeps nothing: enough for one flat object of a stranger.
class Json {
 public:
  explicit Json(std::string_view text) : rest_(text) {}

  [[nodiscard]] bool take(char c) {
    space();
    if (rest_.empty() || rest_.front() != c) return false;
    rest_.remove_prefix(1);
    return true;
  }
  [[nodiscard]] bool at_end() {
    space();
    return rest_.empty();
  }
  [[nodiscard]] std::optional<bool> boolean() {
    if (word("true")) return true;
    if (word("false")) return false;
    return std::nullopt;
  }
  // The text between quotes as it stands, escapes kept: no member that we look for has one.
  [[nodiscard]] std::optional<std::string_view> string() {
    if (!take('"')) return std::nullopt;
    for (std::size_t at = 0; at < rest_.size(); ++at) {
      if (static_cast<unsigned char>(rest_[at]) < 0x20) return std::nullopt;
      if (rest_[at] == '\\') {
        ++at;
      } else if (rest_[at] == '"') {
        const std::string_view out = rest_.substr(0, at);
        rest_.remove_prefix(at + 1);
        return out;
      }
    }
    return std::nullopt;
  }
  [[nodiscard]] std::optional<double> number() {
    space();
    double out = 0;
    if (rest_.empty() || (rest_.front() != '-' && (rest_.front() < '0' || rest_.front() > '9'))) return std::nullopt;
    const auto [end, problem] = std::from_chars(rest_.data(), rest_.data() + rest_.size(), out);
    if (problem != std::errc{}) return std::nullopt;
    rest_.remove_prefix(static_cast<std::size_t>(end - rest_.data()));
    return out;
  }
  [[nodiscard]] bool skip(unsigned depth = 0) {
    space();
    if (rest_.empty() || depth > kDeepest) return false;
    switch (rest_.front()) {
      case '"': return string().has_value();
      case '{': return skip_list('{', '}', depth);
      case '[': return skip_list('[', ']', depth);
      default: return word("null") || boolean().has_value() || number().has_value();
    }
  }

 private:
  void space() {
    while (!rest_.empty() && std::string_view(" \t\r\n").find(rest_.front()) != std::string_view::npos)
      rest_.remove_prefix(1);
  }
  bool word(std::string_view expected) {
    space();
    if (!rest_.starts_with(expected)) return false;
    rest_.remove_prefix(expected.size());
    return true;
  }
  bool skip_list(char open, char close, unsigned depth) {
    if (!take(open)) return false;
    if (take(close)) return true;
    do {
      if (open == '{' && (!string() || !take(':'))) return false;
      if (!skip(depth + 1)) return false;
    } while (take(','));
    return take(close);
  }

  std::string_view rest_;
};

bool is_timestamp(double value) { return value >= 0 && value <= 0x1p53 && value == std::floor(value); }

}  // namespace

Result<HostReport> parse_host_report(std::string_view json) {
  if (json.size() > kLongest) return wrong("it is too long");
  if (valid_utf8(json) != json) return wrong("it is not UTF-8");
  Json reader(json);
  std::optional<bool> online;
  std::optional<double> timestamp;
  if (!reader.take('{')) return wrong("it is no JSON object");
  if (!reader.take('}')) {
    do {
      const std::optional<std::string_view> name = reader.string();
      if (!name || !reader.take(':')) return wrong("it is no JSON object");
      if (*name == "online") {
        if (online || !(online = reader.boolean())) return wrong("'online' is no boolean, or is there twice");
      } else if (*name == "timestamp") {
        if (timestamp || !(timestamp = reader.number())) return wrong("'timestamp' is no number, or is there twice");
      } else if (!reader.skip()) {
        return wrong("a member is no JSON value");
      }
    } while (reader.take(','));
    if (!reader.take('}')) return wrong("it is no JSON object");
  }
  if (!reader.at_end()) return wrong("something follows the JSON object");
  if (!online || !timestamp) return wrong("'online' or 'timestamp' is missing");
  if (!is_timestamp(*timestamp)) return wrong("'timestamp' is no count of milliseconds");
  return HostReport{*online, static_cast<std::uint64_t>(*timestamp)};
}

}  // namespace omnitide::telemetry
