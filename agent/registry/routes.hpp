// The one table of routes, with who may ask what; docs/openapi.yaml describes the same.
#pragma once

#include <functional>
#include <vector>

#include "agent/io/http_server.hpp"
#include "agent/registry/handlers.hpp"

namespace omnitide::registry {

using View = std::function<ServerView()>;

// The context must outlive the server that uses them.
[[nodiscard]] std::vector<io::Route> main_routes(Context& context, View view);
// /metrics and the probes, for a listener on loopback.
[[nodiscard]] std::vector<io::Route> metrics_routes(Context& context, View view);

}  // namespace omnitide::registry
