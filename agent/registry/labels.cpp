#include "agent/registry/labels.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "agent/base/characters.hpp"
#include "agent/base/text.hpp"

namespace omnitide::registry {

namespace {

// Begins and ends with a letter or digit; '-', '_' and '.' between.
bool is_label_text(std::string_view text, std::size_t limit) {
  if (text.empty() || text.size() > limit) return false;
  if (!is_alphanumeric(text.front()) || !is_alphanumeric(text.back())) return false;
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return is_alphanumeric(c) || c == '-' || c == '_' || c == '.'; });
}

bool is_prefix(std::string_view text) {
  return is_label_text(text, 253) &&
         std::none_of(text.begin(), text.end(), [](char c) { return c == '_' || (c >= 'A' && c <= 'Z'); });
}

bool is_key(std::string_view key) {
  const std::size_t slash = key.find('/');
  if (slash == std::string_view::npos) return is_label_text(key, 63);
  return is_prefix(key.substr(0, slash)) && is_label_text(key.substr(slash + 1), 63);
}

}  // namespace

Result<> check_labels(const Labels& labels) {
  const auto wrong = [](std::string message) {
    Error error = fail(Code::invalid_argument, std::move(message));
    error.field = "labels";
    return error;
  };
  if (labels.size() > kMaxLabels)
    return wrong(fmt::format("{} labels, at most {} are kept", labels.size(), kMaxLabels));
  for (const auto& [key, value] : labels) {
    if (!is_key(key)) return wrong(fmt::format("\"{}\" is not a label key", printable(key, 80)));
    if (!value.empty() && !is_label_text(value, 63)) {
      return wrong(fmt::format("\"{}\" is not a value for label {}", printable(value, 80), key));
    }
  }
  return {};
}

std::string encode_labels(const Labels& labels) {
  std::string out;
  for (const auto& [key, value] : labels)
    out.append(key).append(1, '=').append(value).append(1, '\n');
  return out;
}

Labels decode_labels(std::string_view text) {
  Labels out;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    const std::size_t equals = std::min(line.find('='), line.size());
    out.emplace(line.substr(0, equals), line.substr(std::min(equals + 1, line.size())));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return out;
}

Labels effective_labels(std::string_view agent, std::string_view token, std::string_view registry) {
  Labels out = decode_labels(registry);
  out.merge(decode_labels(token));
  out.merge(decode_labels(agent));
  return out;
}

}  // namespace omnitide::registry
