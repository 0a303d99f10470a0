// HTTP messages as values, for servers and clients alike.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "agent/base/clock.hpp"
#include "agent/base/error.hpp"

namespace omnitide::io {

// Who is at the other end of a connection. Lives as long as the connection; shared by its requests.
struct Peer {
  std::string address;           // "192.0.2.1" or "2001:db8::1", empty on a unix socket
  std::string holder;            // what limits count: the address, or its /64 ("2001:db8::/64"); empty as above
  std::uint64_t connection = 0;  // number of the connection, unique in this process
  SteadyTime connected{};
  std::optional<std::uint32_t> uid;  // unix socket: SO_PEERCRED
  struct Certificate {
    std::string common_name, organizational_unit, serial;
    WallTime not_after{};
    std::string der_sha256;
  };
  std::optional<Certificate> certificate;  // verified against the client CAs; may be expired: compare not_after
};

struct HttpRequest {
  std::string method = "GET";
  std::string path;                                          // without query, percent-decoded by segment in `params`
  std::map<std::string, std::string> query;                  // decoded; of several values, the last
  std::string query_text;                                    // of a request that came in: as it stood in the target
  std::map<std::string, std::string> params;                 // what {name} in the route's pattern matched, decoded
  std::vector<std::pair<std::string, std::string>> headers;  // names in lower case
  std::string body;
  std::shared_ptr<const Peer> peer;  // never null in a handler

  [[nodiscard]] std::string_view header(std::string_view lower_case_name) const;  // empty when absent
  // Every value of a parameter that may be there several times, in order: collect[]=cpu&collect[]=netdev.
  [[nodiscard]] std::vector<std::string> query_values(std::string_view name) const;
};

// What a streaming answer writes to. Ends with an error when the peer is gone or too slow.
class BodyStream {
 public:
  virtual ~BodyStream() = default;
  [[nodiscard]] virtual boost::asio::awaitable<Result<>> write(std::string_view bytes) = 0;
};

struct HttpResponse {
  unsigned status = 200;
  std::string content_type;
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;
  std::shared_ptr<const std::string> shared_body;  // instead of body: one text for many, never copied
  bool close = false;                              // end the connection after this answer
  // When set, body is ignored and the answer is sent in chunks as the coroutine writes them.
  std::function<boost::asio::awaitable<Result<>>(BodyStream&)> stream;

  [[nodiscard]] std::string_view header(std::string_view lower_case_name) const;
};

// The project's error body {code, message, field, hint} as JSON, with the status that belongs to the code.
[[nodiscard]] HttpResponse error_response(const Error& error);
// The error in such a body; a plain one when the body is not of that form.
[[nodiscard]] Error error_from_response(const HttpResponse& response);

}  // namespace omnitide::io
