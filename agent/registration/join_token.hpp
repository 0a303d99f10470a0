// The join token as a device gets it: "omt1.<token id>.<secret>.<SHA-256 of the CA's public key info, hex>".
#pragma once

#include <string>
#include <string_view>

#include "agent/base/error.hpp"

namespace omnitide::registration {

struct JoinToken {
  std::string credential;  // "<token id>.<secret>": what is sent, once the server has proven the pin
  std::string ca_pin;      // 32 bytes
};
// White space around it is ignored. The error never repeats the token.
[[nodiscard]] Result<JoinToken> parse_join_token(std::string_view text);

}  // namespace omnitide::registration
