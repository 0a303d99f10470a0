#include "agent/policy/plan.hpp"

namespace omnitide::policy {

bool PlanUpdate::empty() const {
  return sets.empty() && rows.empty() && locations.empty() && endpoints.empty() && !host_deny_changed &&
         gone_locations.empty() && gone_endpoints.empty() && gone_sets.empty() && gone_rows.empty();
}

}  // namespace omnitide::policy
