// Which pods of other nodes are another identity to the node `here` when their label changes: those whose application a
// policy of its pods asks for. A change of the others reaches no map; one of its own pods changes what is asked for.
#pragma once

#include <algorithm>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "agent/policy/compiler.hpp"
#include "agent/policy/parse.hpp"
#include "tests/bench/policy_cluster.hpp"

namespace omnitide::bench {

inline policy::Changes objects_of(const std::string& text) {
  policy::Parsed parsed = policy::parse(text, "cluster.yaml");
  if (!parsed.faults.empty()) throw std::runtime_error(parsed.faults.front().text());
  policy::Changes out;
  for (policy::Object& object : parsed.objects)
    out.upserts.push_back(std::make_shared<const policy::Object>(std::move(object)));
  return out;
}

inline std::vector<unsigned> pods_told_apart(const Cluster& cluster) {
  policy::Compiler compiler({.node_name = "here"});
  const auto apply = [&compiler](const std::string& text) {
    Result<policy::PlanUpdate> update = compiler.apply(objects_of(text));
    if (update.has_error()) throw std::runtime_error(update.error().text());
    return std::move(*update);
  };
  (void)apply(whole_text(cluster));
  std::vector<unsigned> out;
  for (unsigned pod = cluster.local; pod < cluster.pods; ++pod) {
    const Prefix own = host_prefix(*parse_address(pod_address(pod)));
    const policy::PlanUpdate update = apply(pod_text(cluster, pod, true));
    if (std::ranges::find(update.locations, own, &policy::Location::prefix) != update.locations.end())
      out.push_back(pod);
    (void)apply(pod_text(cluster, pod, false));
  }
  if (out.empty()) throw std::logic_error("no policy tells pods apart");
  return out;
}

}  // namespace omnitide::bench
