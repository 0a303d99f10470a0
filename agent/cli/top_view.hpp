// What `top` shows: rates and shares out of two collections.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <vector>

#include "agent/cli/metric_set.hpp"

namespace omnitide::cli {

struct TopShare {
  std::string name;
  double value = 0;
};

// A distribution over the time between the two collections.
struct TopHeat {
  static constexpr std::size_t kCells = 24;
  // Events a second by how long they took: cell i is above 2^(i-1) and up to 2^i microseconds; the last one has the
  // rest.
  std::array<double, kCells> cells{};
  double rate = 0;
  std::optional<double> p50, p99;  // seconds
};

struct TopDisk {
  std::string name;
  double read = 0, write = 0;  // bytes a second
  double operations = 0;       // a second
  double busy = 0;             // share of the time
};

struct TopInterface {
  std::string name;
  double in = 0, out = 0;        // bytes a second
  double drops = 0, errors = 0;  // a second, both directions
};

struct TopPressure {
  std::string name;
  double some = 0;            // share of the time in which some task waited
  std::optional<double> all;  // in which all did
};

struct TopCgroup {
  std::string name;  // unit, container, or the path
  double waits = 0;  // a second
  std::optional<double> p50, p99;
  double throttled = 0;    // share of the time
  double retransmits = 0;  // a second
};

struct TopTcp {
  double opened = 0, accepted = 0, failed = 0, resets = 0, retransmits = 0;  // a second
};

struct TopView {
  std::string node, time;  // name; clock
  double seconds = 0;      // between the collections
  std::array<double, 3> load{};
  double cpu = 0;                                                    // share that was not idle
  std::vector<TopShare> modes;                                       // of the CPU time
  double memory = 0, memory_available = 0, swap = 0, swap_free = 0;  // bytes
  std::vector<TopPressure> pressure;
  std::vector<TopDisk> disks;            // the busiest first
  std::vector<TopInterface> interfaces;  // the busiest first, without lo
  std::optional<TopHeat> run_queue, block_io;
  TopTcp tcp;
  std::vector<TopShare> drops;     // packets a second by the kernel's reason, the most first
  std::vector<TopCgroup> cgroups;  // the longest waits first
  std::string without;             // why there is nothing of what only eBPF sees; empty: there is
};

enum class TopOrder : std::uint8_t { latency, waits, throttled, retransmits };

[[nodiscard]] TopView make_top_view(const MetricSet& before, const MetricSet& now, double seconds, TopOrder order);

}  // namespace omnitide::cli
