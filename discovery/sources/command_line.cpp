#include "discovery/sources/command_line.hpp"

#include <algorithm>
#include <array>

#include "agent/base/text.hpp"

namespace omnitide::discovery {

namespace {

constexpr std::string_view kRemoved = "[removed]";

// "rd.luks.key", "cryptkey", "rd.iscsi.in.password", "systemd.set_credential"; not "rd.vconsole.keymap".
bool is_secret(std::string_view name) {
  constexpr std::array<std::string_view, 8> kWithin{"password", "passwd",     "passphrase", "secret",
                                                    "token",    "credential", "luks",       "auth"};
  constexpr std::array<std::string_view, 5> kEnds{"key", "pass", "psk", "pin", "pw"};
  const std::string lower = to_lower(name);
  return std::ranges::any_of(kWithin, [&](std::string_view word) { return lower.find(word) != std::string::npos; }) ||
         std::ranges::any_of(kEnds, [&](std::string_view word) { return lower.ends_with(word); });
}

// "scheme://user:password@host/..." without what stands before the "@" (RFC 3986, 3.2.1).
std::string without_user(std::string_view value) {
  const std::size_t scheme = value.find("://");
  if (scheme == std::string_view::npos) return std::string(value);
  const std::size_t begin = scheme + 3;
  const std::string_view authority = value.substr(begin, std::min(value.find('/', begin), value.size()) - begin);
  const std::size_t at = authority.rfind('@');
  if (at == std::string_view::npos) return std::string(value);
  return std::string(value.substr(0, begin)) + std::string(kRemoved) + std::string(value.substr(begin + at));
}

// "NAME=VALUE", where the value may be options of its own: "rootflags=user=a,password=b".
std::string shown(std::string_view parameter) {
  const std::size_t equals = parameter.find('=');
  if (equals == std::string_view::npos) return std::string(parameter);
  const std::string_view name = parameter.substr(0, equals), value = parameter.substr(equals + 1);
  std::string out(parameter.substr(0, equals + 1));
  if (is_secret(name)) return out.append(kRemoved);
  const std::vector<std::string_view> options = split(value, ',');
  for (std::size_t i = 0; i < options.size(); ++i) {
    if (i > 0) out += ',';
    const std::size_t inner = options[i].find('=');
    const bool secret = inner != std::string_view::npos && is_secret(options[i].substr(0, inner));
    out += secret ? std::string(options[i].substr(0, inner + 1)).append(kRemoved) : without_user(options[i]);
  }
  return out;
}

}  // namespace

std::string without_secrets(std::string_view command_line) {
  std::string out;
  std::size_t begin = 0;
  bool quoted = false;
  for (std::size_t i = 0; i <= command_line.size(); ++i) {
    const bool end = i == command_line.size();
    if (!end && command_line[i] == '"') quoted = !quoted;
    const bool blank = !end && (command_line[i] == ' ' || command_line[i] == '\t' || command_line[i] == '\n');
    if (!end && (!blank || quoted)) continue;
    out += shown(command_line.substr(begin, i - begin));
    if (!end) out += command_line[i];
    begin = i + 1;
  }
  return out;
}

}  // namespace omnitide::discovery
