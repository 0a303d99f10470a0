// The metrics of eBPF in the daemon: loads the programs on a worker, and gives the engine collectors that are silent
// until then, and for good where the kernel does not take a program.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "agent/io/worker_pool.hpp"
#include "agent/model/collector.hpp"
#include "agent/model/part_status.hpp"
#include "ebpf/collectors/catalogue.hpp"

namespace omnitide::daemon {

class EbpfMetricsPart {
 public:
  using OnState = std::function<void(model::PartState, std::string reason)>;

  // `on_state` is called on the loop: once by start(), and once when the programs are loaded or cannot be.
  EbpfMetricsPart(boost::asio::io_context& context, io::WorkerPool& pool, collectors::Options options,
                  OnState on_state);

  void start();
  // What comes to an end after this is not told any more.
  void stop() { stopping_ = true; }
  // All that are not excluded. They keep the programs alive, also without the part.
  [[nodiscard]] std::vector<model::Collector> collectors() const;

 private:
  class Loaded;
  [[nodiscard]] boost::asio::awaitable<void> load();

  boost::asio::io_context& context_;
  io::WorkerPool& pool_;
  collectors::Options options_;
  OnState on_state_;
  std::shared_ptr<Loaded> loaded_;
  bool stopping_ = false;
};

// "9 collectors; off: drops (the kernel ...)": the state of the part, and its reason.
[[nodiscard]] std::pair<model::PartState, std::string> ebpf_state(
    const std::vector<collectors::EbpfCollector>& collectors);

}  // namespace omnitide::daemon
