// From one published policy to the next, so that no packet is ever judged by parts of two.
//
// What the programs read is immutable, but for two things: the element of `endpoints` of a packet's device, which is
// read once for each packet and says by which sets and in which epoch it is judged; and the elements of `addresses` and
// `prefixes`, which say an identity and, for endpoints of an earlier epoch, the previous one. An update is:
//
//   1. Sets and rows are written under numbers that nobody refers to, and new entries of the deny list. (A denied
//      address is judged as the new policy does, any other as the old one does.)
//   2. Locations that change are written with their identity of before as the previous one, in the next epoch. No
//      endpoint is in that epoch: they all still see what was.
//   3. Elements of endpoints are written, in the next epoch: all of them when a location changed, else those that
//      changed. New ones come first, since only they can fail. With each element that endpoint, and only it, has
//      changed over: each packet meets the whole old policy or the whole new one. Then what left the deny list goes.
//   4. A barrier: the kernel waits until every program that runs has ended. No packet sees the old state now.
//   5. Sets and rows that are gone are removed, locations forget what was, those that are gone are removed.
//
// publish() is 1 to 3; settle() is 4 and 5, once for any number of publications, whenever there is time for it. A
// publication waits for them itself only when it changes a location for the second time since (an element holds two
// identities, not three), reuses a number that is garbage, or lacks the room that the garbage takes.
//
// A failure in 1 to 3 is undone, in the reverse order. An end of the process between any two steps leaves the pinned
// maps whole: up to 3 the new elements are unreachable, within 3 each endpoint has one policy or the other, after 3
// there is only garbage. The next process makes maps of its own, so it does not matter what it finds.
//
// Step 2 and 5 replace elements of hashes, which their readers may see half of: meanwhile the sequence in `publication`
// is odd, and the programs look twice.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "agent/base/address.hpp"
#include "agent/base/error.hpp"
#include "agent/policy/plan.hpp"
#include "ebpf/abi/policy.h"
#include "ebpf/enforcement/barrier.hpp"
#include "ebpf/enforcement/encode.hpp"
#include "ebpf/enforcement/locations.hpp"
#include "ebpf/enforcement/maps.hpp"
#include "ebpf/enforcement/sets.hpp"
#include "ebpf/enforcement/staged.hpp"

namespace omnitide::enforcement {

// Elements of `endpoints` by ifindex. Their versions, epochs and set flags are the publisher's to fill in.
using Elements = std::map<std::uint32_t, policy_endpoint>;

class Publisher {
 public:
  // Over empty maps, which it owns; the first publication has the epoch behind `epoch`.
  [[nodiscard]] static Result<Publisher> open(Maps maps, std::uint32_t epoch);

  // Steps 1 to 3. `wanted` is every endpoint that there is to be; an element of any other is emptied, until retire().
  // Blocks for as long as the kernel takes for its writes, with a barrier when it must (see above).
  [[nodiscard]] Result<> publish(const policy::PlanUpdate& update, const Elements& wanted);
  // Removes the elements of endpoints that the last publication did not want. Their programs are to be detached first.
  [[nodiscard]] Result<> retire();
  // Steps 4 and 5. Blocks for a grace period of the kernel, some 5 to 20 ms.
  [[nodiscard]] Result<> settle();
  [[nodiscard]] bool unsettled() const { return sets_.unsettled() || locations_.unsettled(); }

  // A whole plan as the update that leads to it from what is there.
  [[nodiscard]] policy::PlanUpdate difference(policy::PlanUpdate whole) const;
  // The node's addresses.
  [[nodiscard]] Result<> set_own(const std::set<Address>& own);

  [[nodiscard]] std::uint32_t epoch() const { return epoch_; }
  [[nodiscard]] std::uint64_t forced_barriers() const { return forced_barriers_; }
  [[nodiscard]] const Elements& elements() const { return live_; }
  [[nodiscard]] Maps& maps() { return maps_; }
  [[nodiscard]] const Maps& maps() const { return maps_; }

 private:
  struct Undo {
    Table table;
    const void *keys, *before;  // before: null for what was not there
    std::size_t count;
  };

  Publisher(Maps maps, Barrier barrier, Sequence sequence, std::uint32_t epoch);
  [[nodiscard]] Result<> first_elements();
  [[nodiscard]] Result<> check(const policy::PlanUpdate& update, const Elements& wanted) const;
  [[nodiscard]] Result<> stage_locations(const policy::PlanUpdate& update, Staged& staged);
  void stage_deny(const policy::PlanUpdate& update, Staged& staged) const;
  void stage_elements(const policy::PlanUpdate& update, const Elements& wanted, Staged& staged);
  [[nodiscard]] std::uint32_t following_epoch() const;  // never 0, which no connection was judged in
  [[nodiscard]] Result<> stage(const policy::PlanUpdate& update, const Elements& wanted, Staged& staged);
  [[nodiscard]] Result<> fits(const Staged& staged) const;
  [[nodiscard]] Result<> write_all(const Staged& staged);
  [[nodiscard]] Result<> force_settle();
  [[nodiscard]] Result<> settle_locations();
  [[nodiscard]] Result<> settle_sets();
  void collect_words(const Removal& removal, std::vector<policy_word_key>& words, std::set<std::uint32_t>& rows) const;
  void commit(const policy::PlanUpdate& update, const Staged& staged);
  void undo(const Staged& staged);

  [[nodiscard]] Result<> add(Table table, const void* keys, const void* values, std::size_t count);
  [[nodiscard]] Result<> replace(Table table, const void* keys, const void* values, const void* before,
                                 std::size_t count);
  [[nodiscard]] Result<> drop(Table table, const void* keys, std::size_t count);

  Maps maps_;
  Barrier barrier_;
  Sequence sequence_;
  Sets sets_;
  Locations locations_;
  RowIds row_ids_;
  Elements live_;
  std::set<std::uint32_t> retired_;  // of live_
  std::set<Prefix> deny_;
  std::set<Address> own_;
  std::uint32_t epoch_ = 0;
  std::uint64_t version_ = 0;
  std::uint64_t forced_barriers_ = 0;
  std::vector<Undo> journal_;
};

}  // namespace omnitide::enforcement
