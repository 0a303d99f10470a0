// Discovery on the daemon's loop: reads every source on the workers, once at the start, again after the kernel's events
// (debounced) and at the refresh interval, each with its own deadline.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "agent/base/root.hpp"
#include "agent/io/worker_pool.hpp"
#include "discovery/inventory/inventory.hpp"
#include "discovery/sources/link_monitor.hpp"
#include "discovery/sources/mount_monitor.hpp"
#include "discovery/sources/uevent.hpp"

namespace omnitide::daemon {

class DiscoveryPart {
 public:
  struct Options {
    std::chrono::milliseconds refresh_interval{600'000}, debounce{200};
    std::vector<std::string> exclude_sources;
    std::string probe_cache;
  };
  // `on_facts` is called on the loop when the first round is complete and whenever the facts changed after it.
  DiscoveryPart(boost::asio::io_context& context, io::WorkerPool& pool, Root root, Options options,
                std::function<void()> on_facts);

  void start();
  void stop();
  void read_all();  // everything again, now
  void set_timing(std::chrono::milliseconds refresh_interval, std::chrono::milliseconds debounce);
  [[nodiscard]] discovery::Inventory& inventory() { return inventory_; }
  [[nodiscard]] bool complete() const { return complete_; }  // every source that readiness waits for was read once
  // Which kernel events are not heard, one sentence each; empty when all are.
  [[nodiscard]] const std::vector<std::string>& deaf() const { return deaf_; }

 private:
  struct Slot {
    bool reading = false, again = false, read_once = false;
  };
  void request(std::size_t index);
  void request_all();
  [[nodiscard]] boost::asio::awaitable<void> read(std::size_t index);
  void settle();
  // Starts a coroutine; what it throws makes discovery deaf with that reason instead of vanishing.
  void spawn(boost::asio::awaitable<void> work);
  void deafened(std::string reason);
  [[nodiscard]] boost::asio::awaitable<void> refresh();
  [[nodiscard]] boost::asio::awaitable<void> debounce();
  [[nodiscard]] boost::asio::awaitable<void> hear_uevents(discovery::UeventMonitor monitor);
  [[nodiscard]] boost::asio::awaitable<void> hear_links(discovery::LinkMonitor monitor);
  [[nodiscard]] boost::asio::awaitable<void> hear_mounts(discovery::MountMonitor monitor);
  void want(const std::vector<std::size_t>& indices);
  void open_monitors();

  boost::asio::io_context& context_;
  io::WorkerPool& pool_;
  Root root_;
  Options options_;
  std::function<void()> on_facts_;
  discovery::Inventory inventory_;
  discovery::Debouncer debouncer_;
  std::vector<Slot> slots_;
  std::vector<bool> wanted_;
  std::vector<std::string> deaf_;
  std::vector<std::shared_ptr<boost::asio::posix::stream_descriptor>> descriptors_;
  boost::asio::steady_timer refresh_timer_, debounce_timer_;
  bool complete_ = false, stopping_ = false, debouncing_ = false;
};

}  // namespace omnitide::daemon
