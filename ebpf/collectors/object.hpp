// One compiled BPF object of the metric programs: set up, loaded and attached; all of it goes with it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "agent/base/error.hpp"

namespace omnitide::ebpf {
struct PackedObject;  // ebpf/loader/packed_object.hpp
}

namespace omnitide::collectors {

// A program of ours that is in the kernel.
struct LoadedProgram {
  std::string name;
  int fd = -1;  // not owned: lives as long as its Object
};

// An array of a BPF object, readable without a call. Programs add to it meanwhile.
class MappedArray {
 public:
  MappedArray() = default;
  MappedArray(std::byte* bytes, std::size_t size, std::size_t row) : bytes_(bytes, size), row_(row) {}
  // 64-bit counters of one row, in the order of its struct.
  [[nodiscard]] std::span<std::uint64_t> row(std::size_t index) const {
    const std::span<std::byte> bytes = bytes_.subspan(index * row_, row_);
    return {reinterpret_cast<std::uint64_t*>(bytes.data()), row_ / sizeof(std::uint64_t)};
  }
  [[nodiscard]] std::size_t rows() const { return row_ == 0 ? 0 : bytes_.size() / row_; }

 private:
  std::span<std::byte> bytes_;
  std::size_t row_ = 0;
};

// A value that a program may change at any time.
[[nodiscard]] std::uint64_t load_counter(std::uint64_t& place);

// A program that goes over what the kernel has, and counts it.
class Iterator {
 public:
  explicit Iterator(int link) : link_(link) {}
  // Once over all of it. Blocks for as long as it takes: some hundred nanoseconds each.
  [[nodiscard]] Result<> run() const;

 private:
  int link_;  // not owned: lives as long as its Object
};

class Object {
 public:
  // `bytes` outlive it. `name` is for people: "tcp".
  [[nodiscard]] static Result<Object> open(std::string_view name, ebpf::PackedObject packed);
  Object(Object&&) noexcept;
  Object& operator=(Object&&) noexcept;
  ~Object();

  // Before load():
  [[nodiscard]] Result<> set(std::string_view variable, std::uint64_t value);  // a `const volatile` of the programs
  [[nodiscard]] Result<> resize(std::string_view map, std::uint32_t entries);
  [[nodiscard]] Result<> share(std::string_view map, int fd);  // another object's map instead of an own one
  [[nodiscard]] Result<> leave_out(std::string_view program);  // neither it nor what only it needs

  // permission_denied: capabilities are missing; failed_precondition: the kernel does not take a program, and why.
  [[nodiscard]] Result<> load();
  // All that are attached by their section's name to a tracepoint or a function of the kernel.
  [[nodiscard]] Result<> attach();
  [[nodiscard]] Result<> attach_to_cgroup(std::string_view program, int cgroup_fd);
  // On every CPU that is online now, for all processes.
  [[nodiscard]] Result<> attach_to_major_faults(std::string_view program);
  // Over the elements of a map; over what its section names if `map` is empty.
  [[nodiscard]] Result<Iterator> iterate(std::string_view program, std::string_view map = {});

  // After load():
  [[nodiscard]] Result<int> map(std::string_view name) const;  // a descriptor that lives as long as this
  [[nodiscard]] Result<MappedArray> array(std::string_view name);
  [[nodiscard]] std::vector<LoadedProgram> programs() const;

 private:
  struct State;
  explicit Object(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace omnitide::collectors
