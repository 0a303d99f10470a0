// Block I/O on a loop device, counted exactly. Needs root.
#include <fcntl.h>
#include <unistd.h>

#include <cstdlib>
#include <memory>

#include "tests/harness/catch.hpp"
#include "tests/harness/collected.hpp"
#include "tests/harness/loop_device.hpp"

using namespace omnitide;
using test::Collected;

TEST_CASE("reads and writes of a known size count by disk and operation") {
  const test::LoopDevice loop;
  const UniqueFd device(::open(("/dev/" + loop.name()).c_str(), O_RDWR | O_DIRECT | O_CLOEXEC));
  REQUIRE(device);
  const std::unique_ptr<void, decltype(&std::free)> buffer(std::aligned_alloc(4096, 65536), &std::free);
  Collected collected({"block"});
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
  CHECK(collected.sum("omnitide_block_io_latency_seconds", reads) > 0);
  CHECK(collected.sum("omnitide_block_io_latency_seconds", reads) < 116);
  CHECK(collected.value("omnitide_block_io_errors_total", reads) == 0);
}
