#include "ebpf/collectors/cgroup_slots.hpp"

#include <bpf/bpf.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>

#include "ebpf/abi/collect.h"

namespace omnitide::collectors {

namespace {

constexpr std::chrono::seconds kSweepInterval{1};

Result<UniqueFd> make_map(bpf_map_type type, const char* name, std::uint32_t key, std::uint32_t value,
                          std::uint32_t entries, std::uint32_t flags) {
  bpf_map_create_opts options{};
  options.sz = sizeof options;
  options.map_flags = flags;
  const int fd = bpf_map_create(type, name, key, value, entries, &options);
  if (fd < 0) return fail_errno(-fd, std::string("cannot make the map ") + name);
  return UniqueFd(fd);
}

std::size_t page_size() { return static_cast<std::size_t>(::sysconf(_SC_PAGESIZE)); }

}  // namespace

CgroupSlots::CgroupSlots(std::uint32_t cgroups, CgroupTree tree, std::shared_ptr<const PodNames> pods, Clock clock)
    : count_(cgroups + COLLECT_FIRST_SLOT), tree_(std::move(tree)), pods_(std::move(pods)), clock_(std::move(clock)) {}

CgroupSlots::~CgroupSlots() {
  if (state_ != nullptr) ::munmap(state_, page_size());
}

Result<std::shared_ptr<CgroupSlots>> CgroupSlots::open(std::uint32_t cgroups, CgroupTree tree,
                                                       std::shared_ptr<const PodNames> pods, Clock clock) {
  std::shared_ptr<CgroupSlots> out(new CgroupSlots(cgroups, std::move(tree), std::move(pods), std::move(clock)));
  if (const Result<> made = out->make_maps(); made.has_error()) return made.error();
  return out;
}

Result<> CgroupSlots::make_maps() {
  Result<UniqueFd> slots = make_map(BPF_MAP_TYPE_HASH, "cgroup_slots", sizeof(__u64), sizeof(__u32), count_, 0);
  if (slots.has_error()) return slots.error();
  Result<UniqueFd> free = make_map(BPF_MAP_TYPE_QUEUE, "cgroup_free", 0, sizeof(__u32), count_, 0);
  if (free.has_error()) return free.error();
  Result<UniqueFd> state =
      make_map(BPF_MAP_TYPE_ARRAY, "cgroup_state", sizeof(__u32), sizeof(collect_state), 1, BPF_F_MMAPABLE);
  if (state.has_error()) return state.error();
  slots_ = std::move(*slots);
  free_ = std::move(*free);
  state_fd_ = std::move(*state);
  void* address = ::mmap(nullptr, page_size(), PROT_READ | PROT_WRITE, MAP_SHARED, state_fd_.get(), 0);
  if (address == MAP_FAILED) return fail_errno(errno, "cannot map the state of the cgroups' slots");
  state_ = static_cast<collect_state*>(address);
  for (std::uint32_t slot = COLLECT_FIRST_SLOT; slot < count_; ++slot) {
    const int result = bpf_map_update_elem(free_.get(), nullptr, &slot, BPF_ANY);
    if (result != 0) return fail_errno(-result, "cannot fill the queue of free slots");
  }
  state_->generation = 1;
  return {};
}

void CgroupSlots::join(Holder holder) {
  const std::lock_guard lock(mutex_);
  holders_.push_back(std::move(holder));
}

void CgroupSlots::read(const std::function<void(const Shown&)>& each) {
  static const Shown kOther{COLLECT_OTHER, {.cgroup = "other"}}, kNone{COLLECT_NONE, {.cgroup = "none"}};
  const std::lock_guard lock(mutex_);
  sweep();
  each(kOther);
  each(kNone);
  for (const auto& [id, used] : used_) {
    if (used.named) each(used.shown);
  }
}

CgroupSlots::Figures CgroupSlots::figures() {
  const std::lock_guard lock(mutex_);
  sweep();
  return {static_cast<std::uint32_t>(used_.size()), count_ - COLLECT_FIRST_SLOT, expired_, evicted_};
}

void CgroupSlots::sweep() {
  const auto now = clock_();
  if (swept_ != std::chrono::steady_clock::time_point{} && now - swept_ < kSweepInterval) {
    learn();
    return;
  }
  swept_ = now;
  free_left(now);
  learn();
  for (auto& [id, used] : used_) {
    std::uint64_t activity = 0;
    for (const Holder& holder : holders_)
      activity += holder.activity(used.shown.slot);
    used.recent = activity - std::min(activity, used.activity);
    used.activity = activity;
    if (used.leaving) continue;
    const CgroupPlace place = tree_.find(id);
    if (place.found == CgroupPlace::Found::gone) {
      ++expired_;
      leave(id, used, now);
    } else if (pods_ && used.named) {
      pods_->name(used.shown.labels);  // a container runs before the API has its id; what was known stays to its end
    }
  }
  if (state_->full != 0) make_room(now);
}

// Slots that programs gave away since. A name is found once.
void CgroupSlots::learn() {
  std::uint64_t id = 0, next = 0;
  const void* from = nullptr;
  for (std::uint32_t i = 0; i < count_ && bpf_map_get_next_key(slots_.get(), from, &next) == 0; ++i) {
    id = next;
    from = &id;
    Used& used = used_[id];
    if (used.named) continue;
    std::uint32_t slot = 0;
    if (bpf_map_lookup_elem(slots_.get(), &id, &slot) != 0) {
      used_.erase(id);
      continue;
    }
    used.shown.slot = slot;
    const CgroupPlace place = tree_.find(id);
    used.named = place.found == CgroupPlace::Found::here;
    if (!used.named) continue;
    used.shown.labels = describe_cgroup(place.path);
    if (pods_) pods_->name(used.shown.labels);
  }
}

// No program that runs now found this slot in the map: it left a second ago or more.
void CgroupSlots::free_left(std::chrono::steady_clock::time_point now) {
  bool freed = false;
  for (auto at = used_.begin(); at != used_.end();) {
    const Used& used = at->second;
    if (!used.leaving || now - used.left_at < kSweepInterval) {
      ++at;
      continue;
    }
    for (const Holder& holder : holders_)
      holder.fold(used.shown.slot);
    freed = bpf_map_update_elem(free_.get(), nullptr, &used.shown.slot, BPF_ANY) == 0 || freed;
    at = used_.erase(at);
  }
  if (!freed) return;
  std::atomic_ref(state_->full).store(0);
  std::atomic_ref(state_->generation).fetch_add(1);
}

void CgroupSlots::leave(std::uint64_t id, Used& used, std::chrono::steady_clock::time_point now) {
  (void)bpf_map_delete_elem(slots_.get(), &id);
  std::atomic_ref(state_->generation).fetch_add(1);
  used.leaving = true;
  used.left_at = now;
}

// Others want a slot: an eighth of them, those that did least since the last time.
void CgroupSlots::make_room(std::chrono::steady_clock::time_point now) {
  std::vector<std::unordered_map<std::uint64_t, Used>::iterator> order;
  std::size_t on_their_way = 0;
  for (auto at = used_.begin(); at != used_.end(); ++at) {
    if (at->second.leaving)
      ++on_their_way;
    else
      order.push_back(at);
  }
  const std::size_t wanted = std::max<std::size_t>((count_ - COLLECT_FIRST_SLOT) / 8, 1);
  if (on_their_way >= wanted) return;
  const std::size_t more = std::min(wanted - on_their_way, order.size());
  std::ranges::partial_sort(order, order.begin() + static_cast<std::ptrdiff_t>(more), {},
                            [](const auto& at) { return at->second.recent; });
  for (std::size_t i = 0; i < more; ++i) {
    ++evicted_;
    leave(order[i]->first, order[i]->second, now);
  }
}

}  // namespace omnitide::collectors
