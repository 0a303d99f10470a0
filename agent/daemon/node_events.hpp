// Sends Events to the API server as EventRecorder says, one request at a time.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <memory>
#include <string>

#include "agent/kubernetes/client.hpp"
#include "agent/kubernetes/event_recorder.hpp"
#include "agent/kubernetes/retry.hpp"

namespace omnitide::daemon {

class NodeEvents {
 public:
  // `client` outlives run(). `on_change`: problem() or counts are others.
  NodeEvents(boost::asio::io_context& context, kubernetes::Client& client, const std::string& node,
             std::function<void()> on_change);
  [[nodiscard]] boost::asio::awaitable<void> run();  // until stop()
  void stop();
  void record(kubernetes::EventNote note);

  [[nodiscard]] const kubernetes::EventRecorder& recorder() const { return recorder_; }
  [[nodiscard]] const std::string& problem() const { return problem_; }

 private:
  [[nodiscard]] boost::asio::awaitable<void> send(kubernetes::EventRecorder::Write write);

  kubernetes::Client& client_;
  kubernetes::EventRecorder recorder_;
  std::function<void()> on_change_;
  boost::asio::steady_timer timer_;
  kubernetes::Retry retry_;
  SteadyTime resume_{};  // nothing is sent before
  std::string problem_;
  bool stopping_ = false;
  std::shared_ptr<void> return_;
};

}  // namespace omnitide::daemon
