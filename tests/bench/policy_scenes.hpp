// What policy_verdict measures: rules, peers, packets and how they vary.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "tests/bench/policy_sender.h"
#include "tests/harness/policy_path.hpp"

namespace omnitide::bench {

struct Scene {
  std::string name;
  double aim = 0;  // at most so many empty programs; 0: none is set
  int program = -1;
  test::Bytes packet;
  policy_variation variation{};
  bool varies = false;
  bool alone = false;    // counts by itself: no empty program is run behind `vary`
  test::Bytes openings;  // sent once with 65,536 sources in turn before anything is timed
};

struct Scenes {
  std::vector<std::unique_ptr<test::PolicyPath>> paths;  // keep the programs
  std::vector<Scene> all;
};

// Throws when a packet does not get the verdict that the scene is named for.
Scenes make_scenes();

}  // namespace omnitide::bench
