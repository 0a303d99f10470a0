#include "agent/daemon/agent.hpp"

#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>

#include "agent/base/file.hpp"
#include "agent/base/text.hpp"
#include "agent/base/version.hpp"
#include "agent/codec/facts_codec.hpp"
#include "agent/config/reload.hpp"
#include "agent/daemon/policy_report.hpp"
#include "agent/daemon/self.hpp"
#include "agent/daemon/spawn.hpp"
#include "agent/io/crypto.hpp"
#include "omnitide/node/v1/local.pb.h"

namespace omnitide::daemon {

namespace asio = boost::asio;
using log::Part;
using model::PartState;

Agent::Agent(config::LoadOptions options, config::Config config, std::shared_ptr<EventRing> ring, SteadyTime started)
    : load_options_(std::move(options)),
      config_(std::move(config)),
      ring_(std::move(ring)),
      started_steady_(started),
      // More than there are collectors that may hang, each of which holds one thread at most: work goes on without
      // them.
      pool_({.threads = 2, .stuck = 16, .queued = 256}),
      signals_(context_, SIGTERM, SIGINT, SIGHUP),
      notifier_(context_),
      levels_(context_) {
  levels_.configure(config_.log);
  const Result<std::string> boot_id = read_file("/proc/sys/kernel/random/boot_id", 64);
  boot_id_ = boot_id.has_value() ? std::string(trim(*boot_id)) : "unknown";
}

Result<> Agent::start() {
  wait_for_signal();
  if (Result<> listening = start_local_api(); listening.has_error()) return listening;
  start_policy();
  start_kubernetes();
  start_cni();
  start_discovery();
  start_registry();
  start_registration();
  start_metrics();
  start_health();
  start_telemetry();
  start_web();
  asio::co_spawn(context_, notifier_.feed(), asio::detached);
  return {};
}

void Agent::run() {
  thrift_.start();
  context_.run();
  leave_node();
}

void Agent::start_discovery() {
  if (!config_.discovery.enabled) return parts_.set("discovery", PartState::off, "discovery.enabled is false");
  const Result<Root> root = Root::machine(config_.paths.host_root);
  if (root.has_error()) return parts_.set("discovery", PartState::failed, root.error().message);
  DiscoveryPart::Options options{.refresh_interval = config_.discovery.refresh_interval,
                                 .debounce = config_.discovery.debounce,
                                 .exclude_sources = config_.discovery.exclude_sources,
                                 .probe_cache = config_.paths.run_dir + "/ebpf-probe"};
  discovery_ = std::make_unique<DiscoveryPart>(context_, pool_, *root, std::move(options), [this] { facts_changed(); });
  parts_.set("discovery", PartState::starting, "first round");
  discovery_->start();
}

void Agent::start_registry() {
  if (!config_.registry.embedded) return parts_.set("registry", PartState::off, "registry.embedded is false");
  const std::string& dir = config_.registry.dir;
  const auto open = [&]() -> Result<> {
    if (!registry::is_initialised(dir)) {
      const Result<> made = registry::init({.dir = dir});
      if (made.has_error()) return made;
    }
    registry::Options options;
    options.dir = dir;
    options.listen = config_.registry.listen;
    Result<std::unique_ptr<registry::Registry>> opened = registry::Registry::open(context_, std::move(options));
    if (opened.has_error()) return std::move(opened).error();
    registry_ = std::move(*opened);
    const Result<std::uint16_t> port = registry_->listen();
    if (port.has_error()) return port.error();
    return {};
  };
  if (Result<> opened = open(); opened.has_error()) {
    registry_.reset();
    log::error(Part::registry, "the embedded registry is off", {{"reason", opened.error().text()}});
    return parts_.set("registry", PartState::failed, opened.error().text());
  }
  config_.registration.endpoint = registry_->url();
  config_.registration.start_jitter = std::chrono::milliseconds{0};
  parts_.set("registry", PartState::on, "embedded, for one machine", {registry_->url()});
}

// Whether the certificate on disk is one of the embedded registry's: a damaged one, or one of a registry that was here
// before, needs a token to join anew.
bool Agent::known_to_embedded_registry() const {
  const std::string& dir = config_.registry.dir;
  const Result<std::string> own = read_file(config_.paths.state_dir + "/identity/node.crt");
  const Result<std::string> authority = read_file(dir + "/ca.crt");
  if (own.has_error() || authority.has_error()) return false;
  const Result<std::vector<std::string>> chain = io::certificates_from_pem(*own);
  const Result<std::vector<std::string>> cas = io::certificates_from_pem(*authority);
  if (chain.has_error() || cas.has_error()) return false;
  return std::any_of(cas->begin(), cas->end(),
                     [&chain](const std::string& ca) { return io::signed_by(chain->front(), ca); });
}

void Agent::start_registration() {
  config::RegistrationConfig& config = config_.registration;
  if (config.endpoint.empty()) return parts_.set("registration", PartState::off, "registration.endpoint is not set");
  if (registry_ && !known_to_embedded_registry() && config.token_file.empty()) {
    bootstrap_token_ = config_.paths.state_dir + "/bootstrap.token";
    const Result<std::string> token = registry_->make_token({.comment = "first start of the embedded registry"});
    const Result<> wrote =
        token.has_error() ? Result<>(token.error()) : write_file_durably(bootstrap_token_, *token + "\n", 0600);
    if (wrote.has_error())
      log::error(Part::registration, "no join token from the embedded registry", {{"reason", wrote.error().text()}});
    config.token_file = bootstrap_token_;
  }
  Result<std::unique_ptr<registration::Registration>> opened =
      registration::Registration::open(context_, {.state_dir = config_.paths.state_dir,
                                                  .endpoint = config.endpoint,
                                                  .token_file = config.token_file,
                                                  .hostname = config_.node.name,
                                                  .agent_version = std::string(version()),
                                                  .boot_id = boot_id_,
                                                  .labels = config_.node.labels,
                                                  .request_timeout = config.request_timeout,
                                                  .backoff_base = config.backoff_base,
                                                  .backoff_cap = config.backoff_cap,
                                                  .start_jitter = config.start_jitter,
                                                  .pool = &pool_});
  if (opened.has_error()) {
    log::error(Part::registration, "registration is off", {{"reason", opened.error().text()}});
    return parts_.set("registration", PartState::failed, opened.error().text());
  }
  registration_ = std::move(*opened);
  parts_.set("registration", PartState::starting, "not yet acknowledged by the registry", {config.endpoint});
  spawn_on(context_, registration_->run([this] { state_changed(); }), [this](std::string reason) {
    if (stopping_) return;
    log::error(Part::registration, "registration failed and is off until a restart", {{"reason", reason}});
    parts_.set("registration", PartState::failed, std::move(reason));
  });
}

Result<> Agent::start_local_api() {
  const std::string path = config_.paths.run_dir + "/agent.sock";
  LocalSources sources{
      .status = [this](node::v1::Status& out) { fill(snapshot(), out); },
      .discovery =
          [this](node::v1::Discovery& out) {
            if (discovery_) fill(snapshot(), discovery_->inventory().facts(), discovery_->inventory().samples(), out);
          },
      .set_log_level =
          [this](log::Part part, log::Level level, std::chrono::seconds duration) {
            levels_.set(part, level, duration);
            log::info(Part::agent, "log level set",
                      {{"part", std::string(log::name(part))}, {"level", std::string(log::name(level))}});
          },
  };
  add_policy(sources);
  add_metrics(sources);
  add_health(sources);
  add_telemetry(sources);
  Result<std::unique_ptr<io::HttpServer>> opened = open_local_api(context_, path, std::move(sources));
  if (opened.has_error()) return std::move(opened).error();
  local_api_ = std::move(*opened);
  parts_.set("local API", PartState::on, {}, {"unix:" + path});
  return {};
}

void Agent::start_web() {
  if (!config_.http.enabled) return parts_.set("http", PartState::off, "http.enabled is false");
  Web::Sources sources{.collect = [this](std::vector<std::string> only) { return metrics_->collect(std::move(only)); },
                       .not_ready_because = [this] { return not_ready_because(); },
                       .summary = [this] { return summary(); },
                       .collectors = [this] { return collector_names(); },
                       .page = [this] { return page_view(); }};
  Result<std::unique_ptr<Web>> opened = Web::open(context_, pool_, config_.http, std::move(sources));
  if (opened.has_error()) {
    log::error(Part::http, "the HTTP endpoint is off", {{"reason", opened.error().text()}});
    return parts_.set("http", PartState::failed, opened.error().text());
  }
  web_ = std::move(*opened);
  parts_.set("http", PartState::on, {}, web_->urls());
}

void Agent::facts_changed() {
  std::string bytes = codec::serialize_facts(discovery_->inventory().facts());
  facts_sha256_ = io::sha256(bytes);
  const bool deaf = !discovery_->deaf().empty();
  parts_.set("discovery", deaf ? PartState::degraded : PartState::on, deaf ? join(discovery_->deaf(), "; ") : "");
  log::debug(Part::discovery, "facts changed", {{"sha256", hex_encode(facts_sha256_)}});
  if (registration_) registration_->set_facts(std::move(bytes));
  if (telemetry_) telemetry_->feed().facts_changed(facts_sha256_);
  if (kubernetes_node_) kubernetes_node_->facts_changed();
  state_changed();
}

void Agent::state_changed() {
  if (registration_) {
    if (policy_) policy_->set_desired(registration_->desired());
    const registration::View view = registration_->view();
    const bool on = view.state == registration::State::registered;
    parts_.set("registration", on ? PartState::on : PartState::degraded,
               on ? view.reason : fmt::format("{}: {}", registration::name(view.state), view.reason));
    if (on && !bootstrap_token_.empty()) {
      ::unlink(bootstrap_token_.c_str());
      bootstrap_token_.clear();
    }
  }
  tell_telemetry();
  // systemd is told once the local work is up: a registry that cannot be reached must not make the unit fail.
  const bool local = !discovery_ || discovery_->complete();
  if (local && !std::exchange(notified_, true)) notifier_.ready(state_line());
  if (ready_ || !not_ready_because().empty()) return;
  ready_ = true;
  ready_after_ = std::chrono::steady_clock::now() - started_steady_;
  notifier_.status(state_line());
  log::info(Part::agent, "ready", {{"after", fmt::format("{:.0f}ms", ready_after_.count() * 1000)}});
}

std::string Agent::state_line() const {
  const std::string reason = not_ready_because();
  return reason.empty() ? "ready" : "not ready: " + reason;
}

// Ready is what was asked for: a part that is enabled and failed is missed by whoever waits, though the others run.
std::string Agent::not_ready_because() const {
  for (const model::PartStatus& part : parts_.all()) {
    if (part.state == PartState::failed) return fmt::format("{} failed: {}", part.name, part.reason);
  }
  if (discovery_ && !discovery_->complete()) return "the first round of discovery is under way";
  if (policy_ && !policy_->started()) return "network policy is being loaded";
  if (!registration_) return {};
  const registration::View view = registration_->view();
  if (view.state == registration::State::registered) return {};
  // Offline with what was accepted before is ready: the node goes on working.
  const bool offline = view.state == registration::State::registering && view.saved.acknowledged_generation > 0 &&
                       view.last_acknowledged;
  return offline ? std::string() : fmt::format("registration is {}: {}", registration::name(view.state), view.reason);
}

Snapshot Agent::snapshot() {
  Snapshot out{.config = config_,
               .parts = parts_.all(),
               .events = *ring_,
               .boot_id = boot_id_,
               .facts_sha256 = facts_sha256_,
               .started = started_,
               .not_ready_because = not_ready_because(),
               .ready_after = ready_after_,
               .registration = std::nullopt,
               .sources = {}};
  if (registration_) out.registration = registration_->view();
  if (policy_) out.policy = &policy_->report();
  out.telemetry = telemetry_.get();
  if (discovery_) out.sources = discovery_->inventory().status();
  return out;
}

std::string Agent::summary() {
  std::string out = fmt::format("omnitide-agent {} on {}\n\n", version(), printable(config_.node.name));
  for (const model::PartStatus& part : parts_.all()) {
    constexpr std::array<std::string_view, 5> kStates{"off", "starting", "on", "degraded", "failed"};
    out += fmt::format("{:<14} {:<9} {}\n", part.name, kStates.at(static_cast<std::size_t>(part.state)),
                       printable(part.reason));
  }
  return out + "\n/metrics  /healthz  /readyz\n";
}

void Agent::wait_for_signal() {
  signals_.async_wait([this](const boost::system::error_code& error, int number) {
    if (error) return;
    if (number != SIGHUP) {
      // A second signal does not wait for anything. Nothing stays armed: the loop ends with its last piece of work.
      boost::system::error_code ignored;
      signals_.clear(ignored);
      ::signal(SIGTERM, SIG_DFL);
      ::signal(SIGINT, SIG_DFL);
      stop(number);
      return;
    }
    reload();
    wait_for_signal();
  });
}

void Agent::reload() {
  notifier_.reloading();
  const config::Loaded next = config::load(load_options_);
  for (const config::Fault& fault : next.faults)
    log::error(Part::config, "reload refused, keeping the running configuration", {{"fault", fault.text()}});
  if (next.valid()) {
    const config::ReloadDiff diff = config::reload_diff(config_, next.config);
    const std::string endpoint = config_.registration.endpoint;
    config_ = config::after_reload(config_, next.config);
    levels_.configure(config_.log);
    if (discovery_) discovery_->set_timing(config_.discovery.refresh_interval, config_.discovery.debounce);
    if (registration_) {
      registration_->adjust({.token_file = config_.registration.token_file,
                             .labels = config_.node.labels,
                             .request_timeout = config_.registration.request_timeout,
                             .backoff_base = config_.registration.backoff_base,
                             .backoff_cap = config_.registration.backoff_cap});
    }
    if (health_) health_->adjust(config_.health);
    if (telemetry_)
      telemetry_->set_config(config_.telemetry);
    else
      start_telemetry();
    log::info(Part::config, "configuration reloaded", {{"changed", join(diff.applied, ",")}});
    // The embedded registry's address is put in at the start and is no change of the file.
    std::vector<std::string> kept = diff.needs_restart;
    if (registry_)
      std::erase_if(kept, [](const std::string& key) {
        return key == "registration.endpoint" || key == "registration.start_jitter";
      });
    if (!kept.empty())
      log::warning(Part::config, "changed keys that take a restart, keeping their running values",
                   {{"keys", join(kept, ",")}});
  }
  notifier_.ready(state_line());
}

void Agent::stop(int signal_number) {
  if (std::exchange(stopping_, true)) return;
  log::info(Part::agent, "stopping", {{"signal", std::to_string(signal_number)}});
  notifier_.stopping();
  notifier_.stop();
  levels_.stop();
  thrift_.stop();
  if (telemetry_) telemetry_->stop();
  if (health_) health_->stop();
  if (registration_) registration_->stop();
  if (discovery_) discovery_->stop();
  if (cni_) cni_->stop();
  stop_kubernetes();
  if (policy_) policy_->stop();
  if (ebpf_metrics_) ebpf_metrics_->stop();
  if (web_) web_->stop();
  if (local_api_) local_api_->stop();
  if (registry_) registry_->stop();
}

}  // namespace omnitide::daemon
