// Which cgroup has which slot (ebpf/abi/collect.h), for all programs together: programs give slots away, this takes
// them back. A slot whose cgroup is gone, or is the least active one when others want a slot, is taken in two steps:
// first no program finds it any more, and a second or more later its values are added to "other" and it is free. So a
// sum over all cgroups never falls, and a cgroup's own values begin anew only when it had lost its slot.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "agent/base/error.hpp"
#include "agent/base/fd.hpp"
#include "ebpf/collectors/cgroup_names.hpp"
#include "ebpf/collectors/cgroup_tree.hpp"
#include "ebpf/collectors/pod_names.hpp"

struct collect_state;

namespace omnitide::collectors {

class CgroupSlots {
 public:
  using Clock = std::function<std::chrono::steady_clock::time_point()>;
  // Somebody who keeps values by slot. Both are called under the lock.
  struct Holder {
    std::function<void(std::uint32_t slot)> fold;               // adds its values to those of "other", clears them
    std::function<std::uint64_t(std::uint32_t slot)> activity;  // events so far
  };
  struct Shown {
    std::uint32_t slot = 0;
    CgroupLabels labels;
  };
  struct Figures {
    std::uint32_t used = 0, limit = 0;
    std::uint64_t expired = 0;  // slots of cgroups that are gone
    std::uint64_t evicted = 0;  // slots that were taken from living ones
  };

  // `cgroups`: slots beside the two that are no cgroup's. `pods`: may be null. Makes the three maps.
  [[nodiscard]] static Result<std::shared_ptr<CgroupSlots>> open(
      std::uint32_t cgroups, CgroupTree tree, std::shared_ptr<const PodNames> pods,
      Clock clock = [] { return std::chrono::steady_clock::now(); });
  CgroupSlots(const CgroupSlots&) = delete;
  CgroupSlots& operator=(const CgroupSlots&) = delete;
  ~CgroupSlots();

  [[nodiscard]] std::uint32_t count() const { return count_; }  // rows of one shard
  [[nodiscard]] int slots_fd() const { return slots_.get(); }
  [[nodiscard]] int free_fd() const { return free_.get(); }
  [[nodiscard]] int state_fd() const { return state_fd_.get(); }
  void join(Holder holder);

  // Calls `each` for every slot that has a name, "other" and "none" first, while no slot changes hands. Takes slots
  // back before, at most once a second.
  void read(const std::function<void(const Shown&)>& each);
  [[nodiscard]] Figures figures();

 private:
  struct Used {
    Shown shown;
    std::uint64_t activity = 0, recent = 0;
    bool named = false, leaving = false;
    std::chrono::steady_clock::time_point left_at{};
  };
  CgroupSlots(std::uint32_t cgroups, CgroupTree tree, std::shared_ptr<const PodNames> pods, Clock clock);
  [[nodiscard]] Result<> make_maps();
  void sweep();
  void learn();
  void free_left(std::chrono::steady_clock::time_point now);
  void leave(std::uint64_t id, Used& used, std::chrono::steady_clock::time_point now);
  void make_room(std::chrono::steady_clock::time_point now);

  std::uint32_t count_;
  CgroupTree tree_;
  std::shared_ptr<const PodNames> pods_;
  Clock clock_;
  std::mutex mutex_;
  UniqueFd slots_, free_, state_fd_;
  collect_state* state_ = nullptr;
  std::vector<Holder> holders_;
  std::unordered_map<std::uint64_t, Used> used_;  // by id; at most `count_`
  std::chrono::steady_clock::time_point swept_{};
  std::uint64_t expired_ = 0, evicted_ = 0;
};

}  // namespace omnitide::collectors
