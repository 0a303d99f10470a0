// The registry as a child process, and what a process costs.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "agent/base/error.hpp"
#include "agent/base/fd.hpp"

namespace omnitide::bench {

struct ProcessUse {
  std::uint64_t rss_bytes = 0, pss_bytes = 0;  // smaps_rollup
  std::uint64_t peak_bytes = 0;                // VmHWM
  double cpu_seconds = 0;                      // user and system, all threads
};
[[nodiscard]] Result<ProcessUse> use_of(pid_t pid);

class RegistryProcess {
 public:
  // `program` is the path of omnitide-registry; its log goes to `dir`/registry.log.
  RegistryProcess(std::string program, std::string dir) : program_(std::move(program)), dir_(std::move(dir)) {}
  ~RegistryProcess() { kill(); }
  RegistryProcess(const RegistryProcess&) = delete;
  RegistryProcess& operator=(const RegistryProcess&) = delete;

  // `init`, and a join token for so many uses.
  [[nodiscard]] Result<std::string> prepare(unsigned uses);
  // The port is the kernel's choice the first time and stays.
  [[nodiscard]] Result<> launch(std::chrono::seconds heartbeat_interval);
  // Whether it listens by now, after waiting at most so long; an error when it ended instead.
  [[nodiscard]] Result<bool> listening(std::chrono::milliseconds wait);
  // Launches it and waits until it listens.
  [[nodiscard]] Result<> start(std::chrono::seconds heartbeat_interval);
  void kill();                      // SIGKILL, and waits
  [[nodiscard]] Result<> finish();  // SIGTERM; an error when it does not end well within 30 s
  [[nodiscard]] pid_t pid() const { return pid_; }
  [[nodiscard]] std::uint16_t port() const { return port_; }
  [[nodiscard]] std::string folder() const { return dir_ + "/registry"; }

 private:
  [[nodiscard]] Result<> spawn(const std::vector<std::string>& arguments, bool keep_output);
  [[nodiscard]] Result<int> wait(std::chrono::seconds limit);
  [[nodiscard]] Result<> run(const std::vector<std::string>& arguments);

  std::string program_, dir_;
  pid_t pid_ = -1;
  std::uint16_t port_ = 0;
  UniqueFd output_;
  std::string said_;  // by the registry on its standard output
  bool listening_ = false;
};

}  // namespace omnitide::bench
