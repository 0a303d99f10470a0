#include "agent/io/url.hpp"

#include <algorithm>
#include <boost/version.hpp>
#if BOOST_VERSION < 108200  // later ones have a compiled library only
#include <boost/url/src.hpp>
#else
#include <boost/url.hpp>
#endif

#include "agent/base/text.hpp"
#include "agent/io/http_client.hpp"

namespace omnitide::io {

namespace {

constexpr std::size_t kMaxQueryParameters = 32;

}  // namespace

std::optional<std::string> percent_decode(std::string_view text) {
  const auto decoded = boost::urls::make_pct_string_view(text);
  if (!decoded) return std::nullopt;
  std::string out(decoded->decoded_size(), '\0');
  (void)decoded->decode({}, boost::urls::string_token::assign_to(out));
  return out;
}

namespace {

// "key=value" of a query, where + is a blank.
std::optional<std::pair<std::string, std::string>> parse_pair(std::string_view pair) {
  const std::size_t equals = std::min(pair.find('='), pair.size());
  std::string value(pair.substr(std::min(equals + 1, pair.size())));
  std::replace(value.begin(), value.end(), '+', ' ');
  auto key = percent_decode(pair.substr(0, equals));
  auto decoded = percent_decode(value);
  if (!key || !decoded) return std::nullopt;
  return std::pair(std::move(*key), std::move(*decoded));
}

}  // namespace

std::optional<std::map<std::string, std::string>> parse_query(std::string_view text) {
  std::map<std::string, std::string> out;
  if (text.empty()) return out;
  for (const std::string_view pair : split(text, '&')) {
    const auto read = parse_pair(pair);
    if (!read || out.size() >= kMaxQueryParameters) return std::nullopt;
    out.insert_or_assign(read->first, read->second);
  }
  return out;
}

std::vector<std::string> query_values(std::string_view text, std::string_view name) {
  std::vector<std::string> out;
  for (const std::string_view pair : split(text, '&')) {
    auto read = parse_pair(pair);
    if (read && read->first == name) out.push_back(std::move(read->second));
  }
  return out;
}

Result<Url> parse_url(std::string_view text) {
  if (text.starts_with("unix:"))
    return Url{.scheme = "unix", .host = {}, .port = {}, .path = std::string(text.substr(5))};
  const auto parsed = boost::urls::parse_uri(text);
  if (!parsed) return fail(Code::invalid_argument, "\"" + printable(text, 200) + "\" is not a URL");
  Url out{.scheme = std::string(parsed->scheme()),
          .host = std::string(parsed->host_address()),
          .port = std::string(parsed->port()),
          .path = std::string(parsed->encoded_path())};
  if (out.scheme != "https" && out.scheme != "http") {
    return fail(Code::invalid_argument, "\"" + printable(text, 200) + "\" is neither https nor http");
  }
  if (out.host.empty()) return fail(Code::invalid_argument, "\"" + printable(text, 200) + "\" names no host");
  if (out.port.empty()) out.port = out.scheme == "https" ? "443" : "80";
  return out;
}

std::string encode_segment(std::string_view text) { return boost::urls::encode(text, boost::urls::unreserved_chars); }

}  // namespace omnitide::io
