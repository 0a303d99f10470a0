#include "agent/registration/join_token.hpp"

#include "agent/base/text.hpp"

namespace omnitide::registration {

Result<JoinToken> parse_join_token(std::string_view text) {
  const std::vector<std::string_view> parts = split(trim(text), '.');
  const bool shaped = parts.size() == 4 && parts[0] == "omt1" && !parts[1].empty() && !parts[2].empty();
  const auto pin = shaped ? hex_decode(parts[3]) : std::nullopt;
  if (!pin || pin->size() != 32) {
    return fail(Code::invalid_argument, "this is no join token")
        .with_hint("a token looks like omt1.ID.SECRET.CAHASH and comes from: omnitide-agent registry tokens create");
  }
  return JoinToken{std::string(parts[1]) + "." + std::string(parts[2]), *pin};
}

}  // namespace omnitide::registration
