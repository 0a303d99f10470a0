// The join token as a device gets it: "omt1.<token id>.<secret>.<SHA-256 of the CA's public key info, hex>".
#pragma once

#include <string>

#include "agent/base/error.hpp"
#include "agent/registry/labels.hpp"
#include "agent/registry/records.hpp"

namespace omnitide::registry {

struct NewToken {
  TokenRecord record;
  std::string text;  // the only place where the secret stands
};
struct TokenTerms {
  Approve approve = Approve::automatic;
  std::uint32_t uses = 1;
  WallTime now{}, expires{};
  Labels labels;
  std::string comment;
};
// invalid_argument names what does not fit.
[[nodiscard]] Result<NewToken> new_token(const TokenTerms& terms, const std::string& ca_fingerprint);

}  // namespace omnitide::registry
