#include "agent/metrics/host_check.hpp"

#include <arpa/inet.h>

#include <algorithm>
#include <cstdint>
#include <optional>

#include "agent/base/text.hpp"

namespace omnitide::metrics {

namespace {

constexpr std::size_t kMaxHost = 255 + 6;  // RFC 1035's name and ":65535"

struct Authority {
  std::string host;  // lower case, without brackets and without a final dot
  std::string_view port;
  bool bracketed = false;
};

std::optional<Authority> parse(std::string_view text) {
  if (text.empty() || text.size() > kMaxHost) return std::nullopt;
  Authority out;
  std::string_view rest;
  if (text.front() == '[') {
    const std::size_t end = text.find(']');
    if (end == std::string_view::npos) return std::nullopt;
    out.bracketed = true;
    out.host = to_lower(text.substr(1, end - 1));
    rest = text.substr(end + 1);
  } else {
    const std::size_t colon = text.find(':');
    std::string_view name = text.substr(0, colon);
    rest = colon == std::string_view::npos ? "" : text.substr(colon);
    if (name.ends_with('.')) name.remove_suffix(1);
    out.host = to_lower(name);
  }
  if (out.host.empty()) return std::nullopt;
  if (rest.empty()) return out;
  out.port = rest.substr(1);
  if (rest.front() != ':' || !parse_number<std::uint16_t>(out.port)) return std::nullopt;
  return out;
}

bool is_address(const Authority& authority) {
  in6_addr scratch{};
  return ::inet_pton(authority.bracketed ? AF_INET6 : AF_INET, authority.host.c_str(), &scratch) == 1;
}

}  // namespace

bool host_allowed(std::string_view host, std::span<const std::string> names) {
  const std::optional<Authority> asked = parse(host);
  if (!asked || asked->host.find('\0') != std::string::npos) return false;
  if (is_address(*asked)) return true;
  if (asked->bracketed) return false;
  if (asked->host == "localhost") return true;
  return std::any_of(names.begin(), names.end(), [&asked](const std::string& name) {
    const std::optional<Authority> allowed = parse(name);
    return allowed && allowed->host == asked->host && (allowed->port.empty() || allowed->port == asked->port);
  });
}

}  // namespace omnitide::metrics
