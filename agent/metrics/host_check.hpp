// Against DNS rebinding: a web page that points a name of its own at 127.0.0.1 makes the browser send that name as
// Host.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace omnitide::metrics {

// Whether a Host header may be served: a literal IPv4 or IPv6 address, "localhost", or one of `names`, each with or
// without a port, in any case of letters. A name in `names` that has a port of its own is allowed with that port only.
[[nodiscard]] bool host_allowed(std::string_view host, std::span<const std::string> names);

}  // namespace omnitide::metrics
