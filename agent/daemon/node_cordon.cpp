#include "agent/daemon/node_cordon.hpp"

#include <algorithm>
#include <utility>

#include "agent/base/random.hpp"
#include "agent/daemon/tuple.hpp"

namespace omnitide::daemon {

namespace asio = boost::asio;
namespace k8s = kubernetes;
using namespace std::chrono_literals;

namespace {

constexpr std::chrono::milliseconds kCordonPatience = 10s, kCordonRetry = 1s, kLongestCordonRetry = 60s;
constexpr std::chrono::milliseconds kSlotRenewal = 60s;  // of a slot, which lasts a quarter of an hour
constexpr std::chrono::milliseconds kNextSlotTry = 10s;  // for a slot; up to twice as long
constexpr unsigned kChanged = 409;
constexpr int kMostMarkTries = 10;
constexpr std::string_view kMergePatch = "application/merge-patch+json";

k8s::Fault fault_from(const Error& error) { return k8s::Fault{.error = error}; }

}  // namespace

NodeCordon::NodeCordon(asio::io_context& context, k8s::Client& client, std::string node, std::uint32_t slots,
                       Hooks hooks)
    : client_(client),
      node_(std::move(node)),
      slots_(slots),
      hooks_(std::move(hooks)),
      timer_(context),
      backoff_(kCordonRetry, kLongestCordonRetry) {}

void NodeCordon::stop() {
  stopping_ = true;
  timer_.cancel();
}

void NodeCordon::wake(SteadyTime at) {
  if (at >= due_) return;
  due_ = at;
  timer_.cancel();
}

void NodeCordon::want(const std::string& condition, bool done) {
  done_ = done;
  if (std::exchange(wanted_, condition) == condition) return;
  clean_ = given_up_ = false;
  held_.clear();
  wake(std::chrono::steady_clock::now());
}

void NodeCordon::leave(bool leave) {
  if (std::exchange(leaving_, leave) == leave) return;
  clean_ = false;
  wake(std::chrono::steady_clock::now());
}

void NodeCordon::say_held(const std::string& reason) {
  if (std::exchange(held_, reason) != reason) hooks_.held(reason);
}

// The first turn looks for what an earlier life of the agent left.
asio::awaitable<void> NodeCordon::run() {
  while (!stopping_) {
    timer_.expires_at(due_);
    co_await timer_.async_wait(kTuple);
    if (stopping_) co_return;
    const SteadyTime begun = std::chrono::steady_clock::now();
    if (begun < due_) continue;
    due_ = SteadyTime::max();
    const Answer<Said> done = co_await step();
    if (stopping_) co_return;
    const std::uint64_t random = random_u64();
    const SteadyTime now = std::chrono::steady_clock::now();
    if (!done)
      wake(now + 100ms +
           std::max<std::chrono::milliseconds>(done.error().retry_after.value_or(0s), backoff_.next(random)));
    else if (*done == Said::no)
      wake(now + (holds_slot() ? kSlotRenewal
                               : kNextSlotTry + kNextSlotTry * static_cast<std::int64_t>(random % 1024) / 1024));
    if (done) backoff_.reset();
    problem_ = done ? std::string() : done.error().error.text();
    hooks_.on_change();
  }
}

NodeCordon::Task<NodeCordon::Said> NodeCordon::step() {
  const std::string condition = leaving_ || given_up_ ? std::string() : wanted_;
  if (!condition.empty()) co_return co_await keep_from_work(condition);
  const bool leaving = leaving_;
  Answer<Said> done = co_await let_go();
  if (done && leaving == leaving_) clean_ = true;
  co_return done;
}

NodeCordon::Task<NodeCordon::Said> NodeCordon::keep_from_work(std::string condition) {
  const Answer<Said> held = co_await hold_slot();
  if (!held) co_return held;
  const Answer<k8s::CordonMarks> found = co_await marks();
  if (!found) co_return found.error();
  if (*held == Said::no) {
    // Somebody else may have the slot that was lost: what stands without one is taken back.
    if (found->any()) {
      const Answer<Said> freed = co_await mark(k8s::uncordon_patch(*found));
      if (!freed) co_return freed;
      done_ = false;
      hooks_.cordoned(false);
    }
    say_held("the fleet lets no more nodes be cordoned now");
    co_return Said::no;
  }
  if (found->any()) {
    if (!std::exchange(done_, true)) hooks_.cordoned(true);
    co_return Said::no;
  }
  if (done_) {
    given_up_ = true;
    say_held("somebody has uncordoned the node");
    co_return co_await let_go();
  }
  const Answer<Said> marked = co_await mark(k8s::cordon_patch(*found, condition));
  if (!marked) co_return marked;
  done_ = true;
  held_.clear();
  hooks_.cordoned(true);
  co_return Said::no;
}

// Another version by now is read again at once: when the agent is uninstalled its other parts write too, and its rights
// go soon.
NodeCordon::Task<NodeCordon::Said> NodeCordon::let_go() {
  for (int tries = 1;; ++tries) {
    const Answer<k8s::CordonMarks> found = co_await marks();
    if (!found) co_return found.error();
    if (!found->any()) break;
    const Answer<Said> freed = co_await mark(k8s::uncordon_patch(*found));
    if (freed) break;
    if (freed.error().status != kChanged || tries == kMostMarkTries) co_return freed;
  }
  co_return co_await give_slots_back();
}

// One of its own is renewed; else a free one is taken, or one that has run out.
NodeCordon::Task<NodeCordon::Said> NodeCordon::hold_slot() {
  const SteadyTime now = std::chrono::steady_clock::now();
  slot_.clear();
  std::vector<k8s::Slot> own, open;
  for (std::uint32_t index = 0; index < slots_; ++index) {
    Answer<k8s::Slot> each = co_await slot(index);
    if (!each) co_return each.error();
    const bool expired = watch_.expired(*each, now);
    if (each->holder == node_)
      own.push_back(std::move(*each));
    else if (each->holder.empty() || expired)
      open.push_back(std::move(*each));
  }
  if (!open.empty())
    std::rotate(open.begin(), open.begin() + static_cast<std::ptrdiff_t>(random_u64() % open.size()), open.end());
  if (!own.empty()) open.insert(open.begin(), own.front());
  for (const k8s::Slot& each : open) {
    const Answer<Said> taken = co_await take_slot(each, node_);
    if (!taken) co_return taken;
    if (*taken == Said::no) continue;
    slot_ = each.name;
    co_return Said::yes;
  }
  co_return Said::no;
}

NodeCordon::Task<NodeCordon::Said> NodeCordon::give_slots_back() {
  for (std::uint32_t index = 0; index < slots_; ++index) {
    Answer<k8s::Slot> each = co_await slot(index);
    if (!each) co_return each.error();
    if (each->holder != node_) continue;
    const Answer<Said> given = co_await take_slot(*each, "");
    if (!given) co_return given;
  }
  slot_.clear();
  co_return Said::yes;
}

NodeCordon::Task<k8s::Slot> NodeCordon::slot(std::uint32_t index) {
  k8s::Slot absent;
  absent.name = k8s::slot_name(index);
  // Named, no temporary of a co_await: GCC 12 destroys an aggregate twice there.
  std::string path = k8s::object_path(k8s::kLeases, {client_.default_namespace(), absent.name});
  const Answer<std::string> answer = co_await ask("GET", std::move(path), "", "");
  if (!answer && answer.error().status == 404) co_return absent;
  if (!answer) co_return answer.error();
  Result<k8s::Slot> out = k8s::slot_of(*answer);
  if (out.has_error()) co_return fault_from(out.error());
  co_return std::move(*out);
}

NodeCordon::Task<NodeCordon::Said> NodeCordon::take_slot(k8s::Slot slot, std::string holder) {
  const std::string& space = client_.default_namespace();
  const bool make = slot.resource_version.empty();
  std::string path =
      make ? k8s::collection_path(k8s::kLeases, space) : k8s::object_path(k8s::kLeases, {space, slot.name});
  std::string body = k8s::slot_body(slot, space, holder, wall_now());
  const Answer<std::string> answer =
      co_await ask(make ? "POST" : "PUT", std::move(path), std::string(k8s::kJsonType), std::move(body));
  if (answer) co_return Said::yes;
  // Another version by now, or one that has not run out by the server's word (manifests/, admission policy).
  if (answer.error().status == 409 || answer.error().status == 422) co_return Said::no;
  co_return answer.error();
}

NodeCordon::Task<k8s::CordonMarks> NodeCordon::marks() {
  std::string path = k8s::object_path(k8s::kNodes, {{}, node_});
  const Answer<std::string> answer = co_await ask("GET", std::move(path), "", "");
  if (!answer) co_return answer.error();
  Result<k8s::CordonMarks> out = k8s::cordon_marks(*answer);
  if (out.has_error()) co_return fault_from(out.error());
  co_return std::move(*out);
}

NodeCordon::Task<NodeCordon::Said> NodeCordon::mark(std::string patch) {
  std::string path = k8s::object_path(k8s::kNodes, {{}, node_});
  const Answer<std::string> answer = co_await ask("PATCH", std::move(path), std::string(kMergePatch), std::move(patch));
  if (!answer) co_return answer.error();
  co_return Said::yes;
}

NodeCordon::Task<std::string> NodeCordon::ask(std::string method, std::string path, std::string content_type,
                                              std::string body) {
  k8s::Request request;
  request.method = std::move(method);
  request.path = std::move(path);
  request.content_type = std::move(content_type);
  request.body = std::move(body);
  request.timeout = kCordonPatience;
  Answer<k8s::Body> answer = co_await client_.ask(std::move(request));
  if (!answer) co_return std::move(answer).error();
  co_return std::move(answer->text);
}

}  // namespace omnitide::daemon
