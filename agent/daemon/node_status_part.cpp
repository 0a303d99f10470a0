#include "agent/daemon/node_status_part.hpp"

#include <fmt/format.h>

#include <array>
#include <utility>

#include "agent/base/log.hpp"
#include "agent/base/text.hpp"
#include "agent/daemon/node_status_text.hpp"
#include "agent/daemon/spawn.hpp"
#include "agent/daemon/tuple.hpp"

namespace omnitide::daemon {

namespace asio = boost::asio;
namespace k8s = kubernetes;
using model::MetricDescriptor;
using model::MetricType;
using model::PartState;
using namespace std::chrono_literals;

namespace {

constexpr std::chrono::seconds kLeavingTime{8};
constexpr std::array<std::string_view, 1> kNodeByResult{"result"};
constexpr MetricDescriptor kConditionWrites{"omnitide_node_condition_writes_total", "",
                                            "Writes of the conditions on the Node's status, which succeeded or failed.",
                                            MetricType::counter, kNodeByResult};
constexpr MetricDescriptor kNodeEvents{
    "omnitide_node_events_total", "",
    "Events that were sent to the API server, refused by it, or dropped: too many of a "
    "source, or no room.",
    MetricType::counter, kNodeByResult};
constexpr MetricDescriptor kNodeEventsWaiting{
    "omnitide_node_events_waiting", "", "Events that are not sent yet.", MetricType::gauge, {}};

}  // namespace

NodeStatusPart::NodeStatusPart(asio::io_context& context, k8s::Client& client, const config::Config& config,
                               Sources sources)
    : context_(context),
      client_(client),
      node_(config.node.name),
      slots_(config.health.remediation.cordon_slots),
      sources_(std::move(sources)),
      wait_(context) {
  const auto told = [this] { report(); };
  if (config.kubernetes.conditions)
    conditions_ = std::make_unique<NodeConditionsWriter>(
        context, client, node_,
        [this](const std::vector<std::string>& written) { return node_conditions(sources_.conditions(), written); },
        told, NodeConditionsWriter::Times());
  if (!config.kubernetes.events) return;
  events_ = std::make_unique<NodeEvents>(context, client, node_, told);
  policy_ = std::make_unique<PolicyEvents>(context, client,
                                           [this](k8s::EventNote note) { events_->record(std::move(note)); });
}

void NodeStatusPart::spawn(asio::awaitable<void> work) {
  spawn_on(context_, std::move(work), [this](const std::string& reason) {
    if (stopping_) return;
    broken_ = "the Node is not written any more: " + reason;
    log::error(log::Part::health, broken_);
    report();
  });
}

void NodeStatusPart::start() {
  sources_.on_state(PartState::starting, "nothing is written to the Node yet");
  if (conditions_) spawn(conditions_->run());
  if (events_) spawn(events_->run());
  if (policy_) spawn(policy_->run());
}

void NodeStatusPart::end() {
  stopping_ = true;
  if (conditions_) conditions_->stop();
  if (events_) events_->stop();
  if (policy_) policy_->stop();
  if (cordon_) cordon_->stop();
}

bool NodeStatusPart::left() const { return (!conditions_ || conditions_->left()) && (!cordon_ || cordon_->left()); }

void NodeStatusPart::stop(std::shared_ptr<void> hold) {
  if (!leaving_ || left()) return end();
  spawn(finish(std::move(hold)));
}

asio::awaitable<void> NodeStatusPart::finish(std::shared_ptr<void> hold) {
  const SteadyTime until = std::chrono::steady_clock::now() + kLeavingTime;
  while (!left() && std::chrono::steady_clock::now() < until) {
    wait_.expires_after(50ms);
    co_await wait_.async_wait(kTuple);
  }
  if (!left()) log::error(log::Part::health, "what the agent wrote to its Node stays there", {{"reason", problem()}});
  end();
  hold.reset();
}

void NodeStatusPart::conditions_changed() {
  if (conditions_) conditions_->changed();
}

void NodeStatusPart::event(const node::v1::HealthEvent& event) {
  if (!events_) return;
  if (auto note = node_event(node_, event)) events_->record(std::move(*note));
}

void NodeStatusPart::leave(bool leave) {
  leaving_ = leave;
  if (conditions_) conditions_->leave(leave);
  if (cordon_) cordon_->leave(leave);
}

void NodeStatusPart::policy_faults(std::span<const policy::Fault> faults) {
  if (policy_) policy_->tell(faults);
}

void NodeStatusPart::want_cordon(const std::string& condition, bool done) {
  const bool first = !cordon_;
  if (first)
    cordon_ = std::make_unique<NodeCordon>(
        context_, client_, node_, slots_,
        NodeCordon::Hooks{
            .cordoned = sources_.cordoned, .held = sources_.cordon_held, .on_change = [this] { report(); }});
  cordon_->want(condition, done);
  if (first) spawn(cordon_->run());
}

std::string NodeStatusPart::problem() const {
  if (conditions_ && !conditions_->problem().empty()) return conditions_->problem();
  if (cordon_ && !cordon_->problem().empty()) return cordon_->problem();
  return events_ ? events_->problem() : std::string();
}

void NodeStatusPart::report() {
  if (stopping_) return;
  if (!broken_.empty()) return sources_.on_state(PartState::failed, broken_);
  std::string text;
  if (conditions_) {
    text = fmt::format("{} conditions on Node {}", conditions_->written().size(), node_);
    if (!conditions_->foreign().empty()) text += "; left to who writes them: " + join(conditions_->foreign(), ", ");
  }
  if (events_) {
    const k8s::EventRecorder::Counts& counts = events_->recorder().counts();
    if (!text.empty()) text += "; ";
    text += fmt::format("{} events sent", counts.sent);
    if (counts.dropped > 0) text += fmt::format(", {} dropped", counts.dropped);
    if (counts.refused > 0) text += fmt::format(", {} refused", counts.refused);
  }
  if (cordon_ && cordon_->holds_slot()) text += "; cordoned, or about to be";
  const std::string wrong = problem();
  sources_.on_state(wrong.empty() ? PartState::on : PartState::degraded, wrong.empty() ? text : text + ": " + wrong);
}

void NodeStatusPart::add_samples(model::SampleBatch& out) const {
  if (conditions_) {
    out.add(kConditionWrites, static_cast<double>(conditions_->counts().writes), {"ok"});
    out.add(kConditionWrites, static_cast<double>(conditions_->counts().failures), {"failed"});
  }
  if (!events_) return;
  const k8s::EventRecorder& recorder = events_->recorder();
  out.add(kNodeEvents, static_cast<double>(recorder.counts().sent), {"sent"});
  out.add(kNodeEvents, static_cast<double>(recorder.counts().refused), {"refused"});
  out.add(kNodeEvents, static_cast<double>(recorder.counts().dropped), {"dropped"});
  out.add(kNodeEventsWaiting, static_cast<double>(recorder.waiting()));
}

std::vector<const MetricDescriptor*> node_status_descriptors() {
  return {&kConditionWrites, &kNodeEvents, &kNodeEventsWaiting};
}

}  // namespace omnitide::daemon
