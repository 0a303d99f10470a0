// What happened to the node's health, one item a line in a file that is kept: each change of a condition, each event,
// each decision, each word of an operator. Bounded: when the file is full it becomes FILE.1, and a new one begins.
#pragma once

#include <cstddef>
#include <deque>
#include <string>

#include "agent/base/error.hpp"

namespace omnitide::node::v1 {
class HealthEvent;
class HealthHistory;
}  // namespace omnitide::node::v1

namespace omnitide::daemon {

class HealthHistory {
 public:
  static constexpr std::size_t kLongest = std::size_t{1} << 20U;  // bytes of one file
  static constexpr std::size_t kShown = 200;                      // items in memory, as JSON

  // Lines of an earlier run that are whole are read; a damaged one is left out.
  explicit HealthHistory(std::string path);
  // The item is kept in memory though the file takes no more.
  [[nodiscard]] Result<> add(const node::v1::HealthEvent& event);
  void fill(node::v1::HealthHistory& out) const;

 private:
  [[nodiscard]] Result<> append(const std::string& line);
  std::string path_;
  std::deque<std::string> lines_;
};

}  // namespace omnitide::daemon
