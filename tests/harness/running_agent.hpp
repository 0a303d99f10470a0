// omnitide-agent with folders of its own and its HTTP endpoint on a free port of loopback.
#pragma once

#include <signal.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "tests/harness/child.hpp"
#include "tests/harness/peer.hpp"

namespace omnitide::test {

class RunningAgent {
 public:
  // `extra`: lines of YAML behind the agent's own. Its files go below `folder`.
  explicit RunningAgent(const std::string& folder, const std::string& extra) : port_(free_port()), folder_(folder) {
    for (const char* name : {"/state", "/run", "/none"})
      std::filesystem::create_directories(folder + name);
    std::ofstream(folder + "/agent.yaml") << "paths: {state_dir: " << folder << "/state, run_dir: " << folder
                                          << "/run}\nhttp: {listen: \"127.0.0.1:" << port_ << "\"}\n"
                                          << extra;
    process_.emplace(std::vector<std::string>{std::string(OMNITIDE_PROGRAMS) + "/omnitide-agent", "run", "--config-dir",
                                              folder + "/none", "--config", folder + "/agent.yaml"},
                     folder + "/agent.log");
    for (int i = 0; i < 500 && !text().starts_with("# "); ++i) {
      if (process_->wait_for(std::chrono::milliseconds(20)))
        throw std::runtime_error("the agent ended: " + read_text(folder + "/agent.log"));
    }
  }
  ~RunningAgent() { (void)process_->end(SIGTERM); }
  RunningAgent(const RunningAgent&) = delete;
  RunningAgent& operator=(const RunningAgent&) = delete;

  [[nodiscard]] std::string text() const { return scrape_text(port_, folder_ + "/agent.txt"); }
  [[nodiscard]] std::string url() const { return "http://127.0.0.1:" + std::to_string(port_) + "/metrics"; }
  [[nodiscard]] pid_t pid() const { return process_->pid(); }
  // Proportional set size, in KiB.
  [[nodiscard]] std::uint64_t pss() const {
    std::ifstream file("/proc/" + std::to_string(pid()) + "/smaps_rollup");
    for (std::string line; std::getline(file, line);)
      if (line.starts_with("Pss:")) return std::stoull(line.substr(4));
    return 0;
  }

 private:
  std::uint16_t port_;
  std::string folder_;
  std::optional<Process> process_;
};

}  // namespace omnitide::test
