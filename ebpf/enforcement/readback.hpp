// What the programs tell: counters, and events from the ring buffer.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "agent/base/error.hpp"
#include "ebpf/abi/policy.h"
#include "ebpf/enforcement/maps.hpp"
#include "ebpf/enforcement/status.hpp"

struct ring_buffer;

namespace omnitide::enforcement {

// The sums over all CPUs.
[[nodiscard]] Result<Counters> read_counters(const Maps& maps);

class EventReader {
 public:
  [[nodiscard]] static Result<EventReader> open(int map_fd);
  [[nodiscard]] int fd() const;  // readable when there are events
  // The oldest events, at most `most`. Never blocks.
  [[nodiscard]] std::vector<policy_event> drain(std::size_t most);

 private:
  struct Free {
    void operator()(ring_buffer* ring) const;
  };
  struct Batch;
  static int take(void* context, void* data, std::size_t size);

  std::unique_ptr<Batch> batch_;
  std::unique_ptr<ring_buffer, Free> ring_;

 public:
  EventReader(EventReader&&) noexcept;
  EventReader& operator=(EventReader&&) noexcept;
  ~EventReader();

 private:
  EventReader();
};

[[nodiscard]] FlowEvent decode(const policy_event& event);

}  // namespace omnitide::enforcement
