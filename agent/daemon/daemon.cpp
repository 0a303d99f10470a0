#include "agent/daemon/daemon.hpp"

#include <fmt/format.h>
#include <malloc.h>
#include <signal.h>
#include <unistd.h>

#include <cstdlib>

#include "agent/base/file.hpp"
#include "agent/base/version.hpp"
#include "agent/daemon/agent.hpp"
#include "agent/daemon/run_lock.hpp"

namespace omnitide::daemon {

namespace {

int give_up(const Error& error) {
  if (error.hint.empty()) {
    log::error(log::Part::agent, error.message);
  } else {
    log::error(log::Part::agent, error.message, {{"hint", error.hint}});
  }
  return exit_code(error.code);
}

// What a folder is for and how to choose another one; an error that says what to do says it better.
Error about_folder(Error error, std::string_view key, std::string_view flag) {
  if (!error.hint.empty()) return error;
  return std::move(error).within(key).with_hint(
      fmt::format("name a folder that this user can make and write: {} in the configuration or {} DIR", key, flag));
}

void bound_memory() {
  // One arena for all threads, and what is free goes back: the agent is small for months, not only at its start.
  ::mallopt(M_ARENA_MAX, 1);
  ::mallopt(M_TRIM_THRESHOLD, 128 * 1024);
  ::mallopt(M_MMAP_THRESHOLD, 256 * 1024);
}

}  // namespace

int run(const config::LoadOptions& options, config::Loaded loaded) {
  const SteadyTime started = std::chrono::steady_clock::now();
  bound_memory();
  ::signal(SIGPIPE, SIG_IGN);
  const auto ring = std::make_shared<EventRing>();
  log::set_sink(make_sink({.format = loaded.config.log.format,
                           .descriptor = STDERR_FILENO,
                           .journal_stream = std::getenv("JOURNAL_STREAM"),
                           .colors_wanted = std::getenv("NO_COLOR") == nullptr},
                          ring));
  for (const std::string& warning : loaded.warnings)
    log::warning(log::Part::config, warning);
  const Result<UniqueFd> lock = take_run_lock(loaded.config.paths.run_dir);
  if (lock.has_error()) return give_up(about_folder(lock.error(), "paths.run_dir", "--run-dir"));
  const std::string& state_dir = loaded.config.paths.state_dir;
  if (const Result<> made = make_folders(state_dir, 0750); made.has_error())
    return give_up(about_folder(made.error(), "paths.state_dir", "--state-dir"));
  note_run_dir(state_dir, loaded.config.paths.run_dir);
  log::info(log::Part::agent, fmt::format("omnitide-agent {} starting", version()),
            {{"pid", std::to_string(::getpid())}});
  {
    Agent agent(options, std::move(loaded.config), ring, started);
    if (const Result<> up = agent.start(); up.has_error()) return give_up(up.error());
    agent.run();
  }
  log::info(log::Part::agent, "stopped");
  log::set_sink([](const log::Line&) {});
  return 0;
}

}  // namespace omnitide::daemon
