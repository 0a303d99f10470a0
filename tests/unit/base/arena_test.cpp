#include "agent/base/arena.hpp"

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "tests/harness/catch.hpp"

using omnitide::Arena;

TEST_CASE("what was copied into an arena stays in its place and whole while it grows") {
  Arena arena(64);
  std::vector<std::pair<std::string, std::string_view>> kept;
  for (int i = 0; i < 200; ++i) {
    std::string text(static_cast<std::size_t>(i % 90), static_cast<char>('a' + i % 26));
    kept.emplace_back(text, arena.copy(text));
  }
  for (const auto& [text, view] : kept)
    CHECK(view == text);
}

TEST_CASE("numbers in an arena are aligned") {
  Arena arena(100);
  for (int i = 0; i < 20; ++i) {
    (void)arena.copy(std::string_view("x"));
    const std::array<double, 2> values{1.5, static_cast<double>(i)};
    const std::span<double> copy = arena.copy(std::span<const double>(values));
    CHECK(reinterpret_cast<std::uintptr_t>(copy.data()) % alignof(double) == 0);
    CHECK(copy[1] == i);
  }
}

TEST_CASE("a cleared arena keeps its blocks, but not what was larger than one") {
  Arena arena(1024);
  (void)arena.copy(std::string(600, 'a'));
  (void)arena.copy(std::string(600, 'b'));
  const std::size_t usual = arena.memory();
  CHECK(usual == 2048);
  (void)arena.copy(std::string(100'000, 'c'));
  CHECK(arena.memory() > 100'000);
  arena.clear();
  CHECK(arena.memory() == usual);
  for (int round = 0; round < 10; ++round) {
    (void)arena.copy(std::string(600, 'a'));
    (void)arena.copy(std::string(600, 'b'));
    CHECK(arena.memory() == usual);
    arena.clear();
  }
  CHECK(arena.copy(std::string_view{}).empty());
}
