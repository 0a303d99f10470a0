// Libraries that come with their first call: the right function with the right arguments, and a clear end without one.
#include "agent/base/lazy_library.hpp"

#include <mosquitto.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdint>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include "agent/base/file.hpp"
#include "tests/harness/catch.hpp"

using namespace omnitide;

namespace {

bool mapped(const std::string& library) {
  return read_file("/proc/self/maps", std::size_t{16} << 20U).value().find(library) != std::string::npos;
}

}  // namespace

#ifdef OMNITIDE_LAZY
TEST_CASE("a library is loaded by the first call, on whichever thread, and gets its arguments") {
  REQUIRE_FALSE(mapped("libmosquitto.so"));
  std::array<std::array<int, 3>, 4> versions{};
  std::vector<std::thread> threads;
  for (auto& version : versions) {
    threads.emplace_back([&version] { mosquitto_lib_version(&version[0], &version[1], &version[2]); });
  }
  for (std::thread& thread : threads)
    thread.join();
  CHECK(mapped("libmosquitto.so"));
  for (const auto& version : versions) {
    CHECK(version[0] * 1'000'000 + version[1] * 1'000 + version[2] == mosquitto_lib_version(nullptr, nullptr, nullptr));
    CHECK(version[0] >= 2);
  }
}

TEST_CASE("the pointers to a library's functions cannot be changed once they are there") {
  mosquitto_lib_version(nullptr, nullptr, nullptr);
  // The pointer that a call jumps through lies behind the operand of its `jmp *offset(%rip)`: endbr64 (4 bytes), ff 25.
  const auto* code = reinterpret_cast<const unsigned char*>(&mosquitto_lib_version);
  REQUIRE(code[4] == 0xff);
  REQUIRE(code[5] == 0x25);
  std::int32_t offset = 0;
  std::memcpy(&offset, code + 6, sizeof offset);
  auto* slot = reinterpret_cast<void* volatile*>(const_cast<unsigned char*>(code + 10 + offset));
  const pid_t child = ::fork();
  if (child == 0) {
    ::signal(SIGSEGV, SIG_DFL);  // not Catch2's
    *slot = nullptr;
    ::_exit(0);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK(WIFSIGNALED(status));
}
#endif

TEST_CASE("a library that is not there is an error ahead, and ends the process at the first call") {
  const Result<> loaded = load_library("libnone-such.so.9");
  REQUIRE(loaded.has_error());
  CHECK(loaded.error().code == Code::unavailable);
  CHECK(loaded.error().message.find("libnone-such.so.9") != std::string::npos);
  CHECK_FALSE(loaded.error().hint.empty());

  LazySlot slot{nullptr, "never_called"};
  const LazyTable table{"libnone-such.so.9", &slot, &slot + 1};
  std::array<int, 2> ends{};
  REQUIRE(::pipe(ends.data()) == 0);
  const pid_t child = ::fork();
  if (child == 0) {
    ::dup2(ends[1], 2);
    omnitide_lazy_load(&table);
    ::_exit(0);
  }
  ::close(ends[1]);
  std::array<char, 512> text{};
  const ssize_t size = ::read(ends[0], text.data(), text.size());
  ::close(ends[0]);
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK(WEXITSTATUS(status) == 1);
  REQUIRE(size > 0);
  CHECK(std::string_view(text.data(), static_cast<std::size_t>(size))
            .starts_with("error: cannot load a library: libnone-such.so.9"));
}

TEST_CASE("a library that is there loads ahead of its use") { CHECK(load_library("libc.so.6").has_value()); }
