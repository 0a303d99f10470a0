#include "ebpf/enforcement/object.hpp"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <memory>
#include <string>
#include <utility>

#include "agent/base/random.hpp"
#include "agent/base/text.hpp"
#include "ebpf/abi/policy.h"
#include "ebpf/programs/policy.bpf.hpp"

namespace omnitide::enforcement {

namespace {

constexpr std::size_t kLogBytes = 256U << 10U;
constexpr std::size_t kAdvice = 600;  // bytes of the verifier's log that go into an error
constexpr std::uint64_t kSecond = 1'000'000'000;

using ObjectPointer = std::unique_ptr<bpf_object, decltype(&bpf_object__close)>;

int quiet(libbpf_print_level /*level*/, const char* /*format*/, va_list /*arguments*/) { return 0; }

std::uint32_t limit_of(Table table, const Limits& limits) {
  switch (table) {
    case Table::endpoints: return limits.endpoints;
    case Table::addresses: return limits.addresses;
    case Table::prefixes: return limits.prefixes;
    case Table::peers: return limits.peers;
    case Table::ports: return limits.ports;
    case Table::port_ranges: return limits.port_ranges;
    case Table::words: return limits.words;
    case Table::rules: return limits.rules;
    case Table::deny: return limits.deny;
    case Table::own: return limits.own;
    case Table::connections: return limits.connections;
    case Table::translations: return limits.translations;
    case Table::fragments: return limits.fragments;
    case Table::budgets: return limits.budgets;
    case Table::events: return limits.event_bytes;
    case Table::publication:
    case Table::seeds:
    case Table::tickets:
    case Table::ticket_counter:
    case Table::drops:
    case Table::event_state: break;
  }
  return 0;  // the object says
}

// A trie that is full refuses to replace what is in it, before Linux 6.13: it never becomes full.
bool is_trie(Table table) { return table == Table::prefixes || table == Table::port_ranges || table == Table::deny; }

Result<ObjectPointer> open_object(std::string& log) {
  libbpf_set_print(quiet);
  const Result<std::vector<std::byte>> bytes = ebpf::unpack(ebpf::policy_object());
  if (bytes.has_error()) return bytes.error();
  bpf_object_open_opts open{};
  open.sz = sizeof open;
  open.object_name = "policy";
  log.assign(kLogBytes, '\0');
  open.kernel_log_buf = log.data();
  open.kernel_log_size = log.size();
  ObjectPointer object(bpf_object__open_mem(bytes->data(), bytes->size(), &open), &bpf_object__close);
  if (!object) return fail_errno(errno, "cannot read the compiled policy programs");
  return object;
}

Result<bpf_map*> find_map(bpf_object& object, Table table) {
  const std::string name(table == Table::publication ? ".data.publication" : table_name(table));
  bpf_map* map = bpf_object__find_map_by_name(&object, name.c_str());
  if (map == nullptr) return fail(Code::internal, fmt::format("the policy programs have no map {}", name));
  return map;
}

// Elements that the map needs for as many as the limit says.
std::uint32_t elements_of(Table table, std::uint32_t limit) {
  if (table == Table::connections) return policy_buckets(limit);
  return limit + (is_trie(table) ? 1 : 0);
}

Result<> set_sizes(bpf_object& object, const Limits& limits) {
  for (std::size_t i = 0; i < kTables; ++i) {
    const auto table = static_cast<Table>(i);
    const Result<bpf_map*> map = find_map(object, table);
    if (map.has_error()) return map.error();
    const std::uint32_t limit = limit_of(table, limits);
    if (limit == 0) continue;
    if (const int result = bpf_map__set_max_entries(*map, elements_of(table, limit)); result != 0)
      return fail_errno(-result, fmt::format("cannot size the map {}", table_name(table)));
  }
  return {};
}

// Fills `const volatile` variables by their names in the object's BTF.
class Settings {
 public:
  static Result<Settings> of(bpf_object& object) {
    Settings out;
    bpf_object__for_each_map(out.map_, &object) {
      if (std::string_view(bpf_map__name(out.map_)).ends_with(".rodata")) break;
    }
    std::size_t size = 0;
    const void* bytes = out.map_ == nullptr ? nullptr : bpf_map__initial_value(out.map_, &size);
    out.types_ = bpf_object__btf(&object);
    const int id = out.types_ == nullptr ? -1 : btf__find_by_name_kind(out.types_, ".rodata", BTF_KIND_DATASEC);
    if (bytes == nullptr || id < 0) return fail(Code::internal, "the policy programs have no settings");
    out.bytes_.assign(static_cast<const char*>(bytes), size);
    out.section_ = btf__type_by_id(out.types_, static_cast<__u32>(id));
    return out;
  }

  Result<> set(std::string_view name, std::uint64_t value) {
    const btf_var_secinfo* variables = btf_var_secinfos(section_);
    for (__u32 i = 0; i < btf_vlen(section_); ++i) {
      const btf_type* variable = btf__type_by_id(types_, variables[i].type);
      if (name != btf__name_by_offset(types_, variable->name_off)) continue;
      const std::size_t bytes = variables[i].size;
      if (bytes > sizeof value || variables[i].offset + bytes > bytes_.size()) break;
      if (bytes < sizeof value && value >> (bytes * 8) != 0)
        return fail(Code::invalid_argument, fmt::format("the setting {} is too large", name));
      if (bytes == sizeof(__u32)) {
        const auto narrow = static_cast<__u32>(value);
        std::memcpy(&bytes_[variables[i].offset], &narrow, sizeof narrow);
      } else if (bytes == sizeof value) {
        std::memcpy(&bytes_[variables[i].offset], &value, sizeof value);
      } else {
        break;
      }
      return {};
    }
    return fail(Code::internal, fmt::format("the policy programs have no setting {}", name));
  }

  Result<> set(std::string_view name, const policy_seeds& seeds) {
    const btf_var_secinfo* variables = btf_var_secinfos(section_);
    for (__u32 i = 0; i < btf_vlen(section_); ++i) {
      const btf_type* variable = btf__type_by_id(types_, variables[i].type);
      if (name != btf__name_by_offset(types_, variable->name_off)) continue;
      if (variables[i].size != sizeof seeds || variables[i].offset + sizeof seeds > bytes_.size()) break;
      std::memcpy(&bytes_[variables[i].offset], &seeds, sizeof seeds);
      return {};
    }
    return fail(Code::internal, fmt::format("the policy programs have no setting {}", name));
  }

  Result<> apply() {
    const int result = bpf_map__set_initial_value(map_, bytes_.data(), bytes_.size());
    return result == 0 ? Result<>{} : fail_errno(-result, "cannot set up the policy programs");
  }

 private:
  bpf_map* map_ = nullptr;
  std::string bytes_;
  const btf* types_ = nullptr;
  const btf_type* section_ = nullptr;
};

// What coarse clocks are exact to; 0 if the kernel does not say, and then the programs read the exact one.
std::uint64_t tick_ns() {
  timespec tick{};
  if (::clock_getres(CLOCK_MONOTONIC_COARSE, &tick) != 0) return 0;
  return static_cast<std::uint64_t>(tick.tv_sec) * kSecond + static_cast<std::uint64_t>(tick.tv_nsec);
}

// Those that the pinned connections were entered with, else new ones.
policy_seeds choose_seeds(const UniqueFd& pinned) {
  policy_seeds seeds{};
  constexpr __u32 kOnly = 0;
  if (pinned && bpf_map_lookup_elem(pinned.get(), &kOnly, &seeds) == 0) return seeds;
  const std::string bytes = random_bytes(sizeof seeds);
  std::memcpy(&seeds, bytes.data(), sizeof seeds);
  return seeds;
}

Result<> keep_seeds(const Map& map, const policy_seeds& seeds) {
  constexpr __u32 kOnly = 0;
  const int result = bpf_map_update_elem(map.fd.get(), &kOnly, &seeds, BPF_ANY);
  return result == 0 ? Result<>{} : fail_errno(-result, "cannot write the map seeds");
}

Result<> apply_settings(bpf_object& object, const Options& options, const policy_seeds& seeds) {
  Result<Settings> settings = Settings::of(object);
  if (settings.has_error()) return settings.error();
  const std::uint64_t connection = kSecond / std::max(options.connection_rate, 1U);
  const std::uint64_t event = kSecond / std::max(options.event_rate, 1U);
  const std::array<std::pair<std::string_view, std::uint64_t>, 11> all{{
      {"mark_mask", options.mark_mask},
      {"mark_shift", options.mark_shift},
      {"tick_ns", tick_ns()},
      {"connection_buckets", policy_buckets(options.limits.connections)},
      {"connection_interval_ns", connection},
      {"connection_burst_ns", connection * std::max(options.connection_burst, 1U)},
      {"event_interval_ns", event},
      {"event_burst_ns", event * std::max(options.event_burst, 1U)},
      {"tcp_idle_ns", static_cast<std::uint64_t>(options.tcp_idle.count())},
      {"other_idle_ns", static_cast<std::uint64_t>(options.other_idle.count())},
      {"short_idle_ns", static_cast<std::uint64_t>(options.brief_idle.count())},
  }};
  for (const auto& [name, value] : all) {
    if (Result<> set = settings->set(name, value); set.has_error()) return set;
  }
  if (Result<> set = settings->set("connection_seeds", seeds); set.has_error()) return set;
  return settings->apply();
}

Result<UniqueFd> duplicate(int fd) {
  UniqueFd out(::fcntl(fd, F_DUPFD_CLOEXEC, 3));
  if (!out) return fail_errno(errno, "cannot keep a descriptor of the policy programs");
  return out;
}

Result<> take_maps(bpf_object& object, const Limits& limits, Maps& maps) {
  for (std::size_t i = 0; i < kTables; ++i) {
    const auto table = static_cast<Table>(i);
    const Result<bpf_map*> map = find_map(object, table);
    if (map.has_error()) return map.error();
    Result<UniqueFd> fd = duplicate(bpf_map__fd(*map));
    if (fd.has_error()) return fd.error();
    const Result<MapShape> shape = shape_of(fd->get());
    if (shape.has_error()) return shape.error();
    const std::uint32_t limit = limit_of(table, limits);
    Map& to = maps[table];
    to.fd = std::move(*fd);
    to.shape = *shape;
    to.limit = limit == 0 ? shape->max_entries : limit;
  }
  return {};
}

Result<> take_programs(bpf_object& object, Programs& programs) {
  for (std::size_t i = 0; i < kProgramNames.size(); ++i) {
    const std::string name(kProgramNames[i]);
    const bpf_program* program = bpf_object__find_program_by_name(&object, name.c_str());
    if (program == nullptr) return fail(Code::internal, fmt::format("the policy programs lack {}", name));
    if (bpf_program__fd(program) < 0) continue;
    Result<UniqueFd> fd = duplicate(bpf_program__fd(program));
    if (fd.has_error()) return fd.error();
    bpf_prog_info info{};
    __u32 size = sizeof info;
    if (const int result = bpf_obj_get_info_by_fd(fd->get(), &info, &size); result != 0)
      return fail_errno(-result, "cannot ask about a program");
    programs[static_cast<Program>(i)] = {.fd = std::move(*fd), .id = info.id};
  }
  return {};
}

// The end of the log names what the verifier objects to.
std::string advice(std::string_view log) {
  log = log.substr(0, log.find('\0'));
  if (log.size() > kAdvice) log.remove_prefix(log.size() - kAdvice);
  return printable(trim(log), kAdvice * 2);
}

Error refused(int error, std::string_view log) {
  Error out = fail_errno(error, "the kernel does not take the policy programs");
  if (error == EPERM) return std::move(out).with_hint("CAP_BPF and CAP_NET_ADMIN are needed");
  const std::string text = advice(log);
  return text.empty() ? out : std::move(out).with_hint("the verifier says: " + text);
}

}  // namespace

Result<std::array<MapShape, kTables>> wanted_shapes(const Options& options) {
  std::string log;
  const Result<ObjectPointer> object = open_object(log);
  if (object.has_error()) return object.error();
  if (const Result<> sized = set_sizes(**object, options.limits); sized.has_error()) return sized.error();
  std::array<MapShape, kTables> out;
  for (std::size_t i = 0; i < kTables; ++i) {
    const Result<bpf_map*> found = find_map(**object, static_cast<Table>(i));
    if (found.has_error()) return found.error();
    const bpf_map* map = *found;
    out[i] = {bpf_map__type(map), bpf_map__key_size(map), bpf_map__value_size(map), bpf_map__max_entries(map),
              bpf_map__map_flags(map)};
  }
  return out;
}

Result<Object> load_object(const Options& options, const Shared& shared, std::shared_ptr<Faults> faults) {
  std::string log;
  Result<ObjectPointer> opened = open_object(log);
  if (opened.has_error()) return opened.error();
  bpf_object& object = **opened;
  if (const Result<> sized = set_sizes(object, options.limits); sized.has_error()) return sized.error();
  const policy_seeds seeds = choose_seeds(shared[static_cast<std::size_t>(Table::seeds)]);
  if (const Result<> set = apply_settings(object, options, seeds); set.has_error()) return set.error();
  for (std::size_t i = 0; i < kTables; ++i) {
    if (!shared[i]) continue;
    const Result<bpf_map*> map = find_map(object, static_cast<Table>(i));
    if (map.has_error()) return map.error();
    if (const int result = bpf_map__reuse_fd(*map, shared[i].get()); result != 0)
      return fail_errno(-result, "cannot use a pinned map again");
  }
  const std::string xdp(kProgramNames[static_cast<std::size_t>(Program::xdp_deny)]);
  bpf_program* express = bpf_object__find_program_by_name(&object, xdp.c_str());
  if (express != nullptr) (void)bpf_program__set_autoload(express, options.xdp_deny);
  if (const int result = bpf_object__load(&object); result != 0) return refused(-result, log);
  Object out{.maps = Maps(std::move(faults)), .programs = {}};
  if (const Result<> taken = take_maps(object, options.limits, out.maps); taken.has_error()) return taken.error();
  if (const Result<> taken = take_programs(object, out.programs); taken.has_error()) return taken.error();
  if (const Result<> kept = keep_seeds(out.maps[Table::seeds], seeds); kept.has_error()) return kept.error();
  return out;
}

}  // namespace omnitide::enforcement
