// omnitide-agent as its user runs it, enforcing on a node of its own: its folders, its cgroup, the BPF file system and
// the namespaces of the thread. OMNITIDE_PROGRAMS says where the program is.
#pragma once

#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <functional>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "ebpf/enforcement/enforcement.hpp"
#include "tests/harness/child.hpp"
#include "tests/harness/links.hpp"

namespace omnitide::test {

inline void write_text(const std::string& path, const std::string& text) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file << text;
  if (!file.flush()) throw std::runtime_error("cannot write " + path);
}

// Until `done` says so; false when it took longer.
inline bool eventually(std::chrono::milliseconds longest, const std::function<bool()>& done) {
  const auto deadline = std::chrono::steady_clock::now() + longest;
  while (!done()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return true;
}

class AgentNode {
 public:
  // `limits`: settings below policy.limits, e.g. "deny: 100".
  explicit AgentNode(const std::string& bpffs, const std::vector<std::string>& limits = {}) {
    if (::mkdtemp(folder_.data()) == nullptr) throw std::runtime_error("cannot make a folder");
    options_.pins = bpffs + "/omnitide";
    for (const char* root : {"/sys/fs/cgroup/unified", "/sys/fs/cgroup"}) {
      options_.cgroup = std::string(root) + "/omnitide-agent-" + std::to_string(::getpid());
      if (::mkdir(options_.cgroup.c_str(), 0755) == 0) break;
      options_.cgroup.clear();
    }
    if (options_.cgroup.empty()) throw std::runtime_error("cannot make a cgroup (root and cgroup v2 are needed)");
    set_up(1);
    for (const char* name : {"state", "run", "none", "policies", "aside"})
      std::filesystem::create_directory(path(name));
    std::string config =
        "node: {name: node-a}\npaths: {state_dir: " + path("state") + ", run_dir: " + path("run") +
        "}\nhttp: {listen: 127.0.0.1:9797}\npolicy:\n  mode: enforce\n  directory: " + path("policies") +
        "\n  pin_dir: " + options_.pins + "\n  cgroup_root: " + options_.cgroup + "\n";

    for (const std::string& line : limits)
      config += "  limits." + line + "\n";
    write_text(path("agent.yaml"), config);
  }
  AgentNode(const AgentNode&) = delete;
  AgentNode& operator=(const AgentNode&) = delete;
  ~AgentNode() {
    process_.reset();
    (void)enforcement::Enforcement::remove(options_);
    ::rmdir(options_.cgroup.c_str());
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }

  [[nodiscard]] std::string path(const std::string& name) const { return folder_ + "/" + name; }
  [[nodiscard]] std::string log() const { return read_text(path("log")); }

  // A policy file, whole from one moment to the next.
  void put(const std::string& name, const std::string& text) const {
    write_text(path("aside/" + name), text);
    std::filesystem::rename(path("aside/" + name), path("policies/" + name));
  }
  void take_away(const std::string& name) const { std::filesystem::remove(path("policies/" + name)); }

  void start() {
    process_.emplace(
        std::vector<std::string>{program(), "run", "--config-dir", path("none"), "--config", path("agent.yaml")},
        path("log"));
  }
  int end(int signal_number) {
    const int code = process_->end(signal_number);
    process_.reset();
    return code;
  }
  [[nodiscard]] pid_t pid() const { return process_->pid(); }

  // A command of the program that asks the agent, with all that it says.
  [[nodiscard]] Answer ask(std::vector<std::string> words) const {
    words.insert(words.begin(), program());
    words.insert(words.end(), {"--run-dir", path("run")});
    return answer_of(words, path("answer"));
  }
  [[nodiscard]] Answer detach() const {
    return answer_of({program(), "policy", "detach", "--config-dir", path("none"), "--config", path("agent.yaml")},
                     path("answer"));
  }
  // Whether all that is on disk is enforced, in time.
  [[nodiscard]] bool enforces(std::chrono::seconds longest) const {
    return eventually(longest, [this] { return ask({"policy", "wait", "--timeout", "1s"}).code == 0; });
  }
  // What the agent tells Prometheus.
  [[nodiscard]] std::string metrics() const {
    return answer_of({"curl", "-sS", "--max-time", "5", "http://127.0.0.1:9797/metrics"}, path("answer")).text;
  }
  [[nodiscard]] const enforcement::Options& options() const { return options_; }

 private:
  static std::string program() { return std::string(OMNITIDE_PROGRAMS) + "/omnitide-agent"; }

  std::string folder_ = "/tmp/omnitide-agent-node-XXXXXX";
  enforcement::Options options_;
  std::optional<Process> process_;
};

}  // namespace omnitide::test
