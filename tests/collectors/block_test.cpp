// Block I/O on a loop device, counted exactly. Needs root.
#include <fcntl.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <memory>
#include <string>

#include "tests/harness/catch.hpp"
#include "tests/harness/collected.hpp"
#include "tests/harness/loop_device.hpp"

using namespace omnitide;
using test::Collected;

namespace {

// Of the kernel's own account, /sys/block/NAME/stat (Documentation/block/stat.rst).
struct Account {
  double reads = 0, seconds_reading = 0;
};
Account account_of(const std::string& device) {
  std::ifstream file("/sys/block/" + device + "/stat");
  double reads = 0, merged = 0, sectors = 0, milliseconds = 0;
  REQUIRE(file >> reads >> merged >> sectors >> milliseconds);
  return {reads, milliseconds / 1000};
}

}  // namespace

TEST_CASE("reads and writes of a known size count by disk and operation") {
  const test::LoopDevice loop;
  const UniqueFd device(::open(("/dev/" + loop.name()).c_str(), O_RDWR | O_DIRECT | O_CLOEXEC));
  REQUIRE(device);
  const std::unique_ptr<void, decltype(&std::free)> buffer(std::aligned_alloc(4096, 65536), &std::free);
  Collected collected({"block"});
  const Account before = account_of(loop.name());
  for (int i = 0; i < 100; ++i)
    REQUIRE(::pread(device.get(), buffer.get(), 4096, (i % 50) * 4096) == 4096);
  for (int i = 0; i < 16; ++i)
    REQUIRE(::pread(device.get(), buffer.get(), 65536, i * 65536) == 65536);
  for (int i = 0; i < 40; ++i)
    REQUIRE(::pwrite(device.get(), buffer.get(), 8192, i * 8192) == 8192);
  REQUIRE(::fsync(device.get()) == 0);
  collected.read();
  const Collected::Labels reads{{"device", loop.name()}, {"operation", "read"}};
  const Collected::Labels writes{{"device", loop.name()}, {"operation", "write"}};
  const char* size = "omnitide_block_io_size_bytes";
  CHECK(collected.count(size, reads) == 116);
  CHECK(collected.sum(size, reads) == 100 * 4096 + 16 * 65536);
  CHECK(collected.at_most(size, 2048, reads) == 0);
  CHECK(collected.at_most(size, 4096, reads) == 100);
  CHECK(collected.at_most(size, 32768, reads) == 100);
  CHECK(collected.at_most(size, 65536, reads) == 116);
  CHECK(collected.count(size, writes) == 40);
  CHECK(collected.sum(size, writes) == 40 * 8192);
  CHECK(collected.count("omnitide_block_io_latency_seconds", reads) == 116);
  const Account after = account_of(loop.name());
  CHECK(after.reads - before.reads == 116);
  // The kernel ends its own account of a request a little later: in an emulated machine much later.
  const double seconds = after.seconds_reading - before.seconds_reading;
  CHECK(collected.sum("omnitide_block_io_latency_seconds", reads) > seconds / 4 - 0.002);
  CHECK(collected.sum("omnitide_block_io_latency_seconds", reads) < seconds + 0.002);
  CHECK(collected.value("omnitide_block_io_errors_total", reads) == 0);
  // The flush is one of its own, and no write.
  CHECK(collected.count(size, {{"device", loop.name()}, {"operation", "flush"}}) == 1);
}

TEST_CASE("reads that fail count as errors") {
  test::LoopDevice loop;
  const UniqueFd device(::open(("/dev/" + loop.name()).c_str(), O_RDONLY | O_DIRECT | O_CLOEXEC));
  REQUIRE(device);
  const std::unique_ptr<void, decltype(&std::free)> buffer(std::aligned_alloc(4096, 65536), &std::free);
  Collected collected({"block"});
  REQUIRE(::pread(device.get(), buffer.get(), 4096, 0) == 4096);
  REQUIRE(::truncate(loop.file().c_str(), 65536) == 0);  // the device does not learn of it
  const ssize_t got = ::pread(device.get(), buffer.get(), 4096, 524288);
  collected.read();
  const Collected::Labels reads{{"device", loop.name()}, {"operation", "read"}};
  CHECK(collected.value("omnitide_block_io_errors_total", reads) == (got < 0 ? 1 : 0));
  if (test::kernel_at_least(6, 18)) CHECK(got < 0);  // older ones read zeros
  CHECK(collected.count("omnitide_block_io_size_bytes", reads) == 2);
}
