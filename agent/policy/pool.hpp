// Values that the compiler keeps once however often they occur, with a count of their uses. What is no longer used
// stays until sweep(), so that a step that is taken back finds the same record, with the same number in the kernel.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace omnitide::policy {

struct Pooled {
  std::uint64_t serial = 0;  // ascending in the order of making: what lists are sorted by
  std::uint32_t uses = 0;
  bool idle = false;  // waits for sweep()
};

// Record is a Pooled with a member `const Key* key`. Addresses of records are stable.
template <class Key, class Record, class Hash>
class Pool {
 public:
  // The record of the key, and whether it is new. The caller counts its use at once.
  std::pair<Record*, bool> find_or_make(Key key) {
    const auto [at, fresh] = records_.try_emplace(std::move(key));
    if (fresh) {
      at->second.key = &at->first;
      at->second.serial = ++serial_;
    }
    return {&at->second, fresh};
  }

  void leave(Record& record) {
    if (record.idle) return;
    record.idle = true;
    idle_.push_back(&record);
  }

  // Calls `unlink` for each record without uses and forgets it.
  template <class Unlink>
  void sweep(Unlink&& unlink) {
    for (Record* record : idle_) {
      record->idle = false;
      if (record->uses > 0) continue;
      unlink(*record);
      records_.erase(records_.find(*record->key));
    }
    idle_.clear();
  }

  [[nodiscard]] std::size_t size() const { return records_.size(); }
  [[nodiscard]] auto begin() { return records_.begin(); }
  [[nodiscard]] auto end() { return records_.end(); }
  [[nodiscard]] auto begin() const { return records_.begin(); }
  [[nodiscard]] auto end() const { return records_.end(); }

 private:
  std::unordered_map<Key, Record, Hash> records_;
  std::vector<Record*> idle_;
  std::uint64_t serial_ = 0;
};

// Lists of records, sorted by serial; a newer record goes to the end.
template <class Record>
void insert_sorted(std::vector<Record*>& list, Record* record) {
  if (list.empty() || list.back()->serial < record->serial) {
    list.push_back(record);
    return;
  }
  const auto at = std::ranges::lower_bound(list, record->serial, {}, &Record::serial);
  if (at == list.end() || *at != record) list.insert(at, record);
}

template <class Record>
void erase_sorted(std::vector<Record*>& list, const Record* record) {
  const auto at = std::ranges::lower_bound(list, record->serial, {}, &Record::serial);
  if (at != list.end() && *at == record) list.erase(at);
}

template <class Record>
[[nodiscard]] bool contains_sorted(const std::vector<Record*>& list, const Record* record) {
  const auto at = std::ranges::lower_bound(list, record->serial, {}, &Record::serial);
  return at != list.end() && *at == record;
}

struct BySerial {
  template <class Record>
  bool operator()(const Record* left, const Record* right) const {
    return left->serial < right->serial;
  }
};

// For hashes of several values, in their order.
class HashOf {
 public:
  HashOf& add(std::uint64_t value) {
    state_ = (state_ ^ value) * 0x9e3779b97f4a7c15U;
    state_ ^= state_ >> 29U;
    return *this;
  }
  HashOf& add(std::string_view text) { return add(std::hash<std::string_view>{}(text)); }
  [[nodiscard]] std::size_t value() const { return state_; }

 private:
  std::uint64_t state_ = 0x243f6a8885a308d3U;
};

}  // namespace omnitide::policy
