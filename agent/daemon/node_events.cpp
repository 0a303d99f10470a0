#include "agent/daemon/node_events.hpp"

#include <algorithm>
#include <utility>

#include "agent/base/random.hpp"
#include "agent/daemon/tuple.hpp"

namespace omnitide::daemon {

namespace asio = boost::asio;
namespace k8s = kubernetes;
using namespace std::chrono_literals;
using Outcome = k8s::EventRecorder::Outcome;

namespace {

constexpr std::string_view kEventController = "omnitide.io/agent";
constexpr std::chrono::milliseconds kEventPause = 1s, kEventRetry = 1s, kLongestEventRetry = 60s, kEventPatience = 10s;

// A name that is there already is our own, sent before an answer that was lost, or another node's that told the same.
Outcome event_outcome(const k8s::EventRecorder::Write& write, const k8s::Fault& fault) {
  if (fault.status == 409 && write.method == "POST") return Outcome::sent;
  if (fault.status == 404 && write.method == "PATCH") return Outcome::gone;
  // A namespace that is not there or goes, a right that is not given, a word that is not taken.
  const bool final = fault.status >= 400 && fault.status < 500 && fault.status != 401 && fault.status != 408 &&
                     fault.status != 409 && fault.status != 429;
  return final ? Outcome::refused : Outcome::failed;
}

}  // namespace

NodeEvents::NodeEvents(asio::io_context& context, k8s::Client& client, const std::string& node,
                       std::function<void()> on_change)
    : client_(client),
      recorder_(std::string(kEventController), node),
      on_change_(std::move(on_change)),
      timer_(context),
      retry_(kEventRetry, kLongestEventRetry),
      return_(client.on_return([this] {
        if (!retry_.returned()) return;
        resume_ = {};
        timer_.cancel();
      })) {}

void NodeEvents::stop() {
  stopping_ = true;
  timer_.cancel();
}

void NodeEvents::record(k8s::EventNote note) {
  recorder_.record(std::move(note), std::chrono::steady_clock::now());
  timer_.cancel();
}

asio::awaitable<void> NodeEvents::run() {
  while (!stopping_) {
    const SteadyTime now = std::chrono::steady_clock::now();
    std::optional<k8s::EventRecorder::Write> write;
    if (now >= resume_) write = recorder_.next(now);
    if (write) {
      co_await send(std::move(*write));
      continue;
    }
    timer_.expires_at(std::max(resume_, recorder_.due().value_or(now + 1h)));
    co_await timer_.async_wait(kTuple);
  }
}

asio::awaitable<void> NodeEvents::send(k8s::EventRecorder::Write write) {
  retry_.began();
  k8s::Request request;
  request.method = write.method;
  request.path = write.path;
  request.content_type = write.content_type;
  request.body = write.body;
  request.timeout = kEventPatience;
  const boost::system::result<k8s::Body, k8s::Fault> answer = co_await client_.ask(std::move(request));
  if (stopping_) co_return;
  const Outcome outcome = answer ? Outcome::sent : event_outcome(write, answer.error());
  const SteadyTime now = std::chrono::steady_clock::now();
  recorder_.done(write, outcome, now);
  problem_ = outcome == Outcome::sent || outcome == Outcome::gone ? std::string() : answer.error().error.text();
  if (outcome == Outcome::failed) {
    resume_ = now + kEventPause + retry_.after(answer.error().retry_after, random_u64());
  } else {
    retry_.took();
  }
  on_change_();
}

}  // namespace omnitide::daemon
