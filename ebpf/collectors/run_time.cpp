#include "ebpf/collectors/run_time.hpp"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include <algorithm>
#include <cerrno>
#include <map>
#include <thread>

#include "agent/base/fd.hpp"
#include "agent/base/text.hpp"

namespace omnitide::collectors {

namespace {

constexpr std::chrono::minutes kLongest{1};
constexpr int kMostPrograms = 65536;

struct Seen {
  ProgramTime program;
  UniqueFd fd;  // so that it is the same program at the end
};

bool look(int fd, ProgramTime& out) {
  bpf_prog_info info{};
  __u32 size = sizeof info;
  if (bpf_obj_get_info_by_fd(fd, &info, &size) != 0) return false;
  const char* type = libbpf_bpf_prog_type_str(static_cast<bpf_prog_type>(info.type));
  out = {.id = info.id,
         .name = printable(&info.name[0]),
         .type = type == nullptr ? std::to_string(info.type) : type,
         .runs = info.run_cnt,
         .time = std::chrono::nanoseconds(info.run_time_ns)};
  return true;
}

std::vector<Seen> all_programs() {
  std::vector<Seen> out;
  __u32 id = 0;
  for (int i = 0; i < kMostPrograms && bpf_prog_get_next_id(id, &id) == 0; ++i) {
    const int fd = bpf_prog_get_fd_by_id(id);
    if (fd < 0) continue;
    Seen seen{.program = {}, .fd = UniqueFd(fd)};
    if (look(fd, seen.program)) out.push_back(std::move(seen));
  }
  return out;
}

}  // namespace

Result<std::vector<ProgramTime>> bpf_run_times(std::chrono::milliseconds duration) {
  const int statistics = bpf_enable_stats(BPF_STATS_RUN_TIME);
  if (statistics == -EINVAL)
    return fail(Code::failed_precondition, "the kernel cannot measure eBPF programs (Linux 5.8 and later can)");
  if (statistics < 0) {
    Error out = fail_errno(-statistics, "cannot switch on the statistics of eBPF programs");
    return statistics == -EPERM ? std::move(out).with_hint("CAP_SYS_ADMIN is needed") : out;
  }
  const UniqueFd on(statistics);
  std::vector<Seen> before = all_programs();
  std::this_thread::sleep_for(std::min<std::chrono::milliseconds>(duration, kLongest));
  std::vector<ProgramTime> out;
  for (const Seen& seen : before) {
    ProgramTime now;
    if (!look(seen.fd.get(), now) || now.runs <= seen.program.runs) continue;
    now.runs -= seen.program.runs;
    now.time -= seen.program.time;
    out.push_back(std::move(now));
  }
  std::ranges::sort(out, std::ranges::greater{}, &ProgramTime::time);
  return out;
}

}  // namespace omnitide::collectors
