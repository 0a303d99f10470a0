#include "agent/kubernetes/client.hpp"

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <utility>

#include "agent/base/random.hpp"
#include "agent/base/version.hpp"
#include "agent/io/http_client.hpp"
#include "agent/kubernetes/status.hpp"
#include "agent/kubernetes/transport.hpp"

namespace omnitide::kubernetes {

namespace asio = boost::asio;

namespace {

constexpr int kMostRepeats = 3;
constexpr std::chrono::seconds kLongestRepeats{60};

std::string path_of(const Resource& resource) {
  const bool core = resource.api.find('/') == std::string_view::npos;
  return (core ? "/api/" : "/apis/") + std::string(resource.api);
}

}  // namespace

std::string collection_path(const Resource& resource, std::string_view space) {
  std::string out = path_of(resource);
  if (!space.empty()) out += "/namespaces/" + io::encode_segment(space);
  return out + "/" + std::string(resource.plural);
}

std::string object_path(const Resource& resource, const Name& name, std::string_view subresource) {
  std::string out = collection_path(resource, name.space) + "/" + io::encode_segment(name.name);
  return subresource.empty() ? out : out + "/" + std::string(subresource);
}

std::string selectors_of(const Scope& scope) {
  std::string out;
  if (!scope.labels.empty()) out += "&labelSelector=" + io::encode_segment(scope.labels);
  if (!scope.fields.empty()) out += "&fieldSelector=" + io::encode_segment(scope.fields);
  return out;
}

Request apply_request(const Resource& resource, const Name& name, std::string json, std::string_view manager,
                      bool force, std::string_view subresource) {
  Request out;
  out.method = "PATCH";
  out.path = object_path(resource, name, subresource) + "?fieldManager=" + io::encode_segment(manager) +
             (force ? "&force=true" : "");
  out.content_type = kApplyType;
  out.body = std::move(json);
  return out;
}

class Client::Impl {
 public:
  Impl(asio::io_context& context, io::WorkerPool& workers, Access access)
      : context_(context), credentials_(std::move(access)), transport_(context, workers, credentials_) {}

  asio::awaitable<boost::system::result<Body, Fault>> ask(Request request) {
    for (bool anew = false;; anew = true) {
      Result<io::Http2Request> built = build(request, anew);
      if (built.has_error()) co_return Fault{.error = std::move(built).error()};
      const std::string token = token_;
      ++traffic_.requests;
      Result<Answer> answer = co_await transport_.send(std::move(*built));
      if (answer.has_value()) traffic_.received += answer->body.size();
      if (answer.has_value() && answer->status >= 200 && answer->status < 300) {
        granted();
        co_return Body{std::move(answer->content_type), std::move(answer->body)};
      }
      ++traffic_.failures;
      if (answer.has_error()) {
        missed_ = true;
        co_return Fault{.error = std::move(answer).error()};
      }
      if (answer->status == 401 && !anew) continue;
      co_return fault_of(*answer);
    }
  }

  asio::awaitable<Result<Body>> send(Request request) {
    const SteadyTime end = std::chrono::steady_clock::now() + kLongestRepeats;
    for (int repeats = 0;; ++repeats) {
      boost::system::result<Body, Fault> answer = co_await ask(request);
      if (answer) co_return std::move(*answer);
      const Fault& fault = answer.error();
      const bool later = (fault.status == 429 || fault.status == 503) && fault.retry_after.has_value();
      if (!later || repeats == kMostRepeats) co_return fault.error;
      // Those who were turned away together do not come back together.
      const std::chrono::milliseconds spread(random_u64() % 1000);
      const SteadyTime at = std::chrono::steady_clock::now() + *fault.retry_after + spread;
      if (at > end) co_return fault.error;
      asio::steady_timer timer(context_, at);
      co_await timer.async_wait(asio::as_tuple(asio::use_awaitable));
    }
  }

  std::shared_ptr<void> on_return(std::function<void()> call) {
    std::erase_if(returns_, [](const auto& each) { return each.expired(); });
    auto out = std::make_shared<std::function<void()>>(std::move(call));
    returns_.push_back(out);
    return out;
  }

  Credentials& credentials() { return credentials_; }
  Transport& transport() { return transport_; }
  [[nodiscard]] const Traffic& traffic() const { return traffic_; }

 private:
  Result<io::Http2Request> build(const Request& request, bool token_anew) {
    Result<std::string> token = credentials_.token(std::chrono::steady_clock::now(), token_anew);
    if (token.has_error()) return std::move(token).error();
    token_ = std::move(*token);
    io::Http2Request out{.method = request.method, .path = request.path, .headers = {}, .body = request.body};
    out.timeout = request.timeout;
    if (request.on_bytes)
      out.on_bytes = [this, take = request.on_bytes](std::string_view bytes) {
        granted();  // a watch ends long after its head
        traffic_.received += bytes.size();
        return take(bytes);
      };
    out.headers = {{"accept", request.accept}, {"user-agent", "omnitide-agent/" + std::string(version())}};
    if (!request.content_type.empty()) out.headers.emplace_back("content-type", request.content_type);
    if (!token_.empty()) out.headers.emplace_back("authorization", "Bearer " + token_);
    return out;
  }

  // A server that starts refuses for a while: that is no return yet.
  void granted() {
    if (!std::exchange(missed_, false)) return;
    const std::vector<std::weak_ptr<std::function<void()>>> calls = returns_;
    for (const auto& each : calls)
      if (const auto call = each.lock()) (*call)();
  }

  asio::io_context& context_;
  Credentials credentials_;
  Transport transport_;
  Traffic traffic_;
  std::string token_;
  std::vector<std::weak_ptr<std::function<void()>>> returns_;
  bool missed_ = false;  // somebody got no answer
};

Client::Client(asio::io_context& context, io::WorkerPool& workers, Access access)
    : impl_(std::make_shared<Impl>(context, workers, std::move(access))) {}
Client::~Client() { close(); }

asio::awaitable<boost::system::result<Body, Fault>> Client::ask(Request request) {
  const std::shared_ptr<Impl> impl = impl_;
  co_return co_await impl->ask(std::move(request));
}

asio::awaitable<Result<Body>> Client::send(Request request) {
  const std::shared_ptr<Impl> impl = impl_;
  co_return co_await impl->send(std::move(request));
}

asio::awaitable<Result<Body>> Client::apply(Resource resource, Name name, std::string json, std::string manager,
                                            bool force, std::string subresource) {
  return send(apply_request(resource, name, std::move(json), manager, force, subresource));
}

asio::awaitable<Result<Body>> Client::get(Resource resource, Name name) {
  Request request;
  request.path = object_path(resource, name);
  return send(std::move(request));
}

asio::awaitable<Result<Body>> Client::remove(Resource resource, Name name) {
  Request request;
  request.method = "DELETE";
  request.path = object_path(resource, name);
  return send(std::move(request));
}

std::shared_ptr<void> Client::on_return(std::function<void()> call) { return impl_->on_return(std::move(call)); }
void Client::close() { impl_->transport().close(); }
bool Client::http1() const { return impl_->transport().http1(); }
std::uint64_t Client::connections() const { return impl_->transport().connections(); }
const Traffic& Client::traffic() const { return impl_->traffic(); }
const std::string& Client::default_namespace() const { return impl_->credentials().access().default_namespace; }

}  // namespace omnitide::kubernetes
