// New pods on the daemon's loop: answers omnitide-cni on a socket of its own, and keeps that plugin chained into the
// network configuration of the container runtime, also when its owner writes it anew.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>

#include "agent/base/clock.hpp"
#include "agent/cni/sandbox.hpp"
#include "agent/config/config.hpp"
#include "agent/daemon/cni_install.hpp"
#include "agent/io/http_server.hpp"
#include "agent/io/worker_pool.hpp"
#include "agent/model/part_status.hpp"

namespace omnitide::daemon {

[[nodiscard]] CniFolders cni_folders(const config::CniConfig& config);
[[nodiscard]] cni::Settings cni_settings(const config::Config& config);

class CniPart {
 public:
  struct Hooks {
    // A pod that is to be judged, within the time; that one is gone.
    std::function<boost::asio::awaitable<Result<cni::Answer>>(cni::Sandbox, std::chrono::milliseconds)> on_sandbox;
    std::function<void(const cni::Sandbox&)> on_gone;
    // Why new pods cannot be judged for now; empty: they can. What is chained stays chained meanwhile.
    std::function<std::string()> not_now;
    std::function<void(model::PartState, std::string)> on_state;
  };
  // `wanted`: the plugin is to be chained; else it is taken out once. Everything is called on the loop.
  CniPart(boost::asio::io_context& context, io::WorkerPool& pool, const config::Config& config, bool wanted,
          Hooks hooks);
  [[nodiscard]] Result<> start();  // an error: nobody can ask; what is chained stays
  void stop();
  // For good, and with nothing of the plugin coming back: blocks while it is being installed. After the loop has ended.
  [[nodiscard]] Result<bool> remove();

 private:
  [[nodiscard]] boost::asio::awaitable<io::HttpResponse> answer_add(io::HttpRequest& request);
  [[nodiscard]] io::HttpResponse answer_gone(const io::HttpRequest& request);
  [[nodiscard]] boost::asio::awaitable<void> keep_chained();
  [[nodiscard]] boost::asio::awaitable<void> take_out();
  [[nodiscard]] boost::asio::awaitable<Result<CniInstalled>> install();
  [[nodiscard]] boost::asio::awaitable<void> wait_for_change(std::chrono::milliseconds longest);
  void watch();
  [[nodiscard]] std::chrono::milliseconds tell(const Result<CniInstalled>& installed);

  struct Gate {
    std::mutex mutex;  // held while files are changed, by a worker or by remove()
    bool shut = false;
  };

  boost::asio::io_context& context_;
  io::WorkerPool& pool_;
  std::shared_ptr<Gate> gate_ = std::make_shared<Gate>();  // shared with the job that runs
  CniFolders folders_;
  cni::Settings settings_;
  std::string socket_;
  bool wanted_, stopping_ = false;
  bool seen_ = false;  // something happened in the folder that watch_ is for
  Hooks hooks_;
  std::unique_ptr<io::HttpServer> server_;
  std::unique_ptr<boost::asio::posix::stream_descriptor> watch_;  // inotify; null: the folder is not there
  boost::asio::steady_timer timer_;
  std::deque<SteadyTime> changes_;  // of the last minute
  std::string told_;                // the last trouble that was logged
};

}  // namespace omnitide::daemon
