// What a client wants, out of its Accept and Accept-Encoding headers (RFC 9110, section 12.5).
#pragma once

#include <string_view>

#include "agent/metrics/render.hpp"

namespace omnitide::metrics {

// OpenMetrics 1.0 when the client likes it better than text 0.0.4 (of equals, the one it names first); else, and when
// it names neither, text 0.0.4. Versions that are not written here do not count.
[[nodiscard]] TextFormat choose_format(std::string_view accept);

// Whether the client asks for HTML by name: a browser does, curl and scrapers do not.
[[nodiscard]] bool wants_html(std::string_view accept);

[[nodiscard]] bool takes_gzip(std::string_view accept_encoding);

}  // namespace omnitide::metrics
