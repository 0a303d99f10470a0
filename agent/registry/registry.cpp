#include "agent/registry/registry.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "agent/base/log.hpp"
#include "agent/base/text.hpp"
#include "agent/registry/directory_lock.hpp"
#include "agent/registry/join_token.hpp"
#include "agent/registry/repository.hpp"
#include "agent/registry/routes.hpp"
#include "agent/registry/schema.hpp"

namespace omnitide::registry {

namespace asio = boost::asio;

namespace {

using namespace std::chrono_literals;
constexpr auto kServerLifetime = 24h * 30;
constexpr auto kFlushPeriod = 5s;  // how stale last_seen may be after a crash
constexpr std::size_t kFlushAtOnce = 1000;

std::string host_of(const std::string& address) {
  std::string host = address.substr(0, address.rfind(':'));
  if (host.size() > 2 && host.front() == '[') host = host.substr(1, host.size() - 2);
  return host;
}

bool is_loopback(const std::string& host) { return host.starts_with("127.") || host == "::1" || host == "localhost"; }
bool is_any(const std::string& host) { return host.empty() || host == "0.0.0.0" || host == "::"; }

std::string url_of(const char* scheme, const std::string& listen, std::uint16_t port) {
  const std::string host = host_of(listen);
  if (is_any(host)) return fmt::format("{}://localhost:{}", scheme, port);
  return host.find(':') == std::string::npos ? fmt::format("{}://{}:{}", scheme, host, port)
                                             : fmt::format("{}://[{}]:{}", scheme, host, port);
}

Result<> touch_all(Context& context) {
  while (true) {
    auto touches = std::make_shared<std::vector<Touch>>(context.nodes.take_unflushed(kFlushAtOnce));
    if (touches->empty()) return {};
    Result<> done = context.writer.run_blocking([touches](Database& db) { return touch_nodes(db, *touches); });
    if (done.has_error()) return done;
  }
}

}  // namespace

class Registry::Impl {
 public:
  Impl(UniqueFd lock, std::shared_ptr<Context> context)
      : lock_(std::move(lock)),
        context_(std::move(context)),
        timer_(std::make_shared<asio::steady_timer>(context_->loop)) {}

  Result<> begin() {
    Result<io::PrivateKey> key = io::PrivateKey::generate();
    if (key.has_error()) return std::move(key).error();
    server_key_ = std::move(*key);
    return {};
  }

  Result<std::uint16_t> listen() {
    Result<io::TlsContext> tls = make_tls();
    if (tls.has_error()) return std::move(tls).error();
    const Options& options = context_->options;
    io::ServerLimits limits;
    limits.connections = options.connections;
    limits.connections_per_address = options.connections_per_address;
    // A node speaks once an interval on a connection that it keeps.
    limits.anonymous_idle_timeout = options.stranger_idle;
    limits.idle_timeout = std::max<std::chrono::milliseconds>(limits.idle_timeout, 3 * context_->heartbeat_interval());
    // The guard refuses nothing: it keeps the context alive as long as a connection may use it.
    const auto keep = [context = context_](const io::HttpRequest&) -> std::optional<io::HttpResponse> { return {}; };
    server_ = std::make_unique<io::HttpServer>(context_->loop, main_routes(*context_, view()), limits, keep);
    Result<std::uint16_t> port = server_->listen_tcp(options.listen, std::move(*tls));
    if (port.has_error()) return std::move(port).error();
    url_ = url_of("https", options.listen, *port);
    if (const Result<> more = listen_for_metrics(keep); more.has_error()) return more.error();
    context_->authorities_changed = [this] { renew_tls(); };
    asio::co_spawn(context_->loop, keep_house(this, context_, timer_), asio::detached);
    return port;
  }

  void stop() {
    if (std::exchange(context_->stopping, true)) return;
    context_->authorities_changed = [] {};
    context_->events.wake();
    if (server_) server_->stop();
    if (metrics_server_) metrics_server_->stop();
    timer_->cancel();
    if (const Result<> flushed = touch_all(*context_); flushed.has_error()) {
      log::warning(log::Part::registry, "cannot store when nodes were last seen, ignoring",
                   {{"reason", flushed.error().message}});
    }
    context_->writer.stop();
    context_->reader.stop();
    lock_.reset();
  }

  Context& context() { return *context_; }
  const std::string& url() const { return url_; }
  const std::string& metrics_url() const { return metrics_url_; }

 private:
  Result<> listen_for_metrics(const io::Guard& keep) {
    const std::string& address = context_->options.metrics_listen;
    if (address.empty()) return {};
    if (!is_loopback(host_of(address))) {
      return fail(Code::invalid_argument, fmt::format("{} is not on loopback", address))
          .with_hint("/metrics on the main address asks for an operator's certificate instead");
    }
    io::ServerLimits limits;
    limits.connections = 16;
    metrics_server_ = std::make_unique<io::HttpServer>(context_->loop, metrics_routes(*context_, view()), limits, keep);
    Result<std::uint16_t> port = metrics_server_->listen_tcp(address);
    if (port.has_error()) return std::move(port).error().within("metrics");
    metrics_url_ = url_of("http", address, *port) + "/metrics";
    return {};
  }

  View view() {
    return [this, context = context_]() -> ServerView {
      if (context->stopping || !server_) return {};  // once stopped, `this` may be gone
      const io::ServerCounters counters = server_->counters();
      return {counters.accepted,     counters.refused_full, counters.handshake_failures,
              counters.bad_requests, counters.timeouts,     counters.open};
    };
  }

  std::vector<std::string> names() const {
    std::vector<std::string> out = {"localhost", "127.0.0.1", "::1"};
    const std::string host = host_of(context_->options.listen);
    if (!is_any(host) && !is_loopback(host)) out.push_back(host);
    std::array<char, 256> name{};
    if (::gethostname(name.data(), name.size() - 1) == 0 && name[0] != '\0' && name.data() != out.front()) {
      out.emplace_back(name.data());
    }
    for (const std::string& extra : context_->options.server_names)
      out.push_back(extra);
    return out;
  }

  Result<io::TlsContext> make_tls() {
    const std::shared_ptr<const Issuer> issuer = context_->authorities.issuer();
    const WallTime now = context_->now();
    io::CertificateRequest request;
    request.common_name = "omnitide-registry";
    request.organizational_unit = "server";
    request.public_key_info = server_key_.public_key_info();
    request.not_before = now - 1h;
    request.not_after = std::min(now + kServerLifetime, issuer->not_after);
    request.server_names = names();
    Result<std::string> leaf = io::issue_certificate(request, issuer->certificate, issuer->key);
    if (leaf.has_error()) return std::move(leaf).error().within("cannot issue the server certificate");
    io::ServerTlsOptions options;
    options.chain = {std::move(*leaf), issuer->certificate};
    options.key = server_key_;
    options.client_cas = context_->authorities.client_cas();
    options.client_auth = io::ClientAuth::optional;
    tls_due_ = now + kServerLifetime * 2 / 3;
    return io::TlsContext::server(options);
  }

  void renew_tls() {
    Result<io::TlsContext> tls = make_tls();
    if (tls.has_value()) {
      server_->replace_tls(std::move(*tls));
    } else {
      log::error(log::Part::registry, "cannot renew the server certificate, going on with the old one",
                 {{"reason", tls.error().message}});
    }
  }

  // Every few seconds: what is newer in memory goes to disk, the server certificate is renewed in time.
  static asio::awaitable<void> keep_house(Impl* self, std::shared_ptr<Context> context,
                                          std::shared_ptr<asio::steady_timer> timer) {
    log::Throttle throttle(1min);
    while (!context->stopping) {
      timer->expires_after(kFlushPeriod);
      boost::system::error_code ignored;
      co_await timer->async_wait(asio::redirect_error(asio::use_awaitable, ignored));
      while (!context->stopping) {
        auto touches = std::make_shared<std::vector<Touch>>(context->nodes.take_unflushed(kFlushAtOnce));
        if (touches->empty()) break;
        auto running = context->writer.run([touches](Database& database) { return touch_nodes(database, *touches); });
        const Result<> done = co_await std::move(running);
        if (done.has_value()) continue;
        if (throttle.pass(std::chrono::steady_clock::now())) {
          log::warning(log::Part::registry, "cannot store when nodes were last seen, trying again",
                       {{"reason", done.error().text()}});
        }
        break;
      }
      // `self` lives as long as it has not been stopped.
      if (!context->stopping && context->now() >= self->tls_due_) self->renew_tls();
    }
  }

  UniqueFd lock_;
  std::shared_ptr<Context> context_;
  std::shared_ptr<asio::steady_timer> timer_;
  io::PrivateKey server_key_;
  WallTime tls_due_{};
  std::unique_ptr<io::HttpServer> server_, metrics_server_;
  std::string url_, metrics_url_;
};

Registry::Registry(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Registry::~Registry() { stop(); }

Result<std::unique_ptr<Registry>> Registry::open(asio::io_context& loop, Options options) {
  const std::string path = options.dir + "/registry.db";
  if (const Result<> there = check_initialised(options.dir); there.has_error()) return there.error();
  Result<UniqueFd> lock = lock_directory(options.dir);
  if (lock.has_error()) return std::move(lock).error();
  Result<Database> write = open_store(path);
  if (write.has_error()) return std::move(write).error();
  Result<Database> read = open_reader(path);
  if (read.has_error()) return std::move(read).error();
  Result<Snapshot> snapshot = load_snapshot(*write);
  if (snapshot.has_error()) return std::move(snapshot).error();
  Result<Authorities> authorities = Authorities::load(options.dir, snapshot->authorities);
  if (authorities.has_error()) return std::move(authorities).error();
  auto context = std::make_shared<Context>(loop, std::move(options), std::move(*write), std::move(*read));
  context->install(std::move(*snapshot), std::move(*authorities));
  auto impl = std::make_unique<Impl>(std::move(*lock), std::move(context));
  if (const Result<> begun = impl->begin(); begun.has_error()) return begun.error();
  return std::unique_ptr<Registry>(new Registry(std::move(impl)));
}

Result<std::uint16_t> Registry::listen() { return impl_->listen(); }
void Registry::stop() { impl_->stop(); }
std::string Registry::url() const { return impl_->url(); }
std::string Registry::metrics_url() const { return impl_->metrics_url(); }
std::size_t Registry::nodes() const { return impl_->context().nodes.size(); }

Result<std::string> Registry::make_token(const TokenOptions& options) {
  Context& context = impl_->context();
  TokenTerms terms;
  terms.approve = options.manual_approval ? Approve::manual : Approve::automatic;
  terms.uses = options.uses;
  terms.now = context.now();
  terms.expires = terms.now + options.lifetime;
  terms.comment = options.comment;
  Result<NewToken> token = new_token(terms, context.authorities.active().fingerprint);
  if (token.has_error()) return std::move(token).error();
  const auto record = std::make_shared<TokenRecord>(token->record);
  const Result<> done =
      context.writer.run_blocking([record](Database& database) { return save_token(database, *record); });
  if (done.has_error()) return done.error();
  context.tokens.insert_or_assign(record->token_id, *record);
  return std::move(token->text);
}

}  // namespace omnitide::registry
