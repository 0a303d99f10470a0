// What the agent reads of JSON answers to its own questions: who it is, which Node it runs on, whether something is
// there. Pure.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "agent/base/error.hpp"

namespace omnitide::kubernetes {

// authentication.k8s.io/v1 SelfSubjectReview, which every account may make.
inline constexpr std::string_view kSelfReviewPath = "/apis/authentication.k8s.io/v1/selfsubjectreviews";
[[nodiscard]] std::string self_review_body();

struct Self {
  std::string user;  // "system:serviceaccount:omnitide-system:omnitide-agent"
  // The node that the token was issued for, of its claim kubernetes.io/node; empty: it is bound to none, as before
  // Kubernetes 1.30 and for accounts that are no pod's.
  std::string node;
};
[[nodiscard]] Result<Self> self_of(std::string_view answer);

struct NodeAnswer {
  std::string uid;
  std::vector<std::string> addresses;
};
[[nodiscard]] Result<NodeAnswer> node_of(std::string_view answer);

// Of a list.
[[nodiscard]] Result<std::size_t> item_count(std::string_view answer);

}  // namespace omnitide::kubernetes
