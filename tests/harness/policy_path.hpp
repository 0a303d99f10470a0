// The policy data path in the kernel, loaded from the built object, with maps that a test fills by hand and packets
// that it sends by BPF_PROG_TEST_RUN. Needs CAP_BPF and CAP_NET_ADMIN; throws without.
#pragma once

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "ebpf/abi/policy.h"
#include "ebpf/programs/policy.bpf.hpp"
#include "tests/harness/packets.hpp"
#include "tests/harness/test_run_device.hpp"

namespace omnitide::test {

inline policy_address kernel_address(std::string_view text) {
  policy_address out{};
  const auto address = parse_address(text);
  if (!address) throw std::invalid_argument("no address: " + std::string(text));
  std::memcpy(out.bytes, address->bytes.data(), sizeof out.bytes);
  return out;
}

struct Sent {
  int verdict = 0;      // -1 passes, 2 drops
  unsigned reason = 0;  // policy_reason
  unsigned mark = 0;    // afterwards
  std::vector<policy_event> events;
};

// A verifier's log may have megabytes: its end says what is wrong.
inline int tell_warnings(libbpf_print_level level, const char* form, va_list arguments) {
  if (level != LIBBPF_WARN) return 0;
  constexpr std::size_t kMost = 2000;
  std::string text(16U << 20U, '\0');
  text.resize(static_cast<std::size_t>(std::max(vsnprintf(text.data(), text.size(), form, arguments), 0)));
  return fprintf(stderr, "%s", text.c_str() + (text.size() > kMost ? text.size() - kMost : 0));
}

// Before it is loaded.
inline void change_setting(bpf_object* object, const std::string& name, __u64 value) {
  const btf* types = bpf_object__btf(object);
  const btf_type* section =
      btf__type_by_id(types, static_cast<__u32>(btf__find_by_name_kind(types, ".rodata", BTF_KIND_DATASEC)));
  std::size_t size = 0;
  bpf_map* map = bpf_object__find_map_by_name(object, ".rodata");
  const auto* initial = static_cast<const char*>(bpf_map__initial_value(map, &size));
  std::string bytes(initial, size);
  const btf_var_secinfo* variable = btf_var_secinfos(section);
  for (int i = 0; i < btf_vlen(section); ++i, ++variable) {
    if (name != btf__name_by_offset(types, btf__type_by_id(types, variable->type)->name_off)) continue;
    std::memcpy(bytes.data() + variable->offset, &value, variable->size);
    if (bpf_map__set_initial_value(map, bytes.data(), size) != 0)
      throw std::runtime_error(name + ": " + std::strerror(errno));
    return;
  }
  throw std::invalid_argument("no setting " + name);
}

class PolicyPath {
 public:
  // `sizes` of maps and `settings` (the programs' read-only variables) that differ from the object's own.
  explicit PolicyPath(const std::map<std::string, unsigned>& sizes = {},
                      const std::map<std::string, __u64>& settings = {}) {
    libbpf_set_print(tell_warnings);
    TestRunDevice::prepare();
    const auto bytes = ebpf::unpack(ebpf::policy_object()).value();
    object_.reset(bpf_object__open_mem(bytes.data(), bytes.size(), nullptr));
    if (!object_) fail("open");
    bpf_map* map = nullptr;
    bpf_object__for_each_map(map, object_.get()) {
      const auto size = sizes.find(bpf_map__name(map));
      if (size == sizes.end()) continue;
      const bool buckets = size->first == "connections";
      bpf_map__set_max_entries(map, buckets ? policy_buckets(size->second) : size->second);
      if (buckets) change_setting(object_.get(), "connection_buckets", policy_buckets(size->second));
    }
    for (const auto& [name, value] : settings)
      change_setting(object_.get(), name, value);
    if (bpf_object__load(object_.get()) != 0) fail("load");
    ring_.reset(ring_buffer__new(fd("events"), take_event, this, nullptr));
    if (!ring_) fail("ring buffer");
  }

  template <class Key, class Value>
  void set(const char* map, const Key& key, const Value& value) {
    if (bpf_map_update_elem(fd(map), &key, &value, BPF_ANY) != 0) fail(map);
    if (std::strcmp(map, "publication") != 0) publish();
  }
  template <class Value, class Key>
  [[nodiscard]] bool get(const char* map, const Key& key, Value& value) const {
    return bpf_map_lookup_elem(fd(map), &key, &value) == 0;
  }
  template <class Key>
  void erase(const char* map, const Key& key) {
    bpf_map_delete_elem(fd(map), &key);
    publish();
  }
  [[nodiscard]] int fd(const char* map) const {
    const char* name = std::strcmp(map, "publication") == 0 ? ".data.publication" : map;  // a variable's section
    return bpf_object__find_map_fd_by_name(object_.get(), name);
  }
  [[nodiscard]] int program(const char* name) const {
    return bpf_program__fd(bpf_object__find_program_by_name(object_.get(), name));
  }

  void endpoint(unsigned ifindex, policy_endpoint value) {
    value.version = value.version_end = ++version_;
    if (value.flags & POLICY_POD) value.id = ifindex;
    set("endpoints", ifindex, value);
  }
  void location(std::string_view where, unsigned identity, unsigned previous = 0, unsigned epoch = 0) {
    const policy_location value{identity, previous == 0 ? identity : previous, epoch};
    if (where.find('/') == std::string_view::npos) return set("addresses", kernel_address(where), value);
    const auto prefix = parse_prefix(where).value();
    policy_prefix key{prefix.length, {}};
    std::memcpy(key.address.bytes, prefix.address.bytes.data(), 16);
    set("prefixes", key, value);
  }
  void rule(unsigned set_id, unsigned number, policy_decision decision = POLICY_ACCEPT, unsigned pass_to = 0) {
    set("rules", policy_rule_key{set_id, number}, policy_rule{static_cast<unsigned>(decision), pass_to});
  }
  void peers(unsigned set_id, unsigned identity, const std::vector<unsigned>& rules) {
    set("peers", policy_peer_key{set_id, identity}, row(rules));
  }
  void any_port(unsigned set_id, const std::vector<unsigned>& rules) {
    set("ports", policy_port_key{set_id, 0, 0, 0}, row(rules));
  }
  void whole_protocol(unsigned set_id, unsigned protocol, const std::vector<unsigned>& rules) {
    set("ports", policy_port_key{set_id, 1, static_cast<__u8>(protocol), 0}, row(rules));
  }
  void port(unsigned set_id, unsigned protocol, unsigned number, const std::vector<unsigned>& rules) {
    set("ports", policy_port_key{set_id, 2, static_cast<__u8>(protocol), static_cast<__u16>(number)}, row(rules));
  }
  void range(unsigned set_id, unsigned protocol, unsigned number, unsigned length, const std::vector<unsigned>& rules) {
    const policy_port_range_key key{40 + length,
                                    __builtin_bswap32(set_id),
                                    static_cast<__u8>(protocol),
                                    {static_cast<__u8>(number >> 8U), static_cast<__u8>(number)},
                                    0};
    set("port_ranges", key, row(rules));
  }

  // `received`: the device that the packet came in by; 0: the node itself made it.
  Sent send(const char* name, const Bytes& packet, unsigned mark = 0, unsigned received = 1, unsigned ifindex = 1) {
    Sent sent;
    events_.clear();
    const auto before = reasons();
    __sk_buff context{};
    context.mark = mark;
    TestRunDevice::set(context, received);
    context.ifindex = ifindex;
    __sk_buff after{};
    LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = packet.data(), .data_size_in = static_cast<__u32>(packet.size()),
                .ctx_in = &context, .ctx_out = &after, .ctx_size_in = sizeof context, .ctx_size_out = sizeof after);
    if (bpf_prog_test_run_opts(program(name), &options) != 0) fail("test run");
    sent.verdict = static_cast<int>(options.retval);
    sent.mark = after.mark;
    const auto now = reasons();
    for (unsigned i = 0; i < now.size(); ++i)
      if (now[i] != before[i]) sent.reason = i % POLICY_REASONS;
    ring_buffer__consume(ring_.get());
    sent.events = events_;
    return sent;
  }
  // Nanoseconds for one run, as the kernel measures them.
  [[nodiscard]] unsigned time(const char* name, const Bytes& packet, unsigned repeat, unsigned received = 1) const {
    __sk_buff context{};
    TestRunDevice::set(context, received);
    context.ifindex = 1;
    LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = packet.data(), .data_size_in = static_cast<__u32>(packet.size()),
                .ctx_in = &context, .ctx_size_in = sizeof context, .repeat = static_cast<int>(repeat));
    if (bpf_prog_test_run_opts(program(name), &options) != 0) fail("test run");
    return options.duration;
  }

 private:
  struct Close {
    void operator()(bpf_object* object) const { bpf_object__close(object); }
    void operator()(ring_buffer* ring) const { ring_buffer__free(ring); }
  };
  [[noreturn]] static void fail(const std::string& what) {
    throw std::runtime_error(what + ": " + std::strerror(errno));
  }
  static int take_event(void* self, void* data, std::size_t) {
    static_cast<PolicyPath*>(self)->events_.push_back(*static_cast<policy_event*>(data));
    return 0;
  }
  // No verdict from before the last change holds; a sequence that a test made odd stays so.
  void publish() {
    policy_publication publication{};
    if (!get("publication", 0U, publication) || publication.sequence % 2 != 0) return;
    publication.sequence += 2;
    set("publication", 0U, publication);
  }
  policy_row row(const std::vector<unsigned>& rules) {
    std::map<unsigned, __u64> all;
    for (const unsigned rule : rules)
      all[rule / 64] |= 1ULL << (rule % 64);
    policy_row out{};
    if (all.empty()) return out;
    out.first = static_cast<__u16>(all.begin()->first);
    out.word = all.begin()->second;
    if (all.size() > 1) out.row = ++rows_;
    for (const auto& [index, word] : all) {
      out.summary[index / 64] |= 1ULL << (index % 64);
      if (index != out.first) set("words", policy_word_key{out.row, index}, word);
    }
    return out;
  }
  [[nodiscard]] std::vector<__u64> reasons() const {
    const auto cpus = static_cast<std::size_t>(libbpf_num_possible_cpus());
    std::vector<__u64> out;
    std::vector<policy_count> counts(cpus);
    for (__u32 i = 0; i < 2 * POLICY_REASONS; ++i) {
      bpf_map_lookup_elem(fd("drops"), &i, counts.data());
      __u64 sum = 0;
      for (const policy_count& count : counts)
        sum += count.packets;
      out.push_back(sum);
    }
    return out;
  }

  std::unique_ptr<bpf_object, Close> object_;
  std::unique_ptr<ring_buffer, Close> ring_;
  std::vector<policy_event> events_;
  __u64 version_ = 0;
  unsigned rows_ = 0;
};

}  // namespace omnitide::test
