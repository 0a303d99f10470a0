// How far the nodes are with their desired states.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "agent/registry/context.hpp"

namespace omnitide::registry {

// Of one content.
struct Standing {
  SetRef set;  // null: no node should have it, some have it in force
  std::uint64_t version = 0;
  std::uint64_t nodes = 0, holding = 0, applied = 0, faulty = 0, outdated = 0;  // as in DesiredStateVersion
  struct Faulty {
    std::string node_id, hostname, first_fault;
    std::uint32_t faults = 0;
  };
  std::vector<Faulty> faults;  // the first few
};
using Survey = std::map<std::string, Standing>;  // by digest

// Over all approved nodes. Gives way to others between slices of them, so what changes meanwhile may be seen or not.
[[nodiscard]] boost::asio::awaitable<Survey> survey_nodes(Context& context);

}  // namespace omnitide::registry
