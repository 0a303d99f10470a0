#include "ebpf/enforcement/maps.hpp"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <utility>

namespace omnitide::enforcement {

namespace {

constexpr std::uint32_t kBatch = 4096;  // elements of a look-up
constexpr int kNotSupported = 524;      // ENOTSUPP of the kernel, which the C library does not name

// generic_map_update_batch() and its like are missing for some kinds of maps, and all batches before Linux 5.6.
bool no_batches(int error) {
  return error == EINVAL || error == kNotSupported || error == EOPNOTSUPP || error == ENOSYS;
}

// A hash says E2BIG when it is full, a trie ENOSPC, and either ENOMEM when the kernel has no memory.
bool full(int error) { return error == E2BIG || error == ENOSPC; }

bpf_map_batch_opts batch_options() {
  bpf_map_batch_opts options{};
  options.sz = sizeof options;
  return options;
}

std::size_t stride(const Map& map) {
  const bool per_cpu = map.shape.type == BPF_MAP_TYPE_PERCPU_ARRAY || map.shape.type == BPF_MAP_TYPE_PERCPU_HASH;
  if (!per_cpu) return map.shape.value_size;
  const int cpus = libbpf_num_possible_cpus();
  return (map.shape.value_size + 7U) / 8 * 8 * static_cast<std::size_t>(std::max(cpus, 1));
}

const std::byte* at(const void* items, std::size_t index, std::size_t size) {
  return static_cast<const std::byte*>(items) + index * size;
}

}  // namespace

Result<MapShape> shape_of(int fd) {
  bpf_map_info info{};
  __u32 size = sizeof info;
  if (const int result = bpf_obj_get_info_by_fd(fd, &info, &size); result != 0)
    return fail_errno(-result, "cannot ask about a map");
  return MapShape{info.type, info.key_size, info.value_size, info.max_entries, info.map_flags};
}

Error map_full(Table table, std::uint64_t used, std::uint64_t limit, std::uint64_t more) {
  return fail(Code::resource_exhausted, fmt::format("the map {} is full: {} of {} elements are in use, and {} more are "
                                                    "needed",
                                                    table_name(table), used, limit, more))
      .with_hint(fmt::format("raise the limit of {}, or use fewer or simpler policies", table_name(table)));
}

namespace {

// Each of these works on the elements from `done` on and says how far it came; 0 or an errno.
int write_elements(Map& map, const void* keys, const void* values, std::size_t count, std::size_t& done) {
  const MapShape& shape = map.shape;
  if (map.batch && count - done > 1) {
    const bpf_map_batch_opts options = batch_options();
    auto some = static_cast<std::uint32_t>(count - done);
    const int error = -bpf_map_update_batch(map.fd.get(), at(keys, done, shape.key_size),
                                            at(values, done, shape.value_size), &some, &options);
    map.batch = !no_batches(error);
    if (map.batch) done += some;
    if (map.batch) return error;
  }
  for (; done < count; ++done) {
    const int error =
        -bpf_map_update_elem(map.fd.get(), at(keys, done, shape.key_size), at(values, done, shape.value_size), BPF_ANY);
    if (error != 0) return error;
  }
  return 0;
}

int remove_elements(Map& map, const void* keys, std::size_t count, std::size_t& done) {
  const std::size_t size = map.shape.key_size;
  if (map.batch && count - done > 1) {
    const bpf_map_batch_opts options = batch_options();
    auto some = static_cast<std::uint32_t>(count - done);
    const int error = -bpf_map_delete_batch(map.fd.get(), at(keys, done, size), &some, &options);
    map.batch = !no_batches(error);
    if (map.batch) done += some;
    if (map.batch) return error;
  }
  for (; done < count; ++done) {
    const int error = -bpf_map_delete_elem(map.fd.get(), at(keys, done, size));
    if (error != 0) return error;
  }
  return 0;
}

// A program on this CPU may hold the lock of the element's bucket (htab_lock_bucket()).
constexpr int kPatience = 100;

}  // namespace

Result<> Maps::write(Table table, const void* keys, const void* values, std::size_t count, std::size_t& done) {
  Map& map = (*this)[table];
  const std::size_t allowed = faults_->take(count);
  done = 0;
  for (int busy = 0; done < allowed;) {
    const int error = write_elements(map, keys, values, allowed, done);
    if (error == 0) break;
    if (error == EBUSY && ++busy < kPatience) continue;
    if (full(error)) return map_full(table, map.used, map.limit, count - done);
    return fail_errno(error, fmt::format("cannot write to the map {}", table_name(table)));
  }
  return allowed < count ? faults_->step() : Result<>{};
}

Result<> Maps::remove(Table table, const void* keys, std::size_t count) {
  Map& map = (*this)[table];
  const std::size_t allowed = faults_->take(count);
  std::size_t done = 0;
  for (int busy = 0; done < allowed;) {
    const int error = remove_elements(map, keys, allowed, done);
    if (error == 0) break;
    if (error == ENOENT) {
      ++done;
    } else if (error != EBUSY || ++busy >= kPatience) {
      return fail_errno(error, fmt::format("cannot remove from the map {}", table_name(table)));
    }
  }
  return allowed < count ? faults_->step() : Result<>{};
}

Result<bool> Maps::read(Table table, const void* key, void* value) const {
  const int error = -bpf_map_lookup_elem((*this)[table].fd.get(), key, value);
  if (error == 0) return true;
  if (error == ENOENT) return false;
  return fail_errno(error, fmt::format("cannot read the map {}", table_name(table)));
}

Result<> Maps::visit(Table table, const Visit& visit) const {
  const Map& map = (*this)[table];
  bool supported = map.batch;
  if (supported) {
    const Result<> done = visit_batch(map, visit, supported);
    if (supported) return done;
  }
  return visit_single(map, visit);
}

Result<> Maps::visit_batch(const Map& map, const Visit& visit, bool& supported) const {
  const std::size_t key_size = map.shape.key_size, value_size = stride(map);
  std::vector<std::byte> place(std::max<std::size_t>(key_size, 8)), keys, values;
  const bpf_map_batch_opts options = batch_options();
  std::uint32_t room = std::min(kBatch, map.shape.max_entries);
  for (bool first = true;;) {
    keys.resize(room * key_size);
    values.resize(room * value_size);
    std::uint32_t some = room;
    const int error = -bpf_map_lookup_batch(map.fd.get(), first ? nullptr : place.data(), place.data(), keys.data(),
                                            values.data(), &some, &options);
    if (first && no_batches(error)) {
      supported = false;
      return {};
    }
    if (error == ENOSPC && room < map.shape.max_entries) {  // one bucket has more than there is room for
      room = std::min(room * 2, map.shape.max_entries);
      continue;
    }
    if (error != 0 && error != ENOENT) return fail_errno(error, "cannot read a map");
    for (std::size_t i = 0; i < some; ++i)
      visit(at(keys.data(), i, key_size), at(values.data(), i, value_size));
    if (error == ENOENT) return {};
    first = false;
  }
}

Result<> Maps::visit_single(const Map& map, const Visit& visit) const {
  std::vector<std::byte> key(map.shape.key_size), next(map.shape.key_size), value(stride(map));
  // A key that is removed meanwhile sends the walk back to the first one.
  std::uint64_t patience = std::uint64_t{map.shape.max_entries} * 2 + kBatch;
  for (bool first = true; patience > 0; first = false, --patience) {
    const int error = -bpf_map_get_next_key(map.fd.get(), first ? nullptr : key.data(), next.data());
    if (error == ENOENT) return {};
    if (error != 0) return fail_errno(error, "cannot read a map");
    key.swap(next);
    if (bpf_map_lookup_elem(map.fd.get(), key.data(), value.data()) == 0) visit(key.data(), value.data());
  }
  return {};
}

Result<std::uint64_t> Maps::count(Table table) const {
  std::uint64_t out = 0;
  const Result<> done = visit(table, [&out](const std::byte*, const std::byte*) { ++out; });
  if (done.has_error()) return done.error();
  return out;
}

}  // namespace omnitide::enforcement
