// Records as messages, and which nodes a list or watch wants.
#pragma once

#include <optional>

#include "agent/base/error.hpp"
#include "agent/io/http.hpp"
#include "agent/registry/context.hpp"
#include "agent/registry/selector.hpp"
#include "omnitide/node/v1/policy.pb.h"
#include "omnitide/node/v1/registry.pb.h"

namespace omnitide::registry {

[[nodiscard]] node::v1::Node node_message(const Context& context, const NodeRecord& node);
[[nodiscard]] node::v1::Token token_message(const TokenRecord& token);
[[nodiscard]] node::v1::Operator operator_message(const OperatorRecord& record);
[[nodiscard]] node::v1::PolicyDocument policy_message(const PolicyRecord& record);  // without its text

// labelSelector and state of a query. `state` is the word of NodeState without its prefix, in any case: "approved".
class NodeFilter {
 public:
  [[nodiscard]] static Result<NodeFilter> of(const io::HttpRequest& request);
  [[nodiscard]] bool takes(const NodeRecord& node) const;

 private:
  Selector selector_;
  std::optional<State> state_;
};

}  // namespace omnitide::registry
