// Routing and the bytes of HTTP/1.1 answers: the pure part of the server.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/io/http.hpp"
#include "agent/io/http_server.hpp"

namespace omnitide::io {

// Splits the target into path and query; nothing when it is malformed. Only origin form ("/...") is taken.
[[nodiscard]] bool set_target(HttpRequest& request, std::string_view target);

struct Match {
  const Route* route = nullptr;
  std::string allow;  // methods that the path knows, when none of them is the request's: 405
};
// Fills request.params. A HEAD request matches a GET route.
[[nodiscard]] Match match_route(const std::vector<Route>& routes, HttpRequest& request);

// The head of an answer, with Content-Length, or chunked for a stream.
[[nodiscard]] std::string response_head(const HttpResponse& response, bool keep_alive);

}  // namespace omnitide::io
