#include "agent/io/grpc.hpp"

#include <fmt/format.h>

#include <array>
#include <optional>
#include <utility>

#include "agent/base/text.hpp"
#include "agent/io/url.hpp"

namespace omnitide::io {

namespace asio = boost::asio;

namespace {

constexpr std::size_t kFrameHead = 5, kLongestWords = 500;  // flag, length

// Codes by their number, from 1 on: https://grpc.github.io/grpc/core/md_doc_statuscodes.html
constexpr std::array kGrpcCodes{Code::aborted,           Code::internal,           Code::invalid_argument,
                                Code::deadline_exceeded, Code::not_found,          Code::already_exists,
                                Code::permission_denied, Code::resource_exhausted, Code::failed_precondition,
                                Code::aborted,           Code::invalid_argument,   Code::unimplemented,
                                Code::internal,          Code::unavailable,        Code::data_loss,
                                Code::unauthenticated};

std::string frame(const std::string& message) {
  std::string out(1, '\0');
  for (int shift = 24; shift >= 0; shift -= 8)
    out += static_cast<char>((message.size() >> static_cast<unsigned>(shift)) & 0xFFU);
  return out + message;
}

std::optional<Error> problem_of(const Http2Response& response) {
  const std::string_view status = response.header("grpc-status");
  if (status.empty()) {
    if (response.status != 200)
      return fail(code_from_http_status(response.status), fmt::format("the answer's status is {}", response.status));
    return fail(Code::data_loss, "the answer has no grpc-status");
  }
  const auto number = parse_number<unsigned>(status);
  if (number == 0U) return std::nullopt;
  const std::string said(response.header("grpc-message"));
  const std::string words = printable(percent_decode(said).value_or(said), kLongestWords);
  const Code code = number && *number <= kGrpcCodes.size() ? kGrpcCodes.at(*number - 1) : Code::internal;
  return fail(code, words.empty() ? fmt::format("the call ended with {}", code_name(code)) : words);
}

}  // namespace

Result<std::string> grpc_message(std::string_view body) {
  if (body.size() < kFrameHead) return fail(Code::data_loss, "the answer has no message");
  if (body[0] != 0) return fail(Code::unimplemented, "the answer is compressed");
  std::size_t size = 0;
  for (std::size_t i = 1; i < kFrameHead; ++i)
    size = size << 8U | static_cast<unsigned char>(body[i]);
  if (body.size() - kFrameHead != size) return fail(Code::data_loss, "the answer is not one whole message");
  return std::string(body.substr(kFrameHead));
}

asio::awaitable<Result<std::string>> grpc_call(Http2Client& client, std::string path, std::string message,
                                               std::chrono::milliseconds timeout) {
  Http2Request request;
  request.method = "POST";
  request.path = std::move(path);
  request.headers = {{"content-type", "application/grpc"},
                     {"te", "trailers"},
                     {"user-agent", "omnitide-agent"},
                     {"grpc-timeout", fmt::format("{}m", timeout.count())}};
  request.body = frame(message);
  request.timeout = timeout;
  Result<Http2Response> response = co_await client.send(std::move(request));
  if (response.has_error()) co_return std::move(response).error();
  if (std::optional<Error> problem = problem_of(*response)) co_return std::move(*problem);
  co_return grpc_message(response->body);
}

}  // namespace omnitide::io
