#include "agent/io/http_parse.hpp"

#include <fmt/format.h>

#include <boost/beast/http/status.hpp>

#include "agent/base/text.hpp"
#include "agent/io/url.hpp"

namespace omnitide::io {

namespace {

constexpr std::size_t kMaxTarget = 4096;

// Matches one pattern and collects what {name} stood for.
bool match_pattern(std::string_view pattern, std::string_view path, std::map<std::string, std::string>& params) {
  while (!pattern.empty()) {
    if (pattern[0] != '{') {
      if (path.empty() || path[0] != pattern[0]) return false;
      pattern.remove_prefix(1);
      path.remove_prefix(1);
      continue;
    }
    const std::size_t close = pattern.find('}');
    const std::string_view name = pattern.substr(1, close - 1);
    pattern.remove_prefix(close + 1);
    const std::size_t end = std::min(path.find_first_of("/:"), path.size());
    const auto value = percent_decode(path.substr(0, end));
    if (end == 0 || !value) return false;
    params.insert_or_assign(std::string(name), *value);
    path.remove_prefix(end);
  }
  return path.empty();
}

bool clean_header(std::string_view text) {
  return text.find_first_of(std::string_view("\r\n\0", 3)) == std::string_view::npos;
}

}  // namespace

bool set_target(HttpRequest& request, std::string_view target) {
  if (target.empty() || target[0] != '/' || target.size() > kMaxTarget) return false;
  const std::size_t question = std::min(target.find('?'), target.size());
  request.query_text = target.substr(std::min(question + 1, target.size()));
  auto query = parse_query(request.query_text);
  if (!query) return false;
  request.path = target.substr(0, question);
  request.query = std::move(*query);
  return true;
}

Match match_route(const std::vector<Route>& routes, HttpRequest& request) {
  Match out;
  for (const Route& route : routes) {
    std::map<std::string, std::string> params;
    if (!match_pattern(route.pattern, request.path, params)) continue;
    if (route.method == request.method || (request.method == "HEAD" && route.method == "GET")) {
      request.params = std::move(params);
      out.route = &route;
      return out;
    }
    out.allow += (out.allow.empty() ? "" : ", ") + route.method;
  }
  return out;
}

std::string response_head(const HttpResponse& response, bool keep_alive) {
  const auto reason = boost::beast::http::obsolete_reason(boost::beast::http::int_to_status(response.status));
  std::string head = fmt::format("HTTP/1.1 {} {}\r\n", response.status, std::string_view(reason.data(), reason.size()));
  if (!response.content_type.empty()) head += fmt::format("Content-Type: {}\r\n", response.content_type);
  for (const auto& [name, value] : response.headers) {
    if (clean_header(name) && clean_header(value)) head += fmt::format("{}: {}\r\n", name, value);
  }
  if (response.stream) {
    head += "Transfer-Encoding: chunked\r\n";
  } else if (response.status != 204 && response.status != 304) {
    head +=
        fmt::format("Content-Length: {}\r\n", (response.shared_body ? *response.shared_body : response.body).size());
  }
  head += keep_alive ? "\r\n" : "Connection: close\r\n\r\n";
  return head;
}

}  // namespace omnitide::io
