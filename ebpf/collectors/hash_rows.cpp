#include "ebpf/collectors/hash_rows.hpp"

#include <bpf/bpf.h>

#include <cerrno>

namespace omnitide::collectors {

namespace {

void add_to(RawHashRows::Words& sum, const RawHashRows::Words& more) {
  sum.resize(more.size());
  for (std::size_t i = 0; i < more.size(); ++i)
    sum[i] += more[i];
}

}  // namespace

Result<const std::map<std::string, RawHashRows::Words>*> RawHashRows::read() {
  before_.swap(now_);
  now_.clear();
  std::string key, next(shape_.key, '\0');
  // A row that goes meanwhile makes the kernel begin anew: bounded by the map's size.
  for (std::uint32_t i = 0; i < shape_.most; ++i) {
    const int result = bpf_map_get_next_key(fd_, key.empty() ? nullptr : key.data(), next.data());
    if (result == -ENOENT) break;
    if (result != 0) return fail_errno(-result, "cannot read the counters of the programs");
    key = next;
    Words sum;
    if (look_up(key, false, sum)) now_[key] = std::move(sum);
  }
  if (now_.size() > shape_.most - shape_.most / 4) take_idle();
  for (const auto& [name, words] : merged_)
    add_to(now_[name], words);
  return &now_;
}

bool RawHashRows::look_up(const std::string& key, bool take, Words& sum) {
  scratch_.resize(shape_.words * sizeof(std::uint64_t) * shape_.cpus);
  int result = -EINVAL;
  // In one step where the kernel has it (5.14): nothing that is counted in between is lost.
  if (take) result = bpf_map_lookup_and_delete_elem(fd_, key.data(), scratch_.data());
  if (result != 0) {
    if (bpf_map_lookup_elem(fd_, key.data(), scratch_.data()) != 0) return false;
    if (take) (void)bpf_map_delete_elem(fd_, key.data());
  }
  sum.assign(shape_.words, 0);
  for (std::size_t cpu = 0; cpu < shape_.cpus; ++cpu) {
    for (std::size_t i = 0; i < shape_.words; ++i) {
      std::uint64_t word = 0;
      std::memcpy(&word, &scratch_[(cpu * shape_.words + i) * sizeof word], sizeof word);
      sum[i] += word;
    }
  }
  return true;
}

void RawHashRows::take_idle() {
  for (auto at = now_.begin(); at != now_.end();) {
    const auto known = before_.find(at->first);
    Words sum;
    if (known == before_.end() || known->second != at->second || !look_up(at->first, true, sum)) {
      ++at;
      continue;
    }
    add_to(merged_[merge_(at->first)], sum);
    at = now_.erase(at);
  }
}

}  // namespace omnitide::collectors
