// The HTTP endpoint for monitoring: /healthz, /readyz, /metrics and a page at "/". On loopback by default;
// elsewhere with TLS and authentication.
#pragma once

#include <boost/asio/io_context.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent/config/config.hpp"
#include "agent/daemon/page.hpp"
#include "agent/daemon/scrape.hpp"
#include "agent/io/http_server.hpp"
#include "agent/io/worker_pool.hpp"
#include "agent/metrics/authenticator.hpp"
#include "agent/metrics/collection.hpp"
#include "agent/metrics/web_config.hpp"

namespace omnitide::daemon {

class Web {
 public:
  struct Sources {
    // The values of these collectors, of all when none is named.
    std::function<boost::asio::awaitable<std::shared_ptr<const metrics::Collection>>(std::vector<std::string>)> collect;
    std::function<std::string()> not_ready_because;          // empty: ready
    std::function<std::string()> summary;                    // the text at "/"
    std::function<std::vector<std::string>()> collectors;    // names that `collect` takes
    std::function<boost::asio::awaitable<PageView>()> page;  // what the page at "/" shows
  };
  [[nodiscard]] static Result<std::unique_ptr<Web>> open(boost::asio::io_context& context, io::WorkerPool& pool,
                                                         const config::HttpConfig& config, Sources sources);
  void stop() { server_->stop(); }
  [[nodiscard]] std::vector<std::string> urls() const { return urls_; }

 private:
  Web(io::WorkerPool& pool, config::HttpConfig config, Sources sources)
      : pool_(pool), config_(std::move(config)), sources_(std::move(sources)), scrape_(pool) {}
  using Answer = std::function<boost::asio::awaitable<io::HttpResponse>(io::HttpRequest&)>;
  [[nodiscard]] std::vector<io::Route> routes();
  void add_page(std::vector<io::Route>& routes);
  [[nodiscard]] io::Route route(std::string pattern, Answer answer);
  [[nodiscard]] io::Route health_route(std::string pattern, std::function<io::HttpResponse()> answer);
  // What keeps the request from an answer: no or wrong credentials.
  [[nodiscard]] boost::asio::awaitable<std::optional<io::HttpResponse>> refusal(io::HttpRequest& request);
  [[nodiscard]] boost::asio::awaitable<io::HttpResponse> authenticated(io::HttpRequest& request, const Answer& answer);
  [[nodiscard]] boost::asio::awaitable<io::HttpResponse> metrics_page(io::HttpRequest& request);
  [[nodiscard]] boost::asio::awaitable<io::HttpResponse> front(io::HttpRequest& request);
  [[nodiscard]] io::HttpResponse finish(io::HttpResponse response) const;

  io::WorkerPool& pool_;
  config::HttpConfig config_;
  Sources sources_;
  metrics::WebConfig web_;
  std::shared_ptr<metrics::Authenticator> authenticator_;
  Scrape scrape_;
  std::unique_ptr<io::HttpServer> server_;
  std::vector<std::string> urls_;
};

}  // namespace omnitide::daemon
