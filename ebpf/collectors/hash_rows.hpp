// Rows of a per-CPU hash by a key of names: disks, devices, interrupts. When it fills up, rows that did not change
// since the last reading are taken out, and their values count under a common name from then on.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "agent/base/error.hpp"

namespace omnitide::collectors {

// Bytes in and out, so that it is compiled once. Used by one thread at a time.
class RawHashRows {
 public:
  struct Shape {
    std::size_t key = 0, words = 0;  // bytes of a key, 64-bit counters of a value
    std::uint32_t cpus = 1, most = 0;
  };
  using Words = std::vector<std::uint64_t>;
  using Merge = std::function<std::string(const std::string& key)>;

  RawHashRows(int fd, Shape shape, Merge merge) : fd_(fd), shape_(shape), merge_(std::move(merge)) {}
  // By key: what is in the map, and what was taken out of it under merged keys. Valid until the next call.
  [[nodiscard]] Result<const std::map<std::string, Words>*> read();

 private:
  [[nodiscard]] bool look_up(const std::string& key, bool take, Words& sum);
  void take_idle();

  int fd_;  // not owned
  Shape shape_;
  Merge merge_;
  std::vector<std::byte> scratch_;
  std::map<std::string, Words> now_, before_, merged_;
};

template <class Key, class Row>
class HashRows {
 public:
  static constexpr std::size_t kWords = sizeof(Row) / sizeof(std::uint64_t);

  // `merge`: the key under which a row counts that was taken out. `most`: the map's size.
  HashRows(int fd, std::uint32_t cpus, std::uint32_t most, std::function<Key(Key)> merge)
      : rows_(fd, {sizeof(Key), kWords, cpus, most}, [merge = std::move(merge)](const std::string& key) {
          const Key merged = merge(of_bytes(key));
          return std::string(reinterpret_cast<const char*>(&merged), sizeof merged);
        }) {}

  template <class Each>
  [[nodiscard]] Result<> read(Each each) {
    const auto rows = rows_.read();
    if (rows.has_error()) return rows.error();
    for (const auto& [key, words] : **rows) {
      std::array<std::uint64_t, kWords> copy{};
      std::memcpy(copy.data(), words.data(), sizeof copy);
      each(of_bytes(key), std::bit_cast<Row>(copy));
    }
    return {};
  }

 private:
  static Key of_bytes(const std::string& bytes) {
    Key key;
    std::memcpy(&key, bytes.data(), sizeof key);
    return key;
  }
  RawHashRows rows_;
};

}  // namespace omnitide::collectors
