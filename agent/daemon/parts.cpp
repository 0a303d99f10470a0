#include "agent/daemon/parts.hpp"

namespace omnitide::daemon {

void Parts::set(std::string_view name, model::PartState state, std::string reason, std::vector<std::string> urls) {
  for (model::PartStatus& part : parts_) {
    if (part.name != name) continue;
    part.state = state;
    part.reason = std::move(reason);
    if (!urls.empty()) part.urls = std::move(urls);
    return;
  }
  parts_.push_back({std::string(name), state, std::move(reason), std::move(urls)});
}

}  // namespace omnitide::daemon
