// The probes on the loop: each in its own time, at most one run of each at once, all of them ended by stop().
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "agent/base/clock.hpp"
#include "agent/daemon/health_probe.hpp"
#include "agent/io/worker_pool.hpp"
#include "agent/model/sample_batch.hpp"

namespace omnitide::daemon {

class HealthProbes {
 public:
  struct Told {
    // Of a probe with a condition: what it found, on the loop.
    std::function<void(health::Finding, const Probe&)> finding;
    // Of a probe of events: what is bad.
    std::function<void(const std::string& source, const health::Finding&)> event;
  };
  // `groups`: how many of each group run at once; 0 is no bound.
  HealthProbes(boost::asio::io_context& context, std::vector<Probe> probes, std::vector<std::size_t> groups, Told told);

  // One coroutine of each probe, until stop().
  [[nodiscard]] std::vector<boost::asio::awaitable<void>> work();
  void stop();

  [[nodiscard]] std::size_t size() const { return items_.size(); }
  [[nodiscard]] const Probe* find(std::string_view name) const;  // null when there is none
  // Runs the probe now, all of them when the name is empty, and returns when that is done, but not later than
  // `longest`.
  [[nodiscard]] boost::asio::awaitable<void> run(std::string name, std::chrono::milliseconds longest);
  // Those that could not be run at the last try, each with its reason.
  [[nodiscard]] std::vector<std::string> problems() const;
  void add_samples(model::SampleBatch& out) const;

 private:
  struct Item {
    Item(boost::asio::io_context& context, Probe what) : probe(std::move(what)), timer(context) {}
    Probe probe;
    boost::asio::steady_timer timer;                                // of the next run
    std::vector<std::weak_ptr<boost::asio::steady_timer>> waiters;  // for the end of a run
    std::shared_ptr<ProbeRun> run;
    std::string problem;
    std::uint64_t runs = 0, bad = 0;
    std::chrono::duration<double> took{0};
    bool wanted = false;
  };
  struct Group {
    std::size_t most = 0, used = 0;
    std::unique_ptr<boost::asio::steady_timer> free;  // never expires; cancelling wakes all who wait
  };
  [[nodiscard]] boost::asio::awaitable<void> attend(std::shared_ptr<Item> item, std::chrono::milliseconds first);
  [[nodiscard]] boost::asio::awaitable<void> once(std::shared_ptr<Item> item);
  void settle(Item& item, health::Finding finding);
  static void wake(Item& item);

  boost::asio::io_context& context_;
  io::WorkerPool workers_;
  std::vector<std::shared_ptr<Item>> items_;
  std::vector<Group> groups_;
  Told told_;
  bool stopping_ = false;
};

[[nodiscard]] std::vector<const model::MetricDescriptor*> probe_descriptors();

}  // namespace omnitide::daemon
