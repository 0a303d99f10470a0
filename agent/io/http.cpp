#include "agent/io/http.hpp"

#include <boost/json.hpp>

#include "agent/base/text.hpp"
#include "agent/io/url.hpp"

namespace omnitide::io {

namespace {

std::string_view find_header(const std::vector<std::pair<std::string, std::string>>& headers, std::string_view name) {
  for (const auto& [key, value] : headers) {
    if (key == name) return value;
  }
  return {};
}

std::string member(const boost::json::object& object, std::string_view key) {
  const boost::json::value* value = object.if_contains(key);
  return value != nullptr && value->is_string() ? std::string(value->get_string()) : std::string{};
}

}  // namespace

std::string_view HttpRequest::header(std::string_view name) const { return find_header(headers, name); }
std::vector<std::string> HttpRequest::query_values(std::string_view name) const {
  return io::query_values(query_text, name);
}
std::string_view HttpResponse::header(std::string_view name) const { return find_header(headers, name); }

HttpResponse error_response(const Error& error) {
  HttpResponse out;
  out.status = http_status(error.code);
  out.content_type = "application/json";
  out.body = "{\"code\":" + json_quote(code_name(error.code)) + ",\"message\":" + json_quote(error.message) +
             ",\"field\":" + json_quote(error.field) + ",\"hint\":" + json_quote(error.hint) + "}\n";
  return out;
}

Error error_from_response(const HttpResponse& response) {
  boost::system::error_code problem;
  const boost::json::value parsed = boost::json::parse(response.body, problem);
  if (problem || !parsed.is_object()) {
    return fail(code_from_http_status(response.status),
                "the server answered with status " + std::to_string(response.status));
  }
  const boost::json::object& object = parsed.get_object();
  const std::string code = member(object, "code");
  return Error{.code = code.empty() ? code_from_http_status(response.status) : code_from_name(code),
               .message = member(object, "message"),
               .field = member(object, "field"),
               .hint = member(object, "hint")};
}

}  // namespace omnitide::io
