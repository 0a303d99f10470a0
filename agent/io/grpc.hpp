// gRPC's unary calls over HTTP/2: https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md
#pragma once

#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <string>
#include <string_view>

#include "agent/base/error.hpp"
#include "agent/io/http2_client.hpp"

namespace omnitide::io {

// Calls "/PACKAGE.SERVICE/METHOD" with one serialized message and gives the one that comes back, at most the client's
// body_limit. A status other than OK is an error of the code that has its name, with the server's words; unimplemented:
// the server does not know the service or the method.
[[nodiscard]] boost::asio::awaitable<Result<std::string>> grpc_call(Http2Client& client, std::string path,
                                                                    std::string message,
                                                                    std::chrono::milliseconds timeout);

// The message out of its frame; inside of the room, and for tests.
[[nodiscard]] Result<std::string> grpc_message(std::string_view body);

}  // namespace omnitide::io
