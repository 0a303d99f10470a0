// gRPC's own health service, asked over HTTP/2, in plain text or over TLS.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "agent/base/text.hpp"
#include "agent/daemon/health_looks.hpp"
#include "agent/io/connect.hpp"
#include "agent/io/grpc.hpp"
#include "agent/io/http2_client.hpp"
#include "omnitide/peer/v1/grpc_health.pb.h"

namespace omnitide::daemon {

namespace asio = boost::asio;
using health::Finding;
using health::Verdict;
using GrpcHealth = peer::v1::GrpcHealthResponse;

namespace {

Finding serving(const GrpcHealth& response, const health::Evidence& where) {
  switch (response.status()) {
    case GrpcHealth::SERVING: return finding_of(Verdict::good, "CheckPassed", "it says that it is serving");
    case GrpcHealth::SERVICE_UNKNOWN:
      return finding_of(Verdict::bad, "ServiceUnknown", "it does not know the service", where);
    default: break;
  }
  return finding_of(Verdict::bad, "NotServing", "it says that it is not serving", where);
}

Finding not_serving(const Error& error, const health::Evidence& where) {
  if (error.code == Code::unimplemented)
    return finding_of(Verdict::bad, "NoHealthService", "it offers no gRPC health service", where);
  if (error.code == Code::not_found)
    return finding_of(Verdict::bad, "ServiceUnknown", "it does not know the service", where);
  return not_reached(error, where);
}

asio::awaitable<Finding> ask_grpc(config::HealthCheckConfig check, std::shared_ptr<io::NameLookup> lookup,
                                  std::shared_ptr<io::TlsContext> tls, std::shared_ptr<ProbeRun> run) {
  health::Evidence where{{"address", check.target}};
  if (!check.service.empty()) where.emplace_back("service", check.service);
  if (check.tls && !*tls) {
    Result<io::TlsContext> made = io::TlsContext::client_of_cas(check.ca_file, check.certificate, check.key_file);
    if (made.has_error()) co_return finding_of(Verdict::unknown, "NotRun", made.error().text(), where);
    *tls = *made;
  }
  io::Http2Options options{.endpoint = check.target, .tls = *tls, .server_name = check.server_name};
  if (!check.target.starts_with("unix:")) {
    options.endpoint = (check.tls ? "https://" : "http://") + check.target;
    Result<std::vector<std::string>> addresses = co_await lookup->addresses(
        run->workers(), target_of(check.target, 0).host, std::min(run->left(), kLongestProbeJob));
    if (addresses.has_error()) co_return not_reached(addresses.error(), where);
    options.addresses = std::move(*addresses);
  }
  options.connect_timeout = run->left();
  options.body_limit = 4096;
  const auto client = std::make_shared<io::Http2Client>(run->context(), std::move(options));
  run->on_stop([client] { client->close(); });
  peer::v1::GrpcHealthRequest request;
  request.set_service(check.service);
  const Result<std::string> answer =
      co_await io::grpc_call(*client, "/grpc.health.v1.Health/Check", request.SerializeAsString(), run->left());
  client->close();
  if (answer.has_error()) {
    *tls = {};  // CAs and certificates may be new by the next time
    co_return not_serving(answer.error(), where);
  }
  GrpcHealth response;
  if (!response.ParseFromString(*answer))
    co_return finding_of(Verdict::bad, "WrongAnswer", "its answer is not of the health service", where);
  co_return serving(response, where);
}

}  // namespace

Look grpc_look(const config::HealthCheckConfig& check) {
  return [check, lookup = std::make_shared<io::NameLookup>(), tls = std::make_shared<io::TlsContext>()](
             std::shared_ptr<ProbeRun> run) { return ask_grpc(check, lookup, tls, std::move(run)); };
}

}  // namespace omnitide::daemon
