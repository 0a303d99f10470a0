// A whole server session over a socket pair: whatever a stranger sends ends in answers or a closed connection.
#include <sys/socket.h>
#include <unistd.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <cstdint>

#include "agent/base/log.hpp"
#include "agent/io/http_session.hpp"

namespace asio = boost::asio;
using namespace omnitide::io;

namespace {

std::vector<Route> routes() {
  const auto echo = [](HttpRequest& request) -> asio::awaitable<HttpResponse> {
    HttpResponse out;
    out.content_type = "text/plain";
    out.headers.emplace_back("X-Path", request.path);
    out.body = request.body;
    for (const auto& [key, value] : request.params)
      out.body += key + value;
    for (const auto& [key, value] : request.query)
      out.body += key + value;
    co_return out;
  };
  std::vector<Route> out(3);
  out[0].method = "POST";
  out[0].pattern = "/v1/nodes/{id}/heartbeat";
  out[0].body_limit = 256;
  out[1].method = "GET";
  out[1].pattern = "/v1/nodes:watch";
  out[2].method = "GET";
  out[2].pattern = "/v1/nodes/{id}:{verb}";
  for (Route& route : out)
    route.handler = echo;
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size > 32768) return 0;
  omnitide::log::set_sink([](const omnitide::log::Line&) {});
  static ServerShared shared{.routes = routes(), .limits = {}, .guard = {}, .counters = {}, .stopping = false};
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) return 0;
  // What does not fit into the socket at once is left out: the session reads what is there and then the end.
  [[maybe_unused]] const ssize_t sent = ::send(ends[0], data, size, MSG_DONTWAIT | MSG_NOSIGNAL);
  ::shutdown(ends[0], SHUT_WR);
  {
    asio::io_context context(1);
    StreamSocket socket(context);
    boost::system::error_code error;
    socket.assign(asio::generic::stream_protocol(AF_UNIX, 0), ends[1], error);
    HttpSession session(shared, Stream(std::move(socket)), std::make_shared<Peer>(), {});
    asio::co_spawn(context, session.run(), asio::detached);
    context.run_for(std::chrono::seconds(2));
  }
  ::close(ends[0]);
  return 0;
}
