#include "agent/registration/registration.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "agent/base/log.hpp"
#include "agent/base/random.hpp"
#include "agent/base/text.hpp"
#include "agent/io/crypto.hpp"
#include "agent/io/worker_pool.hpp"
#include "agent/registration/identity.hpp"
#include "agent/registration/transport.hpp"

namespace omnitide::registration {

namespace asio = boost::asio;
using log::Part;

namespace {

constexpr std::chrono::seconds kStoreDeadline{20};
constexpr std::size_t kLongestFault = 500;  // the contract has room for 512 bytes, dots included

}  // namespace

class Registration::Impl {
 public:
  Impl(asio::io_context& context, Options options, Identity identity)
      : options_(std::move(options)),
        identity_(std::move(identity)),
        transport_(context, {options_.endpoint, options_.token_file, options_.request_timeout}, identity_),
        machine_(settings(), identity_.load_state(),
                 identity_.credentials() ? std::optional(identity_.credentials()->validity) : std::nullopt, now()),
        desired_file_(options_.state_dir),
        wake_(context) {
    statement_.incarnation = {identity_.node_id(), options_.boot_id, hex_encode(random_bytes(16))};
    statement_.hostname = options_.hostname;
    statement_.agent_version = options_.agent_version;
    statement_.labels = options_.labels;
    for (const std::string& complaint : identity_.complaints())
      log::warning(Part::registration, complaint);
    load_desired();
  }

  asio::awaitable<void> run(std::function<void()> on_change) {
    while (!stopping_) {
      co_await ask_about_reboot();
      if (stopping_) break;
      machine_.set_has_token(transport_.has_token());
      const Step step = machine_.next(now());
      save();
      say_when_unjoined();
      if (step.verb == Verb::wait) {
        wake_.expires_at(step.until);
        co_await wake_.async_wait(asio::as_tuple(asio::use_awaitable));
        continue;
      }
      const Now before = now();
      // The statement is a copy of this moment: facts that change during the request are another generation.
      const auto statement = std::make_shared<const Statement>(present());
      const Outcome outcome = co_await transport_.perform(step, statement, machine_.judged(before));
      if (stopping_) break;
      const auto* fetched = std::get_if<Fetched>(&outcome);
      if (fetched != nullptr && fetched->state) {
        co_await keep(fetched->state);
        if (stopping_) break;
      }
      const State old = machine_.state();
      machine_.accept(step, outcome, now());
      report(step, outcome, old);
      save();
      on_change();
    }
    transport_.cancel();
  }

  void adjust(const Adjustable& next) {
    transport_.set_options({options_.endpoint, next.token_file, next.request_timeout});
    machine_.set_backoff(next.backoff_base, next.backoff_cap);
    if (statement_.labels != next.labels) machine_.introduce_again();
    statement_.labels = next.labels;
    wake_.cancel();
  }

  // Its turn comes when the request under way has ended: one connection, one thing at a time.
  void ask_reboot(std::function<void(Result<RebootAnswer>)> done) {
    reboot_asked_ = std::move(done);
    wake_.cancel();
  }

  void stop() {
    stopping_ = true;
    wake_.cancel();
    transport_.cancel();
  }

  void set_facts(std::string bytes) {
    statement_.facts_sha256 = io::sha256(bytes);
    statement_.facts = std::move(bytes);
    machine_.set_facts(statement_.facts_sha256);
    wake_.cancel();
  }

  void set_conditions(std::string bytes) {
    statement_.conditions_sha256 = io::sha256(bytes);
    statement_.conditions = std::move(bytes);
    machine_.set_conditions(statement_.conditions_sha256);
    wake_.cancel();
  }

  void set_applied(AppliedState applied) {
    applied.first_fault = printable(applied.first_fault, kLongestFault);
    if (applied == applied_) return;
    applied_ = std::move(applied);
    machine_.report_soon();
    wake_.cancel();
  }

  [[nodiscard]] const DesiredRef& desired() const { return desired_; }

  [[nodiscard]] View view() const {
    View out;
    out.state = machine_.state();
    out.reason = machine_.reason();
    if (out.state == State::unjoined && !transport_.has_token()) out.reason += ": " + transport_.why_no_token();
    out.node_id = identity_.node_id();
    out.start_id = statement_.incarnation.start_id;
    out.saved = machine_.saved();
    if (const auto certificate = machine_.certificate()) {
      out.certificate_begins = certificate->not_before;
      out.certificate_expires = certificate->not_after;
      out.certificate_renews = machine_.renewal();
    }
    out.last_acknowledged = last_acknowledged_;
    const auto wait = machine_.next_attempt() - std::chrono::steady_clock::now();
    out.next_attempt_in = std::max(std::chrono::ceil<std::chrono::milliseconds>(wait), std::chrono::milliseconds{0});
    out.certificate_time = transport_.certificate_time() + key_time_;
    out.desired_version = desired_->version;
    out.desired_sha256 = desired_->sha256;
    out.desired_problem = machine_.fetch_problem();
    out.applied = applied_;
    return out;
  }

  [[nodiscard]] const std::string& node_id() const { return identity_.node_id(); }
  void set_key_time(std::chrono::nanoseconds time) { key_time_ = time; }

 private:
  asio::awaitable<void> ask_about_reboot() {
    const auto done = std::exchange(reboot_asked_, {});
    if (!done) co_return;
    Result<RebootAnswer> answer = co_await transport_.lease_reboot(options_.boot_id, machine_.judged(now()));
    if (!stopping_) done(std::move(answer));
  }

  [[nodiscard]] Settings settings() const {
    return {options_.backoff_base, options_.backoff_cap, options_.start_jitter, build_time(), transport_.has_token()};
  }
  [[nodiscard]] Now now() const { return {options_.clock(), std::chrono::steady_clock::now(), random_u64()}; }

  void load_desired() {
    Result<DesiredState> kept = desired_file_.load();
    if (kept.has_value()) {
      desired_ = std::make_shared<const DesiredState>(std::move(*kept));
      machine_.set_held(desired_->sha256);
    } else if (kept.error().code != Code::not_found) {
      log::warning(Part::registration, "the kept desired state cannot be used, asking the registry for it again",
                   {{"reason", kept.error().message}});
    }
  }

  // On disk first: what is in force outlives a crash of the next moment. A disk that takes nothing is no reason to go
  // on with an older policy.
  asio::awaitable<void> keep(DesiredRef state) {
    std::function<Result<>()> store = [file = desired_file_, state] { return file.store(*state); };
    Result<> stored;
    if (options_.pool != nullptr) {
      stored = co_await options_.pool->run_for<void>(std::move(store), kStoreDeadline);
    } else {
      stored = store();
    }
    if (stored.has_error()) {
      log::warning(Part::registration, "the desired state could not be kept, going on with it in memory",
                   {{"reason", stored.error().message}});
    }
    log::info(Part::registration, "desired state fetched",
              {{"version", std::to_string(state->version)}, {"documents", std::to_string(state->documents.size())}});
    desired_ = std::move(state);
  }

  // What the node says of itself now.
  [[nodiscard]] Statement present() const {
    Statement out = statement_;
    out.held = desired_;
    out.applied = applied_;
    if (machine_.fetch_problem().empty()) return out;
    ++out.applied.faults;
    out.applied.first_fault =
        printable("the stated version cannot be fetched: " + machine_.fetch_problem(), kLongestFault);
    return out;
  }

  void save() {
    if (!machine_.take_dirty()) return;
    const Result<> stored = identity_.store_state(machine_.saved());
    if (stored.has_error() && unsaved_.pass(std::chrono::steady_clock::now())) {
      log::warning(Part::registration, "the registration's state could not be kept, going on with it in memory",
                   {{"reason", stored.error().message}});
    }
  }

  // Nothing is sent then, so that no answer would tell.
  void say_when_unjoined() {
    const bool unjoined = machine_.state() == State::unjoined;
    if (!std::exchange(said_unjoined_, unjoined) && unjoined) {
      log::warning(Part::registration, "there is no join token, waiting for one",
                   {{"reason", transport_.why_no_token()},
                    {"hint", "omnitide-agent registry tokens create --to FILE makes one, at the registry"}});
    }
  }

  void report(const Step& step, const Outcome& outcome, State old) {
    if (std::holds_alternative<Acknowledged>(outcome)) last_acknowledged_ = options_.clock();
    const State state = machine_.state();
    if (const auto* failed = std::get_if<Failed>(&outcome)) {
      if (state != old || complaint_.pass(std::chrono::steady_clock::now())) {
        log::warning(Part::registration, "the registry could not be asked or refused, trying again",
                     {{"state", std::string(name(state))}, {"reason", failed->error.text()}});
      }
      return;
    }
    if (std::holds_alternative<Renewed>(outcome)) log::info(Part::registration, "certificate renewed");
    if (step.verb == Verb::put)
      log::debug(Part::registration, "facts stated", {{"generation", std::to_string(step.generation)}});
    if (state != old)
      log::info(Part::registration, std::string("now ") + std::string(name(state)), {{"node_id", identity_.node_id()}});
  }

  Options options_;
  Identity identity_;
  Transport transport_;
  Machine machine_;
  DesiredFile desired_file_;
  DesiredRef desired_ = std::make_shared<const DesiredState>();
  AppliedState applied_;
  asio::steady_timer wake_;
  Statement statement_;
  std::function<void(Result<RebootAnswer>)> reboot_asked_;
  std::optional<WallTime> last_acknowledged_;
  std::chrono::nanoseconds key_time_{0};
  log::Throttle complaint_{std::chrono::minutes(1)}, unsaved_{std::chrono::minutes(10)};
  bool stopping_ = false, said_unjoined_ = false;
};

Result<std::unique_ptr<Registration>> Registration::open(asio::io_context& context, Options options) {
  const auto before = std::chrono::steady_clock::now();
  Result<Identity> identity = Identity::open(options.state_dir);
  if (identity.has_error()) return std::move(identity).error();
  auto impl = std::make_unique<Impl>(context, std::move(options), std::move(*identity));
  impl->set_key_time(std::chrono::steady_clock::now() - before);
  return std::unique_ptr<Registration>(new Registration(std::move(impl)));
}

Registration::Registration(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Registration::~Registration() = default;
asio::awaitable<void> Registration::run(std::function<void()> on_change) { return impl_->run(std::move(on_change)); }
void Registration::adjust(const Adjustable& next) { impl_->adjust(next); }
void Registration::ask_reboot(std::function<void(Result<RebootAnswer>)> done) { impl_->ask_reboot(std::move(done)); }
void Registration::stop() { impl_->stop(); }
void Registration::set_facts(std::string bytes) { impl_->set_facts(std::move(bytes)); }
void Registration::set_conditions(std::string bytes) { impl_->set_conditions(std::move(bytes)); }
DesiredRef Registration::desired() const { return impl_->desired(); }
void Registration::set_applied(AppliedState applied) { impl_->set_applied(std::move(applied)); }
View Registration::view() const { return impl_->view(); }
const std::string& Registration::node_id() const { return impl_->node_id(); }

}  // namespace omnitide::registration
