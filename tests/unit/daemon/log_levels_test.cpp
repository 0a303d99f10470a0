#include "agent/daemon/log_levels.hpp"

#include "tests/harness/catch.hpp"

using namespace omnitide;
using namespace std::chrono_literals;
using daemon::LogLevels;
using log::Level;
using log::Part;

namespace {

config::LogConfig all_at(Level level) {
  config::LogConfig out;
  out.level = level;
  out.levels.fill(level);
  return out;
}

}  // namespace

TEST_CASE("a level set for a while survives a reload until its time, then the reloaded level holds") {
  boost::asio::io_context context(1);
  LogLevels levels(context);
  levels.configure(all_at(Level::info));
  levels.set(Part::http, Level::debug, 1s);
  levels.set(Part::registry, Level::debug, 0s);
  levels.configure(all_at(Level::warning));
  CHECK(log::level(Part::http) == Level::debug);
  CHECK(log::level(Part::registry) == Level::warning);  // had no time of its own
  CHECK(log::level(Part::agent) == Level::warning);
  context.run_for(1500ms);
  CHECK(log::level(Part::http) == Level::warning);
  levels.configure(all_at(Level::error));  // nothing of it is left
  CHECK(log::level(Part::http) == Level::error);
  levels.configure(all_at(Level::info));
}

TEST_CASE("a level set anew takes the place of the one before, with its time") {
  boost::asio::io_context context(1);
  LogLevels levels(context);
  levels.configure(all_at(Level::info));
  levels.set(Part::http, Level::debug, 1s);
  levels.set(Part::http, Level::error, 0s);
  context.run_for(1500ms);
  CHECK(log::level(Part::http) == Level::error);
  levels.configure(all_at(Level::info));
  CHECK(log::level(Part::http) == Level::info);
}
