#include "agent/daemon/parts.hpp"

#include <algorithm>

namespace omnitide::daemon {

void Parts::set(std::string_view name, model::PartState state, std::string reason, std::vector<std::string> urls) {
  const auto found = std::ranges::find(parts_, name, &model::PartStatus::name);
  if (found == parts_.end()) {
    parts_.push_back({std::string(name), state, std::move(reason), std::move(urls)});
  } else {
    if (!urls.empty()) found->urls = std::move(urls);
    if (found->state == state && found->reason == reason) return;
    found->state = state;
    found->reason = std::move(reason);
  }
  if (on_change_) on_change_(name);
}

}  // namespace omnitide::daemon
