// What every collector is worth on this machine, and what is left of it. Needs root.
#include <bpf/bpf.h>
#include <linux/capability.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <set>
#include <string>
#include <thread>

#include "agent/base/fd.hpp"
#include "ebpf/collectors/run_time.hpp"
#include "tests/harness/catch.hpp"
#include "tests/harness/collected.hpp"

using namespace omnitide;
using test::Collected;

namespace {

// By their numbers: the kernel frees those of others, and of tests before, in its own time.
std::set<__u32> programs_named(const std::set<std::string>& names) {
  std::set<__u32> out;
  for (__u32 id = 0; bpf_prog_get_next_id(id, &id) == 0;) {
    const UniqueFd fd(bpf_prog_get_fd_by_id(id));
    bpf_prog_info info{};
    __u32 size = sizeof info;
    if (fd && bpf_obj_get_info_by_fd(fd.get(), &info, &size) == 0 && names.contains(&info.name[0])) out.insert(id);
  }
  return out;
}

void drop_all_capabilities() {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct none[2]{};
  REQUIRE(::syscall(SYS_capset, &header, &none[0]) == 0);
}

}  // namespace

TEST_CASE("every collector works here, or says why not") {
  const auto begin = std::chrono::steady_clock::now();
  std::vector<collectors::EbpfCollector> all = collectors::open_all({});
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  std::printf("  opened in %.3f s\n", took.count());
  CHECK(all.size() == collectors::names().size());
  for (collectors::EbpfCollector& each : all) {
    INFO(each.collector.name << ": " << each.off);
    if (!each.how.empty()) std::printf("  %s %s\n", each.collector.name.data(), each.how.c_str());
    if (each.collector.name == "ebpf.drops" && !test::kernel_at_least(5, 17))
      CHECK(each.off.find("Linux 5.17") != std::string::npos);
    else
      CHECK(each.off.empty());
    CHECK(!each.collector.descriptors.empty());
    if (!each.collector.collect) continue;
    model::SampleBatch batch;
    const Result<> done = each.collector.collect(batch);
    REQUIRE(done);
    CHECK(batch.refused() == 0);
    for (const model::SampleView& view : batch.views()) {
      const auto& families = each.collector.descriptors;
      CHECK(std::ranges::find(families, view.descriptor) != families.end());
    }
  }
}

TEST_CASE("nothing is left in the kernel when the collectors are gone") {
  const std::set<std::string> names{"dns_receive", "dns_read6", "runq_switch"};
  for (const bool functions : {true, false}) {
    const std::set<__u32> before = programs_named(names);
    const auto added = [&names, &before] {
      std::set<__u32> out = programs_named(names);
      std::erase_if(out, [&before](__u32 id) { return before.contains(id); });
      return out.size();
    };
    {
      const Collected collected({"dns", "runq", "process"}, 50, functions);
      CHECK(added() == 2);
    }
    for (int i = 0; i < 500 && added() > 0; ++i)
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    CHECK(added() == 0);
  }
}

TEST_CASE("without the capabilities every collector is off and says what is missing") {
  std::vector<collectors::EbpfCollector> all;
  std::thread([&all] {
    drop_all_capabilities();
    all = collectors::open_all({});
  }).join();
  for (const collectors::EbpfCollector& each : all) {
    CHECK_FALSE(each.collector.collect);
    CHECK(each.off == "missing: CAP_BPF and CAP_PERFMON");
  }
}

TEST_CASE("the run time of programs is measured on demand, and only then") {
  Collected collected({"runq", "programs"});
  const auto times = collectors::bpf_run_times(std::chrono::milliseconds(300));
  REQUIRE(times);
  const auto ours = std::ranges::find(*times, "runq_switch", &collectors::ProgramTime::name);
  REQUIRE(ours != times->end());
  CHECK(ours->runs > 0);
  CHECK(ours->time.count() > 0);
  CHECK(ours->type == "tracing");
  collected.read();
  CHECK(collected.value("omnitide_ebpf_program_runs_total", {{"program", "runq_switch"}}) >=
        static_cast<double>(ours->runs));
  std::printf("  runq_switch: %.1f ns a run\n",
              static_cast<double>(ours->time.count()) / static_cast<double>(ours->runs));
}
