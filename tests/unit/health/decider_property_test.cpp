// Random histories of faults, reboots, crashes, operators and clocks, against what must never happen.
// OMNITIDE_HEALTH_HISTORIES: how many; OMNITIDE_PROPERTY_SEED: the first one.
#include <algorithm>
#include <cstdlib>
#include <map>
#include <random>

#include "agent/base/text.hpp"
#include "health/remediation/decider.hpp"
#include "tests/harness/catch.hpp"

using namespace omnitide;
using namespace std::chrono_literals;
using health::Action;
using health::ActionKind;
using health::Bounds;
using health::Decider;
using health::Decision;
using health::Outcome;
using std::chrono::milliseconds;

namespace {

struct Acted {
  milliseconds time{0};  // real
  Action action;
  std::string subject;
};

// A node whose time, boots and clock the history makes, with what it did.
class History {
 public:
  // A dense one has so little time between its moments, and such wide bounds, that remedies can take turns.
  History(unsigned seed, bool dense) : random_(seed), dense_(dense) {
    bounds_.restarts = 1 + pick(5);
    bounds_.actions = 1 + pick(10);
    bounds_.repeats = 1 + pick(4);
    bounds_.reboots = pick(2);
    bounds_.verify = 1s * (1 + pick(300));
    bounds_.verify_by_checks = 1s * (1 + pick(900));
    bounds_.cooldown = 1s * pick(300);
    bounds_.backoff = 1s * pick(300);
    bounds_.hold = 1s * pick(60);
    bounds_.relapse = 1min * pick(120);
    if (dense_) {
      bounds_.restarts = bounds_.repeats = 20;
      bounds_.actions = 60;
      bounds_.verify = bounds_.verify_by_checks = 1s * (1 + pick(20));
      bounds_.cooldown = bounds_.backoff = bounds_.hold = 1s * pick(5);
      bounds_.relapse = 0s;
    }
    for (unsigned i = 0; i < 1 + pick(3); ++i)
      ladders_.push_back({"C", "s" + std::to_string(i), steps()});
    decider_.emplace(ladders_, bounds_);
    saved_ = decider_->saved();
    world_.boot_id = "boot 0";
    world_.wall = WallTime{std::chrono::days(20'000)};
  }

  void run(unsigned steps) {
    for (unsigned i = 0; i < steps; ++i) {
      pass(pick(4) == 0 && !dense_ ? 1min * pick(240) : 1s * pick(60));
      happen();
      look();
    }
    check_budgets();
    check_fights();
  }

 private:
  // As the configuration makes them: one or two of the milder kinds, and a reboot behind them.
  std::vector<Action> steps() {
    std::vector<Action> out;
    switch (pick(6)) {
      case 0: out = {{ActionKind::vacuum_journal, ""}, {ActionKind::clean, ""}}; break;
      case 1: out = {{ActionKind::reset_link, "eth" + std::to_string(pick(2))}}; break;
      case 2: out = {{ActionKind::restart_resolver, "resolver.service"}}; break;
      default: out = {{ActionKind::restart_unit, "u" + std::to_string(pick(3)) + ".service"}}; break;
    }
    if (pick(2) == 0) out.push_back({ActionKind::reboot, ""});
    return out;
  }
  unsigned pick(unsigned below) { return static_cast<unsigned>(random_() % below); }
  void pass(milliseconds time) {
    real_ += time;
    world_.boot_time += time;
    world_.wall += time;
  }
  void restart() {
    decider_.emplace(ladders_, bounds_, saved_);
    world_.round = 0;
  }
  void reboot() {
    real_ += 1s * (1 + pick(3600));  // the agent is not there meanwhile
    world_.boot_time = 1s * pick(60);
    real_ += world_.boot_time;
    world_.boot_id = "boot " + std::to_string(++boots_);
    restart();
  }
  void happen() {
    switch (pick(40)) {
      case 0: return reboot();
      case 1: return restart();
      case 2: world_.wall += std::chrono::hours(pick(24 * 400)); return;
      case 3: world_.wall -= std::chrono::hours(pick(24 * 400)); return;
      case 4: world_.locked = !world_.locked; return;
      case 5: decider_->pause(pick(2) == 0 ? WallTime{} : world_.wall + 1min * pick(600)); break;
      case 6:
      case 7: decider_->resume(); break;
      default: return;
    }
    saved_ = decider_->saved();
  }
  // Faults come, go, and are brought about by remedies of others.
  void look() {
    ++world_.round;
    world_.faults.clear();
    for (std::size_t i = 0; i < ladders_.size(); ++i) {
      bool& present = present_[i];
      if (pick(6) == 0) present = !present;
      if (pick(20) != 0) world_.faults.push_back({"C", ladders_[i].subject, present});
    }
    world_.allowance = static_cast<health::Allowance>(pick(4));
    const bool paused = decider_->paused(world_.wall);
    const std::vector<Decision> decisions = decider_->decide(world_);
    unsigned acts = 0;
    for (const Decision& decision : decisions) {
      if (decision.outcome != Outcome::act) continue;
      ++acts;
      REQUIRE_FALSE(paused);
      REQUIRE_FALSE(world_.locked);
      REQUIRE((acted_.empty() || real_ - acted_.back().time >= bounds_.cooldown));
      acted_.push_back({real_, decision.action, decision.subject});
      saved_ = decider_->saved();  // before it is done
      if (decision.action.kind == ActionKind::reboot) {
        REQUIRE((world_.allowance == health::Allowance::granted || world_.allowance == health::Allowance::unreachable));
        if (pick(4) != 0) reboot();
        break;
      }
      // One unit's restart is another one's fault.
      for (auto& [index, present] : present_)
        present = ladders_[index].subject == decision.subject ? pick(3) == 0 : pick(2) == 0;
      if (pick(10) == 0) restart();  // killed in the middle
    }
    REQUIRE(acts <= 1);
  }

  void check_budgets() const {
    for (std::size_t i = 0; i < acted_.size(); ++i) {
      std::map<std::string, unsigned> of_one;
      unsigned all = 0, reboots = 0;
      for (std::size_t j = i; j < acted_.size() && acted_[j].time - acted_[i].time < health::kBudgetDay; ++j) {
        ++all;
        if (acted_[j].action.kind == ActionKind::reboot)
          ++reboots;
        else
          REQUIRE(++of_one[text(acted_[j].action)] <=
                  (acted_[j].action.kind == ActionKind::restart_unit ? bounds_.restarts : bounds_.repeats));
      }
      REQUIRE(all <= bounds_.actions);
      REQUIRE(reboots <= bounds_.reboots);
    }
  }
  void check_fights() const { REQUIRE(turns() <= 2); }

  std::mt19937 random_;
  bool dense_;
  Bounds bounds_;
  std::vector<health::Ladder> ladders_;
  std::optional<Decider> decider_;
  health::DeciderState saved_;
  health::World world_;
  milliseconds real_{0};
  unsigned boots_ = 0;
  std::map<std::size_t, bool> present_;
  std::vector<Acted> acted_;

 public:
  [[nodiscard]] const std::vector<Acted>& acted() const { return acted_; }
  // How often at most an action came back after another one within six hours.
  [[nodiscard]] unsigned turns() const {
    unsigned most = 0;
    for (std::size_t i = 0; i < acted_.size(); ++i) {
      unsigned turns = 0;
      for (std::size_t j = i + 1; j < acted_.size() && acted_[j].time - acted_[i].time < 6h; ++j)
        if (acted_[j].action == acted_[i].action && acted_[j - 1].action != acted_[i].action) ++turns;
      most = std::max(most, turns);
    }
    return most;
  }
};

unsigned number(const char* variable, unsigned otherwise) {
  const char* text = std::getenv(variable);
  return text == nullptr ? otherwise : parse_number<unsigned>(text).value_or(otherwise);
}

}  // namespace

TEST_CASE("in random histories budgets hold, nothing is done while paused or locked, and no remedies fight") {
  const unsigned first = number("OMNITIDE_PROPERTY_SEED", 1), histories = number("OMNITIDE_HEALTH_HISTORIES", 10'000);
  std::map<ActionKind, std::size_t> actions;
  unsigned most = 0;
  for (unsigned seed = first; seed < first + histories; ++seed) {
    INFO("seed " << seed);
    History history(seed, seed % 3 == 0);
    history.run(200);
    for (const Acted& each : history.acted())
      ++actions[each.action.kind];
    most = std::max(most, history.turns());
  }
  REQUIRE(most == 2);  // remedies took turns as often as they may
  REQUIRE(actions.size() == health::kActionKinds);
  for (const auto& [kind, times] : actions) {
    INFO(name(kind));
    REQUIRE(times > histories / 20);  // they are not idle
  }
}
