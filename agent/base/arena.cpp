#include "agent/base/arena.hpp"

#include <algorithm>
#include <numeric>

namespace omnitide {

void* Arena::allocate(std::size_t size, std::size_t alignment) {
  for (; block_ < blocks_.size(); ++block_, used_ = 0) {
    const std::size_t begin = (used_ + alignment - 1) / alignment * alignment;
    if (begin + size > blocks_[block_].size) continue;
    used_ = begin + size;
    return blocks_[block_].bytes.get() + begin;
  }
  const std::size_t wanted = std::max(block_bytes_, size);
  blocks_.push_back({std::make_unique_for_overwrite<std::byte[]>(wanted), wanted});
  used_ = size;
  return blocks_[block_].bytes.get();
}

void Arena::clear() {
  std::erase_if(blocks_, [this](const Block& block) { return block.size > block_bytes_; });
  block_ = used_ = 0;
}

std::size_t Arena::memory() const {
  return std::accumulate(blocks_.begin(), blocks_.end(), std::size_t{0},
                         [](std::size_t sum, const Block& block) { return sum + block.size; });
}

}  // namespace omnitide
