#include "discovery/sources/os_release.hpp"

#include "agent/base/text.hpp"

namespace omnitide::discovery {

namespace {

constexpr std::size_t kMaxValue = 256;

// Takes quotes away as a shell would: none inside '...', in "..." a backslash protects $ ` " \ and itself, outside of
// quotes it protects the next byte.
std::string unquote(std::string_view text) {
  std::string out;
  char quote = '\0';
  for (std::size_t i = 0; i < text.size() && out.size() < kMaxValue; ++i) {
    const char c = text[i];
    const bool more = i + 1 < text.size();
    if (quote == '\0' && (c == '"' || c == '\'')) {
      quote = c;
    } else if (quote != '\0' && c == quote) {
      quote = '\0';
    } else if (c == '\\' && more && quote == '\0') {
      out.push_back(text[++i]);
    } else if (c == '\\' && more && quote == '"' &&
               std::string_view("$`\"\\").find(text[i + 1]) != std::string_view::npos) {
      out.push_back(text[++i]);
    } else {
      out.push_back(c);
    }
  }
  return printable(out);
}

}  // namespace

OsRelease parse_os_release(std::string_view text) {
  OsRelease out;
  for (std::string_view line : split(text, '\n')) {
    line = trim(line);
    const std::size_t equals = line.find('=');
    if (line.starts_with('#') || equals == std::string_view::npos) continue;
    const std::string_view key = line.substr(0, equals);
    const std::string_view value = line.substr(equals + 1);
    if (key == "ID") out.id = unquote(value);
    if (key == "VERSION_ID") out.version_id = unquote(value);
    if (key == "PRETTY_NAME") out.pretty_name = unquote(value);
  }
  return out;
}

}  // namespace omnitide::discovery
