// Network policy in the kernel: takes plans, keeps maps and programs in step with them and with the node's devices.
//
// Not thread-safe: one call at a time. Calls that say that they block are for a worker thread, always of the same
// network namespace. Policy holds without this object: what it attached is pinned and outlives it; only detach() and
// remove() take it away. Publisher has the protocol that makes a change atomic.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "agent/base/error.hpp"
#include "agent/policy/plan.hpp"
#include "ebpf/enforcement/options.hpp"
#include "ebpf/enforcement/status.hpp"

namespace omnitide::enforcement {

class Enforcement {
 public:
  // Loads programs and maps, and reads what an earlier process left, which goes on holding until the first whole plan
  // is published. Where there is nothing and options name interfaces, those are closed at once. Blocks for as long as
  // the verifier takes (0.1 to 1 s). failed_precondition: no bpffs; permission_denied: capabilities are missing.
  [[nodiscard]] static Result<Enforcement> open(Options options);
  Enforcement(Enforcement&&) noexcept;
  Enforcement& operator=(Enforcement&&) noexcept;
  ~Enforcement();  // everything stays as it is in the kernel

  // The first numbers that a compiler may give: those below have been published, and each stands for what it stood for.
  struct FirstIds {
    policy::SetId set = 1;
    policy::IdentityId identity = policy::kWorld + 1;  // kPodBit is not counted
  };
  [[nodiscard]] FirstIds first_ids() const;

  // Publishes a change, or with `whole` a plan that replaces everything. The first one has to be whole. On failure the
  // last policy stays as it was; the next update must then be a whole one, since this one was not applied. A device
  // that a program cannot be attached to is no failure of the publication: status() has it. Blocks: some µs a changed
  // row, 25 ms for each device that comes new.
  [[nodiscard]] Result<> publish(const policy::PlanUpdate& update, bool whole);
  // Removes what the last publications left over. Blocks for a grace period of the kernel (5 to 20 ms); to be called
  // when there is time for it, best soon after publish(), whenever status().unsettled.
  [[nodiscard]] Result<> settle();
  // A publication like others.
  [[nodiscard]] Result<> set_mode(Mode mode);

  // Readable when links, addresses, routes, neighbours or bridge tables changed: then links_changed() is due. Blocks
  // like publish().
  [[nodiscard]] int monitor_fd() const;
  [[nodiscard]] Result<> links_changed();
  // Makes the kernel look for pods that no device is known for, by ARP and neighbour discovery on bridges in whose
  // subnet they are. To be called every second or so while there are any.
  void search();

  // Readable when there are events; drain() gives the oldest, at most `most`, and never blocks.
  [[nodiscard]] int events_fd() const;
  [[nodiscard]] std::vector<FlowEvent> drain(std::size_t most);

  [[nodiscard]] Status status() const;
  // Reads the counters of all rules and reasons. Blocks for some ms with many rules.
  [[nodiscard]] Result<Counters> counters() const;
  // Counts the elements of the maps that the programs fill, for status(). Blocks for some 10 ms with many connections:
  // not more often than every 30 s.
  [[nodiscard]] Result<> count_state();

  // Takes away all programs, links, filters, maps and pins of every version. Nothing may be called after it but the
  // destructor. Blocks for a grace period of the kernel for each link.
  [[nodiscard]] Result<> detach();
  // The same without an agent that runs, and without loading anything.
  [[nodiscard]] static Result<> remove(const Options& options);

 private:
  struct State;
  explicit Enforcement(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace omnitide::enforcement
