// Runs a program and keeps the beginning of what it says: no shell, a time-out that ends its whole process group, none
// of this process's descriptors, environment and capabilities.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "agent/base/error.hpp"
#include "agent/io/worker_pool.hpp"

namespace omnitide::io {

struct CommandOptions {
  std::vector<std::string>
      arguments;  // [0] is the program's absolute path, which only root may change (agent/base/trust.hpp)
  std::chrono::milliseconds timeout{5'000};
  std::size_t output = 4096;  // bytes of its standard output that are kept; the rest is read and thrown away
};

struct CommandEnd {
  bool timed_out = false;
  int status = 0;  // exit status; when it was ended by a signal: 128 and the signal's number
  std::string output;
};

// One command, run any number of times, one at a time. A run that was ended and still hangs in the kernel (a dead
// mount) keeps the next ones from beginning.
class Command {
 public:
  // Starting happens on `workers`: it may wait for a mount.
  Command(boost::asio::io_context& context, WorkerPool& workers);
  ~Command();
  Command(Command&&) noexcept;
  Command& operator=(Command&&) = delete;

  // An error: it could not be started. permission_denied: somebody else than root may change it.
  [[nodiscard]] boost::asio::awaitable<Result<CommandEnd>> run(CommandOptions options);
  void stop();  // ends the run under way, and every later one with Code::aborted

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace omnitide::io
