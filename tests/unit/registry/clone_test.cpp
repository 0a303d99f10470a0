#include "agent/registry/clone.hpp"

#include <string>
#include <vector>

#include "tests/harness/catch.hpp"

using omnitide::registry::Incarnation;
using omnitide::registry::judge;
using omnitide::registry::Verdict;

namespace {

struct Row {
  const char* what;
  Incarnation current;
  std::vector<Incarnation> superseded;
  Incarnation speaker;
  bool connected_before;
  Verdict verdict;
};

// A registry that follows the verdicts, as the store does.
struct Follower {
  Incarnation current;
  std::vector<Incarnation> superseded;
  Verdict hear(const Incarnation& speaker, bool connected_before = false) {
    const Verdict verdict = judge(current, superseded, speaker, connected_before);
    if (verdict == Verdict::newer) {
      if (!current.boot_id.empty()) superseded.push_back(current);
      current = speaker;
    }
    return verdict;
  }
};

std::string name(char kind, unsigned number) { return kind + std::to_string(number); }

}  // namespace

TEST_CASE("each case of who may speak is judged as the protocol says") {
  const std::vector<Row> rows{
      {"the first word of a node", {}, {}, {"b1", "s1"}, false, Verdict::newer},
      {"the same again", {"b1", "s1"}, {}, {"b1", "s1"}, false, Verdict::same},
      {"the same on an old connection", {"b1", "s1"}, {}, {"b1", "s1"}, true, Verdict::same},
      {"a restart", {"b1", "s1"}, {}, {"b1", "s2"}, false, Verdict::newer},
      {"a reboot", {"b1", "s1"}, {}, {"b2", "s2"}, false, Verdict::newer},
      {"a third start of one boot", {"b1", "s2"}, {{"b1", "s1"}}, {"b1", "s3"}, false, Verdict::newer},
      {"the older start speaks again", {"b1", "s2"}, {{"b1", "s1"}}, {"b1", "s1"}, false, Verdict::clone},
      {"the older start's last words", {"b1", "s2"}, {{"b1", "s1"}}, {"b1", "s1"}, true, Verdict::stale},
      {"the older boot speaks again", {"b2", "s2"}, {{"b1", "s1"}}, {"b1", "s1"}, false, Verdict::clone},
      {"the older boot with a new start", {"b2", "s2"}, {{"b1", "s1"}}, {"b1", "s9"}, false, Verdict::clone},
      {"the older boot's last words", {"b2", "s2"}, {{"b1", "s1"}}, {"b1", "s1"}, true, Verdict::stale},
      {"a boot of long ago", {"b3", "s3"}, {{"b1", "s1"}, {"b2", "s2"}}, {"b1", "s1"}, false, Verdict::clone},
      {"a reboot after many", {"b3", "s3"}, {{"b1", "s1"}, {"b2", "s2"}}, {"b4", "s4"}, false, Verdict::newer},
  };
  for (const Row& row : rows) {
    INFO(row.what);
    CHECK(judge(row.current, row.superseded, row.speaker, row.connected_before) == row.verdict);
  }
}

TEST_CASE("one machine that reboots and restarts at will is never taken for two") {
  unsigned seed = 1;
  for (int run = 0; run < 200; ++run) {
    Follower registry;
    unsigned boot = 0, start = 0;
    for (int step = 0; step < 60; ++step) {
      seed = seed * 1103515245U + 12345U;
      const unsigned dice = (seed >> 16U) % 4;
      if (dice == 0) ++boot;
      if (dice <= 1) ++start;
      const Verdict verdict = registry.hear({name('b', boot), name('s', start)});
      REQUIRE((verdict == Verdict::same || verdict == Verdict::newer));
    }
  }
}

TEST_CASE("two machines with one identity are found out by the third change of speaker") {
  unsigned seed = 7;
  for (int run = 0; run < 200; ++run) {
    Follower registry;
    const bool same_boot = run % 2 == 0;  // a copied virtual machine, resumed twice; or a cloned disk
    int last = -1, changes = 0;
    while (true) {
      seed = seed * 1103515245U + 12345U;
      const int who = static_cast<int>((seed >> 16U) % 2);
      changes += who != last ? 1 : 0;
      last = who;
      const std::string boot = same_boot ? "b" : name('b', static_cast<unsigned>(who));
      const Verdict verdict = registry.hear({boot, name('s', static_cast<unsigned>(who))});
      REQUIRE((verdict == Verdict::clone) == (changes == 3));
      if (changes == 3) break;
    }
  }
}

TEST_CASE("the reason names both incarnations and nothing that moves a cursor") {
  const std::string reason = omnitide::registry::clone_reason({"b2", "s2"}, {"b1\x1b[2J", "s1"});
  CHECK(reason.find("b2") != std::string::npos);
  CHECK(reason.find("s1") != std::string::npos);
  CHECK(reason.find('\x1b') == std::string::npos);
}
