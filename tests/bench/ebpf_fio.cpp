#include "tests/bench/ebpf_fio.hpp"

#include <sys/resource.h>
#include <unistd.h>

#include <cstdlib>
#include <stdexcept>

#include "agent/base/text.hpp"
#include "tests/harness/child.hpp"

namespace omnitide::bench {

namespace {

constexpr std::size_t kRunTime = 8;  // terse format 3 (fio(1)): milliseconds of reading, counted from 0

double run(const std::string& device, int depth, int reads) {
  std::string log = "/tmp/omnitide-fio-XXXXXX";
  const int fd = ::mkstemp(log.data());
  if (fd < 0) throw std::runtime_error("cannot make a file for fio's words");
  ::close(fd);
  test::Process fio(
      {"fio", "--output-format=terse", "--terse-version=3", "--name=reads", "--filename=" + device, "--direct=1",
       "--rw=randread", "--bs=4k", "--ioengine=libaio", "--iodepth=" + std::to_string(depth), "--norandommap",
       "--thread", "--nice=-20", "--io_size=" + std::to_string(reads * 4) + "k"},
      log);
  const int code = fio.wait();
  const std::string text = test::read_text(log);
  ::unlink(log.c_str());
  const auto fields = split(text, ';');
  if (code != 0 || fields.size() <= kRunTime)
    throw std::runtime_error("fio (a Debian package) does not work: " + printable(text));
  return std::atof(std::string(fields[kRunTime]).c_str());
}

}  // namespace

std::vector<Load> fio_loads(const std::string& device) {
  constexpr int kRuns = 3, kOne = 10'000, kMany = 30'000;
  return {{"fio1", "fio, 1 read at a time", kOne, kRuns, [device] { return run(device, 1, kOne); }},
          {"fio16", "fio, 16 at a time", kMany, kRuns, [device] { return run(device, 16, kMany); }}};
}

}  // namespace omnitide::bench
