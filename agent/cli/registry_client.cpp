#include "agent/cli/registry_client.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <exception>
#include <optional>
#include <vector>

#include "agent/base/clock.hpp"
#include "agent/base/file.hpp"
#include "agent/base/text.hpp"
#include "agent/codec/json.hpp"
#include "agent/io/crypto.hpp"
#include "agent/io/http_client.hpp"
#include "agent/io/tls.hpp"
#include "omnitide/node/v1/local.pb.h"

namespace omnitide::cli {

namespace asio = boost::asio;

namespace {

constexpr std::string_view kProtobuf = "application/x-protobuf";
constexpr std::size_t kMostBody = 512U << 20U;  // a backup
constexpr std::size_t kMostLine = 8U << 20U;    // of a watch
constexpr std::chrono::seconds kTimeout{90};    // bookmarks of a watch come every 30 s

bool readable(const std::string& path) { return ::access(path.c_str(), R_OK) == 0; }

struct Found {
  std::string endpoint, state_dir, embedded_operator_dir;
};

// The running agent knows best; without one the configuration speaks.
Found look_around(const Session& session) {
  Found out;
  node::v1::Status status;
  if (session.agent_status(status).has_value()) {
    out.state_dir = status.state_dir();
    out.endpoint = status.registration().endpoint();
    for (const node::v1::PartStatus& part : status.parts()) {
      if (part.name() != "registry" || part.urls().empty()) continue;
      out.endpoint = part.urls(0);
      out.embedded_operator_dir = status.registry_dir() + "/operator";
    }
    return out;
  }
  const config::Config config = session.load_config().config;
  out.state_dir = config.paths.state_dir;
  out.endpoint = config.registration.endpoint;
  if (config.registry.embedded) {
    out.endpoint = "https://" + config.registry.listen;
    out.embedded_operator_dir = config.registry.dir + "/operator";
  }
  return out;
}

Result<RegistryPlace> find_place(const Session& session, const RegistryOptions& options) {
  RegistryPlace out{options.endpoint, options.certificate, options.key, options.ca};
  const bool complete = !out.certificate.empty() && !out.key.empty() && !out.ca.empty();
  std::vector<std::string> folders;
  if (!options.operator_dir.empty()) folders.push_back(options.operator_dir);
  if (out.endpoint.empty() || (!complete && folders.empty())) {
    const Found found = look_around(session);
    // An endpoint that was named is another registry than the embedded one, unless it is the same.
    if (out.endpoint.empty()) out.endpoint = found.endpoint;
    if (folders.empty() && out.endpoint == found.endpoint && !found.embedded_operator_dir.empty())
      folders.push_back(found.embedded_operator_dir);
    const char* home = std::getenv("HOME");
    if (options.operator_dir.empty() && home != nullptr && *home == '/')
      folders.push_back(std::string(home) + "/.config/omnitide");
    if (options.operator_dir.empty()) folders.push_back(found.state_dir + "/operator");
  }
  if (out.endpoint.empty()) {
    return fail(Code::invalid_argument, "no registry is known here").with_hint("name it: --endpoint https://HOST:7443");
  }
  if (complete) return out;
  std::string folder;
  for (const std::string& candidate : folders) {
    if (folder.empty() && readable(candidate + "/operator.key")) folder = candidate;
  }
  if (folder.empty()) {
    return fail(Code::permission_denied, fmt::format("no operator certificate can be read in {}", join(folders, ", ")))
        .with_hint(
            "--operator-dir DIR with operator.crt, operator.key and ca.crt; `omnitide-registry init` makes the "
            "first; perhaps sudo");
  }
  if (out.certificate.empty()) out.certificate = folder + "/operator.crt";
  if (out.key.empty()) out.key = folder + "/operator.key";
  // A registry's own folder has it one level up.
  if (out.ca.empty()) {
    out.ca = (readable(folder + "/ca.crt") ? folder : folder.substr(0, folder.rfind('/'))) + "/ca.crt";
  }
  return out;
}

Result<std::vector<std::string>> read_certificates(const std::string& path) {
  const Result<std::string> text = read_file(path);
  if (text.has_error()) return text.error();
  Result<std::vector<std::string>> out = io::certificates_from_pem(*text);
  if (out.has_error()) return std::move(out).error().within(path);
  if (out->empty()) return fail(Code::invalid_argument, path + " holds no certificate");
  return out;
}

Result<io::ClientOptions> client_options(const RegistryPlace& place) {
  Result<std::vector<std::string>> certificate = read_certificates(place.certificate);
  if (certificate.has_error()) return std::move(certificate).error();
  Result<std::vector<std::string>> trusted = read_certificates(place.ca);
  if (trusted.has_error()) return std::move(trusted).error();
  const Result<std::string> pem = read_file(place.key);
  if (pem.has_error()) return pem.error();
  Result<io::PrivateKey> key = io::PrivateKey::from_pem(*pem);
  if (key.has_error()) return std::move(key).error().within(place.key);
  io::ClientTlsOptions tls;
  tls.trusted_cas = std::move(*trusted);
  tls.certificate = std::move(certificate->front());
  tls.key = std::move(*key);
  tls.judged_at = std::max(wall_now(), build_time());
  Result<io::TlsContext> context = io::TlsContext::client(tls);
  if (context.has_error()) return std::move(context).error();
  io::ClientOptions out;
  out.endpoint = place.endpoint;
  out.tls = std::move(*context);
  out.timeout = kTimeout;
  out.body_limit = kMostBody;
  return out;
}

}  // namespace

struct RegistryClient::Impl {
  Impl(RegistryPlace where, io::ClientOptions options) : place(std::move(where)), client(loop, std::move(options)) {}

  template <class T>
  Result<T> finish(asio::awaitable<Result<T>> work) {
    std::optional<Result<T>> out;
    std::exception_ptr thrown;
    asio::co_spawn(loop, std::move(work), [&](std::exception_ptr problem, Result<T> result) {
      thrown = std::move(problem);
      out = std::move(result);
    });
    loop.restart();
    loop.run();
    if (thrown) std::rethrow_exception(thrown);
    if (!out) return fail(Code::internal, "the request did not end");
    return std::move(*out);
  }

  RegistryPlace place;
  asio::io_context loop{1};
  io::HttpClient client;
};

RegistryClient::RegistryClient(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
RegistryClient::~RegistryClient() = default;
RegistryClient::RegistryClient(RegistryClient&&) noexcept = default;
RegistryClient& RegistryClient::operator=(RegistryClient&&) noexcept = default;

Result<RegistryClient> RegistryClient::open(const Session& session, const RegistryOptions& options) {
  ::signal(SIGPIPE, SIG_IGN);  // OpenSSL writes without MSG_NOSIGNAL
  Result<RegistryPlace> place = find_place(session, options);
  if (place.has_error()) return std::move(place).error();
  Result<io::ClientOptions> client = client_options(*place);
  if (client.has_error()) return std::move(client).error();
  return RegistryClient(std::make_unique<Impl>(std::move(*place), std::move(*client)));
}

const RegistryPlace& RegistryClient::place() const { return impl_->place; }

Result<> RegistryClient::call(const std::string& method, const std::string& path,
                              const google::protobuf::MessageLite* in, google::protobuf::MessageLite& out,
                              const Query& query) {
  io::HttpRequest request;
  request.method = method;
  request.path = path;
  request.query = query;
  request.headers = {{"accept", std::string(kProtobuf)}, {"content-type", std::string(kProtobuf)}};
  if (in != nullptr) request.body = in->SerializeAsString();
  Result<io::HttpResponse> answer = impl_->finish(impl_->client.send(std::move(request)));
  if (answer.has_error()) return std::move(answer).error();
  if (answer->status != 200) return io::error_from_response(*answer);
  if (!out.ParseFromString(answer->body)) {
    return fail(Code::data_loss, fmt::format("the registry's answer is no {}", codec::name_of(out)));
  }
  return {};
}

Result<std::string> RegistryClient::raw(const std::string& method, const std::string& path, std::string body) {
  io::HttpRequest request;
  request.method = method;
  request.path = path;
  request.headers = {{"content-type", "application/octet-stream"}};
  request.body = std::move(body);
  Result<io::HttpResponse> answer = impl_->finish(impl_->client.send(std::move(request)));
  if (answer.has_error()) return std::move(answer).error();
  if (answer->status != 200) return io::error_from_response(*answer);
  return std::move(answer->body);
}

Result<> RegistryClient::lines(const std::string& path, const Query& query,
                               const std::function<bool(std::string_view)>& on_line) {
  io::HttpRequest request;
  request.path = path;
  request.query = query;
  request.headers = {{"accept", "application/json"}};
  std::string held;
  bool too_long = false;
  const auto on_bytes = [&](std::string_view bytes) {
    held += bytes;
    std::size_t begin = 0;
    for (std::size_t end = held.find('\n'); end != std::string::npos; end = held.find('\n', begin)) {
      if (!on_line(std::string_view(held).substr(begin, end - begin))) return false;
      begin = end + 1;
    }
    held.erase(0, begin);
    too_long = held.size() > kMostLine;
    return !too_long;
  };
  Result<io::HttpResponse> answer = impl_->finish(impl_->client.stream(std::move(request), on_bytes));
  if (too_long) return fail(Code::data_loss, "a line of the answer is too long");
  if (answer.has_error()) return std::move(answer).error();
  if (answer->status != 200) {
    answer->body = answer->body.empty() ? held : answer->body;
    return io::error_from_response(*answer);
  }
  return {};
}

std::string item_path(const std::string& collection, const std::string& id, const std::string& verb) {
  return fmt::format("/v1/{}/{}{}{}", collection, io::encode_segment(id), verb.empty() ? "" : ":", verb);
}

}  // namespace omnitide::cli
