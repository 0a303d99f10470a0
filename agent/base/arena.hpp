// A bump allocator for values that all die at once: blocks of memory that stay where they are.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string_view>
#include <type_traits>
#include <vector>

namespace omnitide {

// Not safe for use by two threads at once. Not bounded by itself.
class Arena {
 public:
  explicit Arena(std::size_t block_bytes = std::size_t{16} * 1024) : block_bytes_(block_bytes) {}

  // Copies; what is returned stays valid and in its place until clear() or the arena's end.
  [[nodiscard]] std::string_view copy(std::string_view text) {
    if (text.empty()) return {};
    return {copy(std::span(text.data(), text.size())).data(), text.size()};
  }
  template <typename T>
  [[nodiscard]] std::span<T> copy(std::span<const T> values) {
    static_assert(std::is_trivially_copyable_v<T> && std::is_trivially_destructible_v<T>);
    if (values.empty()) return {};
    T* out = static_cast<T*>(allocate(values.size_bytes(), alignof(T)));
    std::uninitialized_copy(values.begin(), values.end(), out);
    return {out, values.size()};
  }

  // Everything copied so far is gone; the blocks are kept for what comes, those over the usual size excepted.
  void clear();
  [[nodiscard]] std::size_t memory() const;  // bytes of all blocks

 private:
  struct Block {
    std::unique_ptr<std::byte[]> bytes;
    std::size_t size = 0;
  };
  [[nodiscard]] void* allocate(std::size_t size, std::size_t alignment);

  std::size_t block_bytes_;
  std::vector<Block> blocks_;
  std::size_t block_ = 0, used_ = 0;  // the block in use, and how much of it
};

}  // namespace omnitide
