// What every collector is worth on this machine, and what is left of it. Needs root.
#include <bpf/bpf.h>
#include <linux/capability.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <thread>

#include "agent/base/fd.hpp"
#include "ebpf/collectors/run_time.hpp"
#include "tests/harness/catch.hpp"
#include "tests/harness/collected.hpp"

using namespace omnitide;
using test::Collected;

namespace {

int programs_named(std::string_view name) {
  int count = 0;
  for (__u32 id = 0; bpf_prog_get_next_id(id, &id) == 0;) {
    const UniqueFd fd(bpf_prog_get_fd_by_id(id));
    bpf_prog_info info{};
    __u32 size = sizeof info;
    if (fd && bpf_obj_get_info_by_fd(fd.get(), &info, &size) == 0) count += name == &info.name[0];
  }
  return count;
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
  const int before = programs_named("dns_receive");
  {
    const Collected collected({"dns", "runq", "process"});
    CHECK(programs_named("dns_receive") == before + 1);
  }
  for (int i = 0; i < 500 && programs_named("dns_receive") > before; ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  CHECK(programs_named("dns_receive") == before);
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
