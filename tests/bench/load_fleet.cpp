#include "tests/bench/load_fleet.hpp"

#include <fmt/format.h>
#include <sys/epoll.h>

#include <algorithm>
#include <array>
#include <cerrno>

namespace omnitide::bench {

using namespace std::chrono_literals;
using std::chrono::milliseconds;

namespace {

constexpr std::uint32_t kFirstAddress = 0x7f010001;  // 127.1.0.1
constexpr auto kRequestTimeout = 10'000ms;           // the agent's default, connecting included
constexpr auto kSweepEvery = 50ms;
constexpr std::size_t kCauses = 64, kComplaints = 8;
// What begins in one turn of the loop. Thousands of real nodes finish their handshakes beside each other; this one
// thread, beginning all before it finishes any, would run into the nodes' time-outs by its own doing.
constexpr unsigned kBegunInOneTurn = 64;

}  // namespace

Result<> Fleet::make_nodes(unsigned count) {
  epoll_.reset(::epoll_create1(EPOLL_CLOEXEC));
  if (!epoll_) return fail_errno(errno, "cannot make an epoll descriptor");
  for (unsigned i = 0; i < count; ++i) {
    if (const Result<> made = nodes_.emplace_back().make(i); made.has_error()) return made;
  }
  return {};
}

void Fleet::plan(std::uint32_t number, SteadyTime due) { actions_.push({due, number, ++nodes_[number].ticket}); }

void Fleet::begin(std::uint32_t number) {
  Node& node = nodes_[number];
  node.busy = true;
  node.deadline = now_ + kRequestTimeout;
  if (node.connection.open()) {
    ask(number);
    return;
  }
  ++counters_.connections;
  const Result<> opened = node.connection.open(epoll_.get(), number, kFirstAddress + number, port_,
                                               node.joined() ? mutual_ : pinned_, node.certificate(), node.key());
  if (opened.has_error()) back_off(number, opened.error().message, 0ms);
}

void Fleet::ask(std::uint32_t number) {
  Node& node = nodes_[number];
  if (node.next_step() == Node::Step::heartbeat && change_rate_ > 0 &&
      static_cast<double>(random_() >> 11U) * 0x1p-53 < change_rate_) {
    node.change();
  }
  node.step = node.next_step();
  const Result<std::string_view> bytes = node.request(contract_);
  if (bytes.has_error()) {
    back_off(number, bytes.error().message, 0ms);
    return;
  }
  node.sent = std::chrono::steady_clock::now();
  on_progress(number, node.connection.send(*bytes));
}

void Fleet::on_progress(std::uint32_t number, Connection::Progress progress) {
  Node& node = nodes_[number];
  switch (progress) {
    case Connection::Progress::waiting: return;
    case Connection::Progress::ready: ask(number); return;
    case Connection::Progress::answered: on_answer(number); return;
    case Connection::Progress::ended:
    case Connection::Progress::failed: back_off(number, node.connection.cause(), 0ms); return;
  }
}

void Fleet::on_answer(std::uint32_t number) {
  Node& node = nodes_[number];
  const Answer answer = node.connection.answer();
  node.busy = false;
  node.deadline = SteadyTime::max();
  if (node.step == Node::Step::heartbeat) latencies_.add(std::chrono::steady_clock::now() - node.sent);
  std::string cause;
  const Node::Outcome outcome = node.judge(answer, cause);
  if (answer.close || outcome == Node::Outcome::reconnect) node.connection.close();
  switch (outcome) {
    case Node::Outcome::go_on:
    case Node::Outcome::reconnect: begin(number); return;
    case Node::Outcome::registered: on_registered(number); return;
    case Node::Outcome::retry:
      back_off(number, cause, std::chrono::seconds(answer.retry_after_seconds.value_or(0)));
      return;
    case Node::Outcome::lost:
      ++counters_.lost;
      complain(number, cause);
      back_off(number, "lost", 0ms);
      return;
    case Node::Outcome::unexpected:
      ++counters_.unexpected;
      complain(number, cause);
      back_off(number, "unexpected", 0ms);
      return;
  }
}

void Fleet::on_registered(std::uint32_t number) {
  Node& node = nodes_[number];
  const bool put = node.step == Node::Step::put;
  put ? ++counters_.puts : ++counters_.heartbeats;
  node.backoff.reset();
  if (!node.back) {
    node.back = true;
    ++back_;
    join_next();
  }
  // A change goes out at once, as the agent's does.
  if (closed_loop_ || node.next_step() == Node::Step::put) {
    begin(number);
  } else {
    plan(number, now_ + std::chrono::seconds(node.interval_seconds()));
  }
}

void Fleet::back_off(std::uint32_t number, const std::string& cause, milliseconds more) {
  Node& node = nodes_[number];
  const bool unseen = !counters_.retries.contains(cause);
  ++counters_.retries[unseen && counters_.retries.size() >= kCauses ? "other" : cause];
  // A connection on which an answer came goes on, unless the answer ended it.
  if (!node.connection.idle()) node.connection.close();
  node.busy = false;
  node.deadline = SteadyTime::max();
  plan(number, now_ + node.backoff.next(random_()) + more);
}

void Fleet::complain(std::uint32_t number, const std::string& cause) {
  if (counters_.complaints.size() < kComplaints) {
    counters_.complaints.push_back(fmt::format("{}: {}", nodes_[number].node_id(), cause));
  }
}

void Fleet::join_next() {
  if (next_join_ < nodes_.size()) plan(next_join_++, now_);
}

void Fleet::begin_joins(unsigned parallel) {
  now_ = std::chrono::steady_clock::now();
  for (unsigned i = 0; i < parallel; ++i)
    join_next();
}

void Fleet::change(unsigned count) {
  const std::size_t every = std::max<std::size_t>(nodes_.size() / std::max(count, 1U), 1);
  now_ = std::chrono::steady_clock::now();
  for (std::size_t i = 0; i < nodes_.size(); i += every) {
    nodes_[i].change();
    if (!nodes_[i].busy) plan(static_cast<std::uint32_t>(i), now_);
  }
}

void Fleet::set_closed_loop(bool on) {
  closed_loop_ = on;
  if (!on) return;
  now_ = std::chrono::steady_clock::now();
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    if (!nodes_[i].busy) plan(static_cast<std::uint32_t>(i), now_);
  }
}

void Fleet::forget_back() {
  back_ = 0;
  for (Node& node : nodes_)
    node.back = false;
}

void Fleet::close_all() {
  for (Node& node : nodes_)
    node.connection.close();
}

std::size_t Fleet::connected() const {
  return static_cast<std::size_t>(
      std::count_if(nodes_.begin(), nodes_.end(), [](const Node& node) { return node.connection.open(); }));
}

void Fleet::fire_due() {
  for (unsigned begun = 0; begun < kBegunInOneTurn && !actions_.empty() && actions_.top().due <= now_;) {
    const Action action = actions_.top();
    actions_.pop();
    Node& node = nodes_[action.node];
    if (action.ticket != node.ticket || node.busy) continue;
    lags_.add(now_ - action.due);
    begin(action.node);
    ++begun;
  }
}

void Fleet::sweep() {
  next_sweep_ = now_ + kSweepEvery;
  for (std::uint32_t i = 0; i < nodes_.size(); ++i) {
    if (nodes_[i].deadline > now_) continue;
    nodes_[i].connection.close();
    back_off(i, fmt::format("no answer within {} s", kRequestTimeout / 1s), 0ms);
  }
}

bool Fleet::run_until(const std::function<bool()>& done, milliseconds limit) {
  now_ = std::chrono::steady_clock::now();
  const SteadyTime until = now_ + limit;
  std::array<epoll_event, 256> events{};
  while (!done()) {
    if (now_ >= until) return false;
    SteadyTime next = std::min(until, next_sweep_);
    if (!actions_.empty()) next = std::min(next, actions_.top().due);
    const auto wait = std::max<std::chrono::nanoseconds>(next - now_, 0ns);
    const timespec timeout{.tv_sec = wait / 1s, .tv_nsec = (wait % 1s).count()};
    const int count = ::epoll_pwait2(epoll_.get(), events.data(), static_cast<int>(events.size()), &timeout, nullptr);
    now_ = std::chrono::steady_clock::now();
    for (int i = 0; i < count; ++i) {
      const std::uint32_t number = events.at(static_cast<std::size_t>(i)).data.u32;
      on_progress(number, nodes_[number].connection.drive(scratch_));
    }
    fire_due();
    if (now_ >= next_sweep_) sweep();
  }
  return true;
}

void Fleet::run_for(milliseconds time) {
  (void)run_until([] { return false; }, time);
}

}  // namespace omnitide::bench
