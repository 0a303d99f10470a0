#include "agent/policy/endpoint_table.hpp"

namespace omnitide::policy {

void EndpointTable::put(PlanEndpoint endpoint) {
  const auto [at, fresh] = endpoints_.try_emplace(endpoint.name);
  if (!fresh && at->second == endpoint) return;
  before_.try_emplace(endpoint.name, fresh ? std::nullopt : std::optional(at->second));
  at->second = std::move(endpoint);
}

void EndpointTable::take(const std::string& name) {
  const auto found = endpoints_.find(name);
  if (found == endpoints_.end()) return;
  before_.try_emplace(name, found->second);
  endpoints_.erase(found);
}

void EndpointTable::put_deny(std::vector<Prefix> deny) {
  if (deny == deny_) return;
  if (!deny_before_) deny_before_ = deny_;
  deny_ = std::move(deny);
}

void EndpointTable::write_all(PlanUpdate& update) const {
  for (const auto& [name, endpoint] : endpoints_)
    update.endpoints.push_back(endpoint);
  update.host_deny = deny_;
  update.host_deny_changed = !deny_.empty();
}

void EndpointTable::write_changes(PlanUpdate& update) const {
  for (const auto& [name, old] : before_) {
    const auto now = endpoints_.find(name);
    if (now == endpoints_.end()) {
      if (old) update.gone_endpoints.push_back(name);
    } else if (!old || *old != now->second) {
      update.endpoints.push_back(now->second);
    }
  }
  if (deny_before_ && *deny_before_ != deny_) {
    update.host_deny = deny_;
    update.host_deny_changed = true;
  }
}

void EndpointTable::forget_changes() {
  before_.clear();
  deny_before_.reset();
}

}  // namespace omnitide::policy
