#include "agent/daemon/discovery_part.hpp"

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "agent/base/log.hpp"
#include "agent/daemon/spawn.hpp"
#include "discovery/inventory/ebpf_source.hpp"
#include "discovery/sources/catalogue.hpp"

namespace omnitide::daemon {

namespace asio = boost::asio;
using asio::posix::stream_descriptor;
using log::Part;

namespace {

std::vector<discovery::Source> wanted_sources(const DiscoveryPart::Options& options) {
  std::vector<discovery::Source> out = discovery::all_sources();
  out.push_back(discovery::ebpf_source(options.probe_cache, false));
  std::erase_if(out, [&options](const discovery::Source& source) {
    return std::find(options.exclude_sources.begin(), options.exclude_sources.end(), source.name) !=
           options.exclude_sources.end();
  });
  return out;
}

}  // namespace

DiscoveryPart::DiscoveryPart(asio::io_context& context, io::WorkerPool& pool, Root root, Options options,
                             std::function<void()> on_facts)
    : context_(context),
      pool_(pool),
      root_(std::move(root)),
      options_(std::move(options)),
      on_facts_(std::move(on_facts)),
      inventory_(wanted_sources(options_)),
      debouncer_(options_.debounce),
      slots_(inventory_.sources().size()),
      wanted_(inventory_.sources().size()),
      refresh_timer_(context),
      debounce_timer_(context) {}

void DiscoveryPart::start() {
  // The monitors first: what changes during the first read is heard and read again.
  open_monitors();
  request_all();
  spawn(refresh());
}

void DiscoveryPart::stop() {
  stopping_ = true;
  refresh_timer_.cancel();
  debounce_timer_.cancel();
  boost::system::error_code ignored;
  for (const auto& descriptor : descriptors_)
    descriptor->cancel(ignored);
}

void DiscoveryPart::set_timing(std::chrono::milliseconds refresh_interval, std::chrono::milliseconds debounce) {
  options_.refresh_interval = refresh_interval;
  debouncer_ = discovery::Debouncer(debounce);
  // What waited for the old debouncer is read now.
  for (std::size_t i = 0; i < wanted_.size(); ++i) {
    if (wanted_[i]) request(i);
    wanted_[i] = false;
  }
  refresh_timer_.cancel();  // the loop starts anew with the new interval
}

void DiscoveryPart::open_monitors() {
  if (Result<discovery::UeventMonitor> monitor = discovery::UeventMonitor::open(); monitor.has_value()) {
    spawn(hear_uevents(std::move(*monitor)));
  } else {
    deaf_.push_back("device events are not heard: " + monitor.error().message);
  }
  if (Result<discovery::LinkMonitor> monitor = discovery::LinkMonitor::open(); monitor.has_value()) {
    spawn(hear_links(std::move(*monitor)));
  } else {
    deaf_.push_back("link events are not heard: " + monitor.error().message);
  }
  if (Result<discovery::MountMonitor> monitor = discovery::MountMonitor::open(); monitor.has_value()) {
    spawn(hear_mounts(std::move(*monitor)));
  } else {
    deaf_.push_back("mounts are not heard: " + monitor.error().message);
  }
}

void DiscoveryPart::spawn(asio::awaitable<void> work) {
  spawn_on(context_, std::move(work),
           [this](const std::string& reason) { deafened("a part of discovery failed: " + reason); });
}

void DiscoveryPart::deafened(std::string reason) {
  if (stopping_) return;
  log::error(Part::discovery, reason);
  deaf_.push_back(std::move(reason));
  if (complete_) on_facts_();
}

void DiscoveryPart::read_all() {
  if (!stopping_) request_all();
}

void DiscoveryPart::request_all() {
  for (std::size_t i = 0; i < slots_.size(); ++i)
    request(i);
}

void DiscoveryPart::request(std::size_t index) {
  if (slots_[index].reading) {
    slots_[index].again = true;
    return;
  }
  slots_[index].reading = true;
  spawn(read(index));
}

asio::awaitable<void> DiscoveryPart::read(std::size_t index) {
  const discovery::Source& source = inventory_.sources()[index];
  const auto before = std::chrono::steady_clock::now();
  // Named, not a temporary of the co_await: GCC 12 destroys a lambda's captures twice there.
  std::function<Result<discovery::Report>()> job = [read_source = source.read, root = root_] {
    return read_source(root);
  };
  Result<discovery::Report> outcome = co_await pool_.run_for<discovery::Report>(std::move(job), source.deadline);
  if (stopping_) co_return;
  if (outcome.has_error()) {
    log::warning(Part::discovery, "a source could not be read, keeping what it said before",
                 {{"source", std::string(source.name)}, {"reason", outcome.error().message}});
  }
  inventory_.accept(index, std::move(outcome), std::chrono::steady_clock::now() - before, wall_now());
  slots_[index].reading = false;
  slots_[index].read_once = true;
  if (std::exchange(slots_[index].again, false)) request(index);
  settle();
}

// Tells of changed facts when no foreground read is under way, so that one event gives one change.
void DiscoveryPart::settle() {
  bool all_read = true, busy = false;
  for (std::size_t i = 0; i < slots_.size(); ++i) {
    if (inventory_.sources()[i].background && !slots_[i].read_once) continue;
    all_read = all_read && slots_[i].read_once;
    busy = busy || slots_[i].reading;
  }
  if (!all_read || busy) return;
  const bool first = !std::exchange(complete_, true);
  const bool changed = inventory_.changed();
  if (first || changed) on_facts_();
}

asio::awaitable<void> DiscoveryPart::refresh() {
  while (!stopping_) {
    refresh_timer_.expires_after(options_.refresh_interval);
    const auto [cancelled] = co_await refresh_timer_.async_wait(asio::as_tuple(asio::use_awaitable));
    if (!cancelled && !stopping_) request_all();
  }
}

void DiscoveryPart::want(const std::vector<std::size_t>& indices) {
  if (indices.empty()) return;
  for (const std::size_t index : indices)
    wanted_[index] = true;
  debouncer_.event(std::chrono::steady_clock::now());
  if (std::exchange(debouncing_, true)) return;
  spawn(debounce());
}

asio::awaitable<void> DiscoveryPart::debounce() {
  while (!stopping_) {
    const auto due = debouncer_.due();
    if (!due) break;
    debounce_timer_.expires_at(*due);
    co_await debounce_timer_.async_wait(asio::as_tuple(asio::use_awaitable));
    if (!debouncer_.take(std::chrono::steady_clock::now())) continue;
    for (std::size_t i = 0; i < wanted_.size(); ++i) {
      if (wanted_[i]) request(i);
      wanted_[i] = false;
    }
  }
  debouncing_ = false;
}

asio::awaitable<void> DiscoveryPart::hear_uevents(discovery::UeventMonitor monitor) {
  // The monitor owns the descriptor; Asio only waits on a duplicate, which it closes itself.
  const auto descriptor = std::make_shared<stream_descriptor>(context_, ::dup(monitor.fd()));
  descriptors_.push_back(descriptor);
  while (!stopping_) {
    const auto [error] =
        co_await descriptor->async_wait(stream_descriptor::wait_read, asio::as_tuple(asio::use_awaitable));
    if (error || stopping_) break;
    const Result<discovery::UeventBatch> batch = monitor.drain();
    if (batch.has_error()) {
      deafened("device events are not heard any more: " + batch.error().message);
      break;
    }
    if (batch->overflow) {
      log::warning(Part::discovery, "device events were lost, reading everything again");
      request_all();
    }
    for (const discovery::Uevent& event : batch->events)
      want(inventory_.wanted_by_uevent(event.subsystem));
  }
}

asio::awaitable<void> DiscoveryPart::hear_links(discovery::LinkMonitor monitor) {
  const auto descriptor = std::make_shared<stream_descriptor>(context_, ::dup(monitor.fd()));
  descriptors_.push_back(descriptor);
  while (!stopping_) {
    const auto [error] =
        co_await descriptor->async_wait(stream_descriptor::wait_read, asio::as_tuple(asio::use_awaitable));
    if (error || stopping_) break;
    const Result<discovery::LinkBatch> batch = monitor.drain();
    if (batch.has_error()) {
      deafened("link events are not heard any more: " + batch.error().message);
      break;
    }
    if (batch->overflow || !batch->events.empty()) want(inventory_.wanted_by_rtnetlink());
  }
}

asio::awaitable<void> DiscoveryPart::hear_mounts(discovery::MountMonitor monitor) {
  const auto descriptor = std::make_shared<stream_descriptor>(context_, ::dup(monitor.fd()));
  descriptors_.push_back(descriptor);
  while (!stopping_) {
    // The kernel flags a changed mount table as an exceptional condition.
    const auto [error] =
        co_await descriptor->async_wait(stream_descriptor::wait_error, asio::as_tuple(asio::use_awaitable));
    if (error || stopping_) break;
    const Result<bool> changed = monitor.drain();
    if (changed.has_error()) {
      deafened("mounts are not heard any more: " + changed.error().message);
      break;
    }
    if (*changed) want(inventory_.wanted_by_mounts());
  }
}

}  // namespace omnitide::daemon
