#include "agent/daemon/telemetry_tail.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <utility>

#include "agent/base/text.hpp"
#include "agent/codec/json.hpp"
#include "agent/codec/time.hpp"
#include "agent/daemon/report.hpp"
#include "agent/daemon/tuple.hpp"
#include "agent/telemetry/sparkplug_control.hpp"
#include "agent/telemetry/sparkplug_payload.hpp"
#include "omnitide/node/v1/telemetry.pb.h"
#include "omnitide/node/v1/telemetry_status.pb.h"

namespace omnitide::daemon {

namespace asio = boost::asio;
namespace v1 = node::v1;
using telemetry::PayloadView;

namespace {

constexpr std::chrono::seconds kWantedFor{30};
constexpr std::size_t kMostKept = 2000, kMostBytes = std::size_t{1} << 20U, kMostAtOnce = 500;
constexpr std::size_t kMostMetrics = 20'000, kLongestText = 4096;
constexpr std::string_view kSparkplug = "spBv1.0/";

std::string text_of(const PayloadView::Metric& metric) {
  if (metric.null) return "null";
  return std::visit(
      [](const auto& value) -> std::string {
        using T = std::decay_t<decltype(value)>;
        if constexpr (std::is_same_v<T, std::monostate>)
          return "null";
        else if constexpr (std::is_same_v<T, PayloadView::Other>)
          return "(other)";
        else if constexpr (std::is_same_v<T, std::string_view>)
          return valid_utf8(value);
        else
          return fmt::format("{}", value);
      },
      metric.value);
}

WallTime time_of(std::uint64_t milliseconds) {
  return WallTime{std::chrono::milliseconds(static_cast<std::int64_t>(milliseconds))};
}

// Which message of telemetry.proto the stream's topic carries.
std::unique_ptr<google::protobuf::MessageLite> report_of(std::string_view topic) {
  const auto has = [topic](std::string_view word) { return topic.find(word) != std::string_view::npos; };
  if (has("facts")) return std::make_unique<v1::FactsReport>();
  if (has("metrics")) return std::make_unique<v1::MetricsReport>();
  if (has("conditions")) return std::make_unique<v1::ConditionsReport>();
  if (has("events")) return std::make_unique<v1::EventsReport>();
  if (has("flows")) return std::make_unique<v1::FlowsReport>();
  return nullptr;
}

std::string plain_text(std::string_view topic, const std::string& payload) {
  const std::unique_ptr<google::protobuf::MessageLite> report = report_of(topic);
  const bool json = payload.starts_with('{');
  std::string out = !json && report && report->ParseFromString(payload) ? codec::to_json(*report) : payload;
  if (out.size() > kLongestText) out = out.substr(0, kLongestText) + "...";
  return valid_utf8(out);
}

}  // namespace

TelemetryTail::TelemetryTail(asio::io_context& context) : wake_(context) {}

void TelemetryTail::stop() {
  stopping_ = true;
  wake_.cancel();
}

void TelemetryTail::sent(std::string_view topic, std::string_view payload) {
  const auto now = std::chrono::steady_clock::now();
  if (now > wanted_until_) {
    kept_.clear();
    bytes_ = 0;
    aliases_.reset();
    return;
  }
  ++number_;
  kept_.push_back({wall_now(), std::string(topic), std::string(payload)});
  bytes_ += payload.size();
  while (kept_.size() > 1 && (kept_.size() > kMostKept || bytes_ > kMostBytes)) {
    bytes_ -= kept_.front().payload.size();
    kept_.pop_front();
  }
  wake_.cancel();
}

asio::awaitable<void> TelemetryTail::messages(std::uint64_t after, std::chrono::milliseconds patience,
                                              std::string aliases_file, v1::TelemetryMessageList& out) {
  wanted_until_ = std::chrono::steady_clock::now() + kWantedFor + patience;
  aliases_file_ = std::move(aliases_file);
  read_aliases_ = false;
  const auto deadline = std::chrono::steady_clock::now() + patience;
  if (after == 0 || after > number_) after = number_;  // the first time: what comes from now on
  while (number_ <= after && !stopping_ && std::chrono::steady_clock::now() < deadline) {
    wake_.expires_at(deadline);
    co_await wake_.async_wait(kTuple);
  }
  const std::uint64_t oldest = number_ - kept_.size() + 1;
  if (after + 1 < oldest) out.set_lost(oldest - after - 1);
  std::uint64_t number = std::max(after + 1, oldest);
  for (; number <= number_ && out.items_size() < static_cast<int>(kMostAtOnce); ++number) {
    v1::TelemetryMessage& item = *out.add_items();
    item.set_number(number);
    fill(kept_[number - oldest], item);
  }
  out.set_next(std::max(number - 1, after));
}

void TelemetryTail::fill(const Sent& sent, v1::TelemetryMessage& out) {
  codec::set_time(sent.time, *out.mutable_time());
  out.set_topic(sent.topic);
  out.set_bytes(sent.payload.size());
  if (sent.topic.starts_with(kSparkplug))
    fill_sparkplug(sent, out);
  else
    out.set_text(plain_text(sent.topic, sent.payload));
}

void TelemetryTail::fill_sparkplug(const Sent& sent, v1::TelemetryMessage& out) {
  const Result<PayloadView> payload = telemetry::read_payload(sent.payload, kMostMetrics);
  if (payload.has_error()) return out.set_text(payload.error().text());
  out.set_seq(payload->seq.value_or(0));
  for (const PayloadView::Metric& metric : payload->metrics) {
    out.set_historical(out.historical() || metric.historical);
    v1::TelemetryValue& value = *out.add_values();
    value.set_name(metric.name ? valid_utf8(*metric.name) : metric.alias ? name_of(*metric.alias) : std::string());
    value.set_value(text_of(metric));
    if (metric.timestamp) codec::set_time(time_of(*metric.timestamp), *value.mutable_time());
  }
}

// The table is read again, once for an answer, when it has not heard of the alias: it was saved before the alias was
// first used.
std::string TelemetryTail::name_of(std::uint64_t alias) {
  for (const telemetry::ControlMetric& control : telemetry::kControls)
    if (control.alias != 0 && control.alias == alias) return std::string(control.name);
  const telemetry::AliasTable::Entry* entry = aliases_ ? aliases_->find(alias) : nullptr;
  if (entry == nullptr && !std::exchange(read_aliases_, true)) {
    Result<telemetry::AliasTable> table = telemetry::AliasTable::load(aliases_file_);
    if (table.has_value()) aliases_.emplace(std::move(*table));
    entry = aliases_ ? aliases_->find(alias) : nullptr;
  }
  return entry != nullptr ? entry->name : fmt::format("alias {}", alias);
}

}  // namespace omnitide::daemon
