#include "agent/daemon/node_conditions_writer.hpp"

#include <algorithm>
#include <utility>

#include "agent/base/random.hpp"
#include "agent/daemon/tuple.hpp"

namespace omnitide::daemon {

namespace asio = boost::asio;
namespace k8s = kubernetes;
using namespace std::chrono_literals;

namespace {

constexpr std::string_view kConditionsManager = "omnitide-agent-conditions";
constexpr std::chrono::milliseconds kConditionsPatience = 10s;
constexpr int kMostConditionTries = 8;  // each with what the last refusal said

bool has_type(const std::vector<std::string>& types, const std::string& type) {
  return std::ranges::find(types, type) != types.end();
}
SteadyTime writer_now() { return std::chrono::steady_clock::now(); }

}  // namespace

NodeConditionsWriter::NodeConditionsWriter(asio::io_context& context, k8s::Client& client, std::string node,
                                           Source source, std::function<void()> on_change, Times times)
    : client_(client),
      node_(std::move(node)),
      source_(std::move(source)),
      on_change_(std::move(on_change)),
      times_(times),
      retry_(times.retry, times.longest_retry),
      timer_(context),
      return_(client.on_return([this] {
        if (retry_.returned()) wake(std::max(writer_now(), last_ + times_.pause));
      })) {}

void NodeConditionsWriter::stop() {
  stopping_ = true;
  timer_.cancel();
}

void NodeConditionsWriter::wake(SteadyTime at) {
  if (at >= due_) return;
  due_ = at;
  timer_.cancel();
}

// While the server does not take anything it is asked when it is its turn, and gets the latest then.
void NodeConditionsWriter::changed() {
  if (!leaving_ && retry_.failures() == 0) wake(std::max(writer_now(), last_ + times_.pause));
}

void NodeConditionsWriter::leave(bool leave) {
  if (std::exchange(leaving_, leave) == leave) return;
  clean_ = false;
  retry_.took();
  wake(writer_now());
}

asio::awaitable<void> NodeConditionsWriter::run() {
  if (!leaving_) due_ = writer_now() + times_.first;
  while (!stopping_) {
    timer_.expires_at(due_);
    co_await timer_.async_wait(kTuple);
    if (stopping_) co_return;
    if (writer_now() < due_) continue;
    due_ = SteadyTime::max();  // what changes from here on is another write
    retry_.began();
    const bool leaving = leaving_;
    const boost::system::result<void, Fault> written = co_await write();
    if (stopping_) co_return;
    if (written && leaving == leaving_) clean_ = leaving;
    settle(written);
  }
}

void NodeConditionsWriter::settle(const boost::system::result<void, Fault>& written) {
  last_ = writer_now();
  const auto random = random_u64();
  if (written) {
    ++counts_.writes;
    retry_.took();
    problem_.clear();
    const std::chrono::milliseconds least = times_.heartbeat * 4 / 5;
    if (!(leaving_ && clean_))
      wake(last_ + least + (times_.heartbeat - least) * static_cast<std::int64_t>(random % 1024) / 1024);
  } else {
    ++counts_.failures;
    const Fault& fault = written.error();
    problem_ = fault.error.text();
    wake(last_ + times_.pause + retry_.after(fault.retry_after, random));
  }
  on_change_();
}

asio::awaitable<boost::system::result<void, NodeConditionsWriter::Fault>> NodeConditionsWriter::apply(
    Conditions conditions, bool force) {
  k8s::Request request =
      k8s::apply_request(k8s::kNodes, {{}, node_}, k8s::conditions_body(node_, conditions, wall_now()),
                         kConditionsManager, force, "status");
  request.timeout = kConditionsPatience;
  boost::system::result<k8s::Body, Fault> answer = co_await client_.ask(std::move(request));
  if (!answer) co_return std::move(answer).error();
  co_return boost::system::result<void, Fault>();
}

asio::awaitable<std::vector<std::string>> NodeConditionsWriter::abandoned(std::vector<std::string> types) {
  if (types.empty()) co_return types;
  // Named, no temporary of a co_await: GCC 12 destroys an aggregate twice there.
  const k8s::Name name{{}, node_};
  const Result<k8s::Body> node = co_await client_.get(k8s::kNodes, name);
  if (node.has_error()) co_return std::vector<std::string>();
  Result<std::vector<std::string>> out = k8s::abandoned_types(node->text, types, wall_now() - times_.abandoned);
  co_return out.has_value() ? std::move(*out) : std::vector<std::string>();
}

NodeConditionsWriter::Conditions NodeConditionsWriter::wanted() const {
  Conditions out;
  for (k8s::NodeCondition& each : source_(written_)) {
    if (has_type(not_admitted_, each.type)) each.type.insert(0, k8s::kOwnTypes);
    if (std::ranges::find(out, each.type, &k8s::NodeCondition::type) == out.end()) out.push_back(std::move(each));
  }
  return out;
}

// Whether the refusal says what to leave out or to name otherwise, so that another try makes sense.
bool NodeConditionsWriter::learn(const Fault& fault, std::vector<std::string>& taken) {
  bool learnt = false;
  for (std::string& type : k8s::types_in_conflict(fault.conflicts)) {
    if (has_type(taken, type)) continue;
    taken.push_back(std::move(type));
    learnt = true;
  }
  for (std::string& type : k8s::types_not_admitted(fault.error.message)) {
    if (has_type(not_admitted_, type) || type.starts_with(k8s::kOwnTypes)) continue;
    not_admitted_.push_back(std::move(type));
    learnt = true;
  }
  return learnt;
}

// First without force, so that nothing is taken from anyone; then what nobody has kept for long, on top of what is
// ours.
asio::awaitable<boost::system::result<void, NodeConditionsWriter::Fault>> NodeConditionsWriter::write() {
  std::vector<std::string> taken;
  if (writer_now() - beat_ < times_.heartbeat)
    taken = foreign_;  // who has a type is found out anew with each heartbeat
  const bool asked = taken.empty();
  const auto without_taken = [this, &taken] {
    Conditions out = leaving_ ? Conditions() : wanted();
    std::erase_if(out, [&taken](const k8s::NodeCondition& each) { return has_type(taken, each.type); });
    return out;
  };
  Conditions ours;
  boost::system::result<void, Fault> done{Fault{}};
  for (int tries = 0; tries < kMostConditionTries; ++tries) {
    ours = without_taken();
    done = co_await apply(ours, false);
    if (done || !learn(done.error(), taken)) break;
  }
  if (!done) co_return done;
  if (asked) {
    beat_ = writer_now();
    const std::vector<std::string> free = co_await abandoned(taken);
    if (!free.empty()) {
      std::erase_if(taken, [&free](const std::string& type) { return has_type(free, type); });
      ours = without_taken();
      done = co_await apply(ours, true);
      if (!done) co_return done;
    }
  }
  foreign_ = std::move(taken);
  written_.clear();
  for (const k8s::NodeCondition& each : ours)
    written_.push_back(each.type);
  co_return done;
}

}  // namespace omnitide::daemon
