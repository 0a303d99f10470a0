// The board on which every part says whether it runs, and why not. Owned by the daemon, used on its loop only.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/model/part_status.hpp"

namespace omnitide::daemon {

class Parts {
 public:
  void set(std::string_view name, model::PartState state, std::string reason = {}, std::vector<std::string> urls = {});
  [[nodiscard]] const std::vector<model::PartStatus>& all() const {
    return parts_;
  }  // in the order they were first set
  // Is called after each set() that changed a state or a reason.
  void on_change(std::function<void(std::string_view name)> listener) { on_change_ = std::move(listener); }

 private:
  std::function<void(std::string_view name)> on_change_;
  std::vector<model::PartStatus> parts_;
};

}  // namespace omnitide::daemon
