// The kernel's command line without what it says in confidence.
#pragma once

#include <string>
#include <string_view>

namespace omnitide::discovery {

// The text of /proc/cmdline; the value of every parameter, and of every option within a value, whose name says that it
// is a secret (password, token, key, luks, ...) and the user of every URL become "[removed]". Facts go to the registry,
// to `status` and into support archives; a secret is of use to none of them. Quotes as in lib/cmdline.c.
[[nodiscard]] std::string without_secrets(std::string_view command_line);

}  // namespace omnitide::discovery
