// What telemetry sends, for `telemetry tail`: kept only while somebody asks, and bounded. Used on the daemon's loop.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "agent/base/clock.hpp"
#include "agent/telemetry/metric_set.hpp"

namespace omnitide::node::v1 {
class TelemetryMessage;
class TelemetryMessageList;
}  // namespace omnitide::node::v1

namespace omnitide::daemon {

class TelemetryTail {
 public:
  explicit TelemetryTail(boost::asio::io_context& context);

  // For each message that is sent. Does nothing while nobody has asked within the last half minute.
  void sent(std::string_view topic, std::string_view payload);
  // Messages behind number `after`, at most 500; waits for the first one. `aliases_file`: where names of aliases stand.
  [[nodiscard]] boost::asio::awaitable<void> messages(std::uint64_t after, std::chrono::milliseconds patience,
                                                      std::string aliases_file, node::v1::TelemetryMessageList& out);
  void stop();

 private:
  struct Sent {
    WallTime time{};
    std::string topic, payload;
  };
  void fill(const Sent& sent, node::v1::TelemetryMessage& out);
  void fill_sparkplug(const Sent& sent, node::v1::TelemetryMessage& out);
  [[nodiscard]] std::string name_of(std::uint64_t alias);

  boost::asio::steady_timer wake_;
  std::deque<Sent> kept_;
  std::size_t bytes_ = 0;
  std::uint64_t number_ = 0;  // of the last one
  SteadyTime wanted_until_{};
  bool stopping_ = false;
  std::string aliases_file_;
  bool read_aliases_ = false;  // for the answer at hand
  std::optional<telemetry::AliasTable> aliases_;
};

}  // namespace omnitide::daemon
