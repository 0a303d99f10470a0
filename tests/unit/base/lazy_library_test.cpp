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

#ifdef OMNITIDE_LAZY
// The pointer that a call of the generated function jumps through, by its instructions; null when they are others.
void* volatile* slot_of(const unsigned char* code) {
#if defined(__x86_64__)
  // endbr64 (4 bytes), then jmp *offset(%rip): ff 25, and the offset from what follows.
  if (code[4] != 0xff || code[5] != 0x25) return nullptr;
  std::int32_t offset = 0;
  std::memcpy(&offset, code + 6, sizeof offset);
  return reinterpret_cast<void* volatile*>(const_cast<unsigned char*>(code + 10 + offset));
#else
  // bti c; adrp x16, page; ldr x16, [x16, offset]: pages from that of the adrp, then words in that page.
  std::array<std::uint32_t, 3> words{};
  std::memcpy(words.data(), code, sizeof words);
  if ((words[1] & 0x9f00001fU) != 0x90000010U || (words[2] & 0xffc003ffU) != 0xf9400210U) return nullptr;
  const auto pages =
      static_cast<std::int32_t>((words[1] >> 5U & 0x7ffffU) << 13U | (words[1] >> 29U & 3U) << 11U) >> 11;
  const auto page = reinterpret_cast<std::intptr_t>(code + 4) & ~std::intptr_t{0xfff};
  return reinterpret_cast<void* volatile*>(page + std::intptr_t{pages} * 4096 + (words[2] >> 10U & 0xfffU) * 8);
#endif
}
#endif

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
  auto* slot = slot_of(reinterpret_cast<const unsigned char*>(&mosquitto_lib_version));
  REQUIRE(slot != nullptr);
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
