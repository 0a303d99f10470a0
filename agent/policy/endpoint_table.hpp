// The endpoints of the plan, and what is different about them since it was last published.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "agent/policy/plan.hpp"

namespace omnitide::policy {

class EndpointTable {
 public:
  void put(PlanEndpoint endpoint);
  void take(const std::string& name);
  void put_deny(std::vector<Prefix> deny);  // sorted, each once
  [[nodiscard]] std::size_t size() const { return endpoints_.size(); }
  [[nodiscard]] std::size_t deny_entries() const { return deny_.size(); }

  void write_all(PlanUpdate& update) const;
  void write_changes(PlanUpdate& update) const;
  void forget_changes();

 private:
  std::map<std::string, PlanEndpoint> endpoints_;
  std::map<std::string, std::optional<PlanEndpoint>> before_;  // what changed endpoints were
  std::vector<Prefix> deny_;
  std::optional<std::vector<Prefix>> deny_before_;
};

}  // namespace omnitide::policy
