// Old files below a folder are removed, and nothing else is.
#include "health/maintenance/clean.hpp"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <exception>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>
#include <thread>

#include "tests/harness/catch.hpp"
#include "tests/harness/fixture.hpp"

using namespace omnitide;
using namespace std::chrono_literals;
namespace fs = std::filesystem;
using health::Cleaned;

namespace {

// The change time of an inode cannot be set: files are as old as this test says that it is later.
const std::chrono::milliseconds kAge = 24h;
WallTime later() { return wall_now() + kAge + 1h; }

Cleaned cleaned(const std::string& path, WallTime now = later(), const health::CleanBounds& bounds = {}) {
  const Result<Cleaned> out = health::clean(path, kAge, now, bounds);
  REQUIRE(out);
  return *out;
}

}  // namespace

TEST_CASE("files that are old go, at any depth; folders, links and what they show stay") {
  test::TempTree tree;
  tree.file("a/old", "x").file("a/b/c/old", std::string(10'000, 'x')).file("elsewhere/kept", "x").folder("a/empty");
  const std::string top = tree.path() + "/a";
  fs::create_symlink(tree.path() + "/elsewhere", top + "/link");
  fs::create_symlink(tree.path() + "/elsewhere/kept", top + "/b/filelink");
  fs::create_hard_link(tree.path() + "/elsewhere/kept", top + "/second-name");
  REQUIRE(::mkfifo((top + "/fifo").c_str(), 0600) == 0);
  const Cleaned done = cleaned(top);
  CHECK(done.removed == 2);
  CHECK(done.bytes >= 10'000);
  CHECK(done.failed == 0);
  CHECK(done.complete);
  CHECK_FALSE(fs::exists(top + "/old"));
  CHECK_FALSE(fs::exists(top + "/b/c/old"));
  for (const char* kept : {"/empty", "/b/c", "/link", "/b/filelink", "/second-name", "/fifo"})
    CHECK(fs::exists(fs::symlink_status(top + kept)));
  CHECK(fs::exists(tree.path() + "/elsewhere/kept"));
}

TEST_CASE("what is young stays: by its content, and by its inode though its content looks old") {
  test::TempTree tree;
  tree.file("young", "x").file("unpacked", "x");
  fs::last_write_time(tree.path() + "/unpacked", fs::file_time_type::clock::now() - 10'000h);
  CHECK(cleaned(tree.path(), wall_now()).removed == 0);
  CHECK(cleaned(tree.path(), wall_now() + kAge - 1min).removed == 0);
  fs::last_write_time(tree.path() + "/young", fs::file_time_type::clock::now() + 48h);
  CHECK(cleaned(tree.path()).removed == 1);
  CHECK(fs::exists(tree.path() + "/young"));
}

TEST_CASE("a folder that is a link, or is reached by one, is refused") {
  test::TempTree tree;
  tree.file("real/below/old", "x");
  fs::create_directory_symlink(tree.path() + "/real", tree.path() + "/link");
  CHECK(health::clean(tree.path() + "/link", kAge, later()).error().code == Code::failed_precondition);
  CHECK(health::clean(tree.path() + "/link/below", kAge, later()).error().code == Code::failed_precondition);
  CHECK(health::clean(tree.path() + "/nothing", kAge, later()).error().code == Code::not_found);
  CHECK(fs::exists(tree.path() + "/real/below/old"));
}

TEST_CASE("bounds end the work, and it says so") {
  test::TempTree tree;
  for (int i = 0; i < 50; ++i)
    tree.file("f" + std::to_string(i), "x");
  health::CleanBounds bounds;
  bounds.removals = 10;
  Cleaned done = cleaned(tree.path(), later(), bounds);
  CHECK((done.removed == 10 && !done.complete));
  bounds = {};
  bounds.entries = 5;
  done = cleaned(tree.path(), later(), bounds);
  CHECK((done.entries == 5 && !done.complete));
  bounds = {};
  bounds.time = 0ms;
  done = cleaned(tree.path(), later(), bounds);
  CHECK((done.removed == 0 && !done.complete));
  tree.file("1/2/3/deep", "x");
  bounds = {};
  bounds.depth = 2;
  done = cleaned(tree.path(), later(), bounds);
  CHECK((fs::exists(tree.path() + "/1/2/3/deep") && !done.complete));
  CHECK(cleaned(tree.path()).removed == 1);
}

// Needs root: mounts, in a namespace that goes with its thread.
TEST_CASE("another filesystem, and the same one mounted below, are not entered") {
  test::TempTree tree;
  tree.file("top/old", "x").file("other/old", "x").folder("top/tmpfs").folder("top/bound");
  std::exception_ptr thrown;
  std::thread([&tree, &thrown] {
    try {
      const auto need = [](bool good, const char* what) {
        if (!good)
          throw std::runtime_error(std::string("root is needed: cannot ") + what + ": " + std::strerror(errno));
      };
      need(::unshare(CLONE_NEWNS) == 0, "make a mount namespace");
      need(::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0, "make mounts private");
      const std::string top = tree.path() + "/top";
      need(::mount("none", (top + "/tmpfs").c_str(), "tmpfs", 0, "size=1m") == 0, "mount a tmpfs");
      need(::mount((tree.path() + "/other").c_str(), (top + "/bound").c_str(), nullptr, MS_BIND, nullptr) == 0, "bind");
      std::ofstream(top + "/tmpfs/old") << "x";
      const Result<Cleaned> done = health::clean(top, kAge, later());
      const bool kept = fs::exists(top + "/tmpfs/old") && fs::exists(top + "/bound/old") && !fs::exists(top + "/old");
      if (!done || done->removed != 1 || !kept) throw std::runtime_error("a mount was entered");
    } catch (...) {
      thrown = std::current_exception();
    }
  }).join();
  REQUIRE_FALSE(thrown);
  CHECK(fs::exists(tree.path() + "/other/old"));
}
