// What strangers send to the node, and what a damaged disk gives back: the first byte says where the rest goes.
// Besides not crashing: the session stays a good edge node in the eyes of a reader of its messages, and what was read
// is written and read again the same.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>

#include "agent/telemetry/host_state.hpp"
#include "agent/telemetry/metric_name.hpp"
#include "agent/telemetry/report.hpp"
#include "agent/telemetry/sparkplug_payload.hpp"
#include "agent/telemetry/sparkplug_session.hpp"

using namespace omnitide;
using namespace omnitide::telemetry;

namespace {

void need(bool promise) {
  if (!promise) std::abort();
}

std::string_view take(std::string_view& rest, std::size_t bytes) {
  const std::string_view out = rest.substr(0, bytes);
  rest.remove_prefix(out.size());
  return out;
}

std::uint8_t byte(std::string_view& rest) {
  const std::string_view out = take(rest, 1);
  return out.empty() ? 0 : static_cast<std::uint8_t>(out[0]);
}

KnownMetric metric(std::uint64_t alias, std::string device, double value) {
  return {alias, {std::move(device), "m" + std::to_string(alias), DataType::double_, value, ""}};
}

// Births first, seq without a gap, nothing after a disconnect.
struct Reader {
  std::optional<std::uint64_t> seq;
  bool born = false;
  void take(const SparkplugMessage& message) {
    const Result<PayloadView> payload = read_payload(message.payload, 100'000);
    need(payload.has_value() && !message.retain);
    if (message.topic.find("/NDEATH/") != std::string::npos) {
      need(born && !payload->seq);
      born = false;
      return;
    }
    const bool birth = message.topic.find("/NBIRTH/") != std::string::npos;
    need((birth || born) && payload->seq.has_value() && *payload->seq < 256);
    need(birth ? *payload->seq == 0 : *payload->seq == (*seq + 1) % 256);
    born = true;
    seq = payload->seq;
  }
};

void session(std::string_view rest) {
  SparkplugOptions options{.group = "G", .node = "N", .primary_host = "", .brokers = 1, .commands = {}};
  const std::uint8_t flags = byte(rest);
  if ((flags & 1U) != 0) options.primary_host = "H";
  if ((flags & 2U) != 0) options.brokers = 2;
  if ((flags & 4U) != 0) options.commands = {"rediscover", "interval", "deadband", "reboot", "next-server"};
  SparkplugSession node(options, {});
  Reader reader;
  WallTime now{std::chrono::milliseconds{1'700'000'000'000}};
  const auto pump = [&node, &reader] {
    for (const SparkplugAction& action : node.take_actions()) {
      if (action.kind == SparkplugAction::Kind::publish) reader.take(action.message);
      if (action.kind == SparkplugAction::Kind::disconnect) need(!reader.born);
    }
  };
  while (!rest.empty()) {
    const std::uint8_t what = byte(rest);
    switch (what % 12) {
      case 0:
        need(node.connecting("broker").qos == 1);
        reader = {};
        break;
      case 1: node.connected(now); break;
      case 2: node.message("spBv1.0/G/NCMD/N", take(rest, byte(rest)), now); break;
      case 3: node.message("spBv1.0/STATE/H", take(rest, byte(rest)), now); break;
      case 4: node.message(take(rest, byte(rest)), take(rest, byte(rest)), now); break;
      case 5: node.set_metrics({metric(16, "", what), metric(17, "disk:a", 1)}, now); break;
      case 6: node.set_metrics({metric(byte(rest), "", 1), metric(300U + byte(rest), "disk:b", 1)}, now); break;
      case 7:
        for (const SparkplugMessage& message :
             node.data(std::vector<Report>{{"", now, {{16, DataType::double_, 2.0}}},
                                           {"disk:a", now, {{17, DataType::double_, MetricValue{}}}}},
                       (what & 64U) != 0, now))
          reader.take(message);
        break;
      case 8: now += std::chrono::seconds{byte(rest)}; break;
      case 9: node.tick(now); break;
      case 10:
        node.disconnected();
        reader.born = false;
        break;
      default: node.stop(now); break;
    }
    pump();
    if (node.next_tick()) need(*node.next_tick() < now + std::chrono::hours{1});
  }
  const Result<SparkplugState> kept = decode_state(encode_state(node.state()));
  need(kept.has_value() && *kept == node.state());
}

void payload(std::string_view rest) {
  const Result<PayloadView> read = read_payload(rest, 64);
  if (read.has_error()) return;
  need(read->metrics.size() <= 64);
  for (const PayloadView::Metric& each : read->metrics)
    for (const DataType type :
         {DataType::int64, DataType::uint64, DataType::double_, DataType::boolean, DataType::string})
      (void)value_as(each, type);
}

void record(std::string_view rest) {
  const Result<Report> read = decode_record(rest);
  if (read.has_error()) return;
  const std::string again = encode_record(*read);
  const Result<Report> second = decode_record(again);
  need(second.has_value() && encode_record(*second) == again);
}

void texts(std::string_view rest) {
  (void)parse_host_report(rest);
  const Result<SparkplugState> state = decode_state(rest);
  if (state) need(decode_state(encode_state(*state)).has_value());
  const Result<std::vector<DeadBand>> bands = parse_dead_band_list(rest);
  if (bands) need(parse_dead_band_list(dead_band_list(*bands)).has_value());
  need(is_sparkplug_id(device_id("disk", rest)));
  need(bounded_text(rest, 16).size() <= 48);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view rest(reinterpret_cast<const char*>(data), size);
  switch (byte(rest) % 4) {
    case 0: session(rest); break;
    case 1: payload(rest); break;
    case 2: record(rest); break;
    default: texts(rest); break;
  }
  return 0;
}
