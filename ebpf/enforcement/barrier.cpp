#include "ebpf/enforcement/barrier.hpp"

#include <bpf/bpf.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <utility>

#include "ebpf/abi/policy.h"

namespace omnitide::enforcement {

namespace {

constexpr const char* kName = "policy_barrier";

std::size_t page() { return static_cast<std::size_t>(::sysconf(_SC_PAGESIZE)); }

}  // namespace

Result<Barrier> Barrier::open() {
  Barrier out;
  const int inner = bpf_map_create(BPF_MAP_TYPE_ARRAY, kName, sizeof(__u32), sizeof(__u32), 1, nullptr);
  out.inner_ = owned(inner);
  if (inner < 0) return fail_errno(-inner, "cannot make the map of the barrier");
  bpf_map_create_opts options{};
  options.sz = sizeof options;
  options.inner_map_fd = static_cast<__u32>(inner);
  const int outer = bpf_map_create(BPF_MAP_TYPE_ARRAY_OF_MAPS, kName, sizeof(__u32), sizeof(__u32), 1, &options);
  out.outer_ = owned(outer);
  if (outer < 0) return fail_errno(-outer, "cannot make the map of the barrier");
  return out;
}

Result<> Barrier::wait() {
  const __u32 key = 0;
  const int inner = inner_.get();
  const int result = bpf_map_update_elem(outer_.get(), &key, &inner, BPF_ANY);
  if (result != 0) return fail_errno(-result, "cannot wait for the programs that run");
  return {};
}

Result<Sequence> Sequence::open(int map_fd) {
  void* memory = ::mmap(nullptr, page(), PROT_READ | PROT_WRITE, MAP_SHARED, map_fd, 0);
  if (memory == MAP_FAILED) return fail_errno(errno, "cannot map the memory of the map publication");
  Sequence out;
  out.value_ = &static_cast<policy_publication*>(memory)->sequence;
  return out;
}

Sequence::Sequence(Sequence&& other) noexcept : value_(std::exchange(other.value_, nullptr)) {}

Sequence& Sequence::operator=(Sequence&& other) noexcept {
  std::swap(value_, other.value_);
  return *this;
}

Sequence::~Sequence() {
  if (value_ != nullptr) ::munmap(value_, page());
}

void Sequence::begin() {
  const std::atomic_ref<std::uint32_t> value(*value_);
  value.store(value.load() | 1U);
}

void Sequence::end() {
  const std::atomic_ref<std::uint32_t> value(*value_);
  if (const std::uint32_t now = value.load(); (now & 1U) != 0) value.store(now + 1);
}

}  // namespace omnitide::enforcement
