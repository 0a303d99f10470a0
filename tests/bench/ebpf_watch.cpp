#include "tests/bench/ebpf_watch.hpp"

#include <bpf/bpf.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <span>
#include <stdexcept>
#include <string>

#include "agent/base/fd.hpp"
#include "agent/base/text.hpp"
#include "tests/bench/ebpf_empty.bpf.hpp"
#include "tests/harness/test_cgroup.hpp"

namespace omnitide::bench {

namespace {

void require(const Result<>& done) {
  if (done.has_error()) throw std::runtime_error(done.error().text());
}

// As the collector of DNS does: attached to functions, or to the root cgroup where that does not work.
constexpr std::array<std::string_view, 2> kByPackets{"empty_send", "empty_receive"};
constexpr std::array<std::string_view, 4> kByFunctions{"empty_send4", "empty_send6", "empty_read4", "empty_read6"};

std::unique_ptr<collectors::Object> open_empty(std::span<const std::string_view> without) {
  Result<collectors::Object> opened = collectors::Object::open("empty", ebpf::ebpf_empty_object());
  if (opened.has_error()) throw std::runtime_error(opened.error().text());
  auto object = std::make_unique<collectors::Object>(std::move(*opened));
  for (const std::string_view program : without)
    require(object->leave_out(program));
  return object;
}

std::unique_ptr<collectors::Object> attach_empty() {
  std::unique_ptr<collectors::Object> object = open_empty(kByPackets);
  if (object->load() && object->attach()) return object;
  object = open_empty(kByFunctions);
  require(object->load());
  require(object->attach());
  const UniqueFd root(::open(test::cgroup2_root().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  for (const std::string_view program : kByPackets)
    require(object->attach_to_cgroup(program, root.get()));
  return object;
}

}  // namespace

bool has(std::string_view list, std::string_view name) {
  for (const std::string_view each : split(list, ','))
    if (each == name) return true;
  return list.empty();
}

Watch::Watch(std::string_view which) {
  if (which == "empty") {
    empty_ = attach_empty();
    return;
  }
  collectors::Options options;
  for (const std::string_view name : collectors::names())
    if (!has(which, name)) options.exclude.emplace_back(name);
  collectors_ = collectors::open_all(options);
  for (const collectors::EbpfCollector& each : collectors_) {
    if (!each.off.empty() && each.off.find("excluded") == std::string::npos)
      throw std::runtime_error(std::string(each.collector.name) + " is off: " + each.off);
  }
}

std::vector<std::string> Watch::others() const {
  std::vector<std::string> out;
  for (const collectors::EbpfCollector& each : collectors_)
    if (!each.how.empty()) out.push_back(fmt::format("{} {}", each.collector.name, each.how));
  return out;
}

bool somebody_watches() {
  constexpr std::array<std::string_view, 5> kNames{"runq_switch", "irq_soft_entry", "block_complete", "dns_send",
                                                   "dns_send4"};
  for (__u32 id = 0; bpf_prog_get_next_id(id, &id) == 0;) {
    const UniqueFd fd(bpf_prog_get_fd_by_id(id));
    bpf_prog_info info{};
    __u32 size = sizeof info;
    if (!fd || bpf_obj_get_info_by_fd(fd.get(), &info, &size) != 0) continue;
    if (std::ranges::find(kNames, std::string_view(&info.name[0])) != kNames.end()) return true;
  }
  return false;
}

}  // namespace omnitide::bench
