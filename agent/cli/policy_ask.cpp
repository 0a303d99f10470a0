#include "agent/cli/policy_ask.hpp"

#include <fmt/format.h>

#include "agent/base/text.hpp"

namespace omnitide::cli {

Result<policy::Protocol> parse_protocol(const std::string& text) {
  const std::string word = to_lower(text);
  if (word == "tcp") return policy::Protocol::tcp;
  if (word == "udp") return policy::Protocol::udp;
  if (word == "sctp") return policy::Protocol::sctp;
  if (word == "icmp" || word == "icmpv4" || word == "icmpv6") return policy::Protocol::icmp;
  return fail(Code::invalid_argument, fmt::format("\"{}\" is no protocol", printable(text, 40)))
      .with_hint("TCP, UDP, SCTP or ICMP");
}

std::string protocol_text(policy::Protocol protocol) {
  const bool icmp = protocol == policy::Protocol::icmp || protocol == policy::Protocol::icmpv6;
  return icmp ? "ICMP" : std::string(policy::protocol_name(protocol));
}

Result<AskedPort> parse_port(const std::string& text) {
  AskedPort out;
  if (text.empty()) return out;
  const bool digits = text.find_first_not_of("0123456789") == std::string::npos;
  const auto number = parse_number<std::uint16_t>(text);
  if (digits && (!number || *number == 0))
    return fail(Code::invalid_argument, fmt::format("\"{}\" is no port", printable(text, 40)))
        .with_hint("a number from 1 to 65535, or the name of a container's port");
  if (digits) {
    out.number = *number;
  } else {
    out.name = text;
  }
  return out;
}

std::optional<std::uint16_t> resolve(const AskedPort& port, policy::Protocol protocol, const policy::End& to) {
  if (port.name.empty()) return port.number;
  return policy::Examiner::named_port(to, port.name, protocol);
}

std::vector<std::string> split_list(const std::vector<std::string>& texts) {
  std::vector<std::string> out;
  for (const std::string& text : texts) {
    for (const std::string_view item : split(text, ',')) {
      if (!trim(item).empty()) out.emplace_back(trim(item));
    }
  }
  return out;
}

}  // namespace omnitide::cli
