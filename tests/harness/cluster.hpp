// The real Kubernetes that tests/integration/cluster/run.sh has started: kubectl, its API server killed and started
// anew, its etcd compacted. The test runs in the control plane's network namespace.
#pragma once

#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "tests/harness/child.hpp"
#include "tests/harness/fixture.hpp"

namespace omnitide::test {

class Cluster {
 public:
  static constexpr const char* kHost = "172.30.0.1";
  static constexpr const char* kPort = "6443";

  Cluster() : script_(variable("OMNITIDE_CLUSTER")), run_(variable("OMNITIDE_CLUSTER_RUN")) {
    if (::access(admin().c_str(), R_OK) != 0) throw std::runtime_error("no cluster is up: ./dev test --cluster");
  }

  [[nodiscard]] std::string admin() const { return run_ + "/admin.conf"; }
  [[nodiscard]] std::string ca() const { return run_ + "/pki/ca.crt"; }
  [[nodiscard]] std::string ca_key() const { return run_ + "/pki/ca.key"; }
  [[nodiscard]] static std::string shared() { return variable("OMNITIDE_SHARED"); }
  [[nodiscard]] std::string path(const std::string& name) const { return tree_.path() + "/" + name; }

  // Throws with the program's words when it fails.
  std::string run(std::vector<std::string> words) const {
    const Answer answer = answer_of(words, path("words"));
    if (answer.code != 0) throw std::runtime_error(words[0] + " " + words.back() + ": " + answer.text);
    return answer.text;
  }
  std::string kubectl(std::vector<std::string> words) const {
    words.insert(words.begin(), {script_, "kubectl"});
    return run(std::move(words));
  }
  void apply(const std::string& yaml) {
    tree_.file("object.yaml", yaml);
    kubectl({"apply", "--server-side", "-f", path("object.yaml")});
  }
  TempTree& tree() { return tree_; }

  // kill -9, as a machine that is gone.
  void kill_apiserver() {
    const pid_t pid = static_cast<pid_t>(std::stol(read_text(pid_file())));
    if (started_with_.empty()) {
      std::string words = read_text("/proc/" + std::to_string(pid) + "/cmdline");
      for (std::size_t at = 0; at < words.size();) {
        const std::size_t end = words.find('\0', at);
        started_with_.push_back(words.substr(at, end - at));
        at = end + 1;
      }
    }
    if (started_with_.empty()) throw std::runtime_error("the API server does not run");
    ::kill(pid, SIGKILL);
    // Its last thread has let go of the port.
    while (!run({"ss", "-Hltn", "sport", "=", std::string(":") + kPort}).empty())
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  void start_apiserver(const std::vector<std::string>& more = {}) {
    std::vector<std::string> words{"bash",
                                   "-c",
                                   R"(log=$1 pid=$2; shift 2; setsid "$@" >>"$log" 2>&1 </dev/null & echo $! >"$pid")",
                                   "_",
                                   run_ + "/apiserver.log",
                                   pid_file()};
    words.insert(words.end(), started_with_.begin(), started_with_.end());
    words.insert(words.end(), more.begin(), more.end());
    run(words);
    const std::string url = std::string("https://") + kHost + ":" + kPort + "/readyz";
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::minutes(3);  // on a busy machine
    do {
      if (answer_of({"curl", "-sS", "--fail", "-m", "5", "--cacert", ca(), url}, path("words")).code == 0) return;
      std::this_thread::sleep_for(std::chrono::milliseconds(200));
    } while (std::chrono::steady_clock::now() < deadline);
    throw std::runtime_error("the API server does not come back: " + read_text(path("words")) + "\n" +
                             run({"tail", "-n", "5", run_ + "/apiserver.log"}));
  }
  void restart_apiserver(const std::vector<std::string>& more = {}) {
    kill_apiserver();
    start_apiserver(more);
  }

  // Everything before now is forgotten, as kube-apiserver has it done each five minutes.
  void compact() const {
    const std::string range = etcd("/v3/kv/range", R"({"key":"AA=="})");
    const std::string key = "\"revision\":\"";
    const std::size_t at = range.find(key);
    if (at == std::string::npos) throw std::runtime_error("etcd says: " + range);
    const std::string revision = range.substr(at + key.size(), range.find('"', at + key.size()) - at - key.size());
    (void)etcd("/v3/kv/compaction", R"({"physical":true,"revision":")" + revision + "\"}");
  }

 private:
  static std::string variable(const char* name) {
    const char* value = std::getenv(name);
    if (value == nullptr) throw std::runtime_error(std::string(name) + " is not set: run ./dev test --cluster");
    return value;
  }
  [[nodiscard]] std::string pid_file() const { return run_ + "/apiserver.pid"; }
  [[nodiscard]] std::string etcd(const std::string& path, const std::string& body) const {
    return run({"curl", "-sS", "--fail", "-d", body, "http://127.0.0.1:2379" + path});
  }

  std::string script_, run_;
  std::vector<std::string> started_with_;
  TempTree tree_;
};

}  // namespace omnitide::test
