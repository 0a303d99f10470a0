// The one cluster of a test program: a thread of its own with the namespaces, which the tests' bodies run on.
#include <condition_variable>
#include <cstdlib>
#include <exception>
#include <functional>
#include <mutex>
#include <stdexcept>
#include <string_view>
#include <thread>

#include "tests/harness/private_bpffs.hpp"
#include "tests/harness/traffic_cluster.hpp"

namespace omnitide::test {

namespace {

Topology topology_of_environment() {
  const char* text = std::getenv("OMNITIDE_TOPOLOGY");
  const std::string_view name = text == nullptr ? "routed" : text;
  if (name == "routed") return Topology::routed;
  if (name == "bridge") return Topology::bridge;
  throw std::invalid_argument("OMNITIDE_TOPOLOGY is routed or bridge, not " + std::string(name));
}

class Shared {
 public:
  Shared() : thread_([this] { live(); }) {}
  Shared(const Shared&) = delete;
  Shared& operator=(const Shared&) = delete;
  ~Shared() {
    {
      const std::scoped_lock lock(mutex_);
      ending_ = true;
      changed_.notify_all();
    }
    thread_.join();
  }

  void run(const std::function<void(Cluster&)>& body) {
    std::unique_lock lock(mutex_);
    if (!broken_) {
      job_ = &body;
      changed_.notify_all();
      changed_.wait(lock, [this] { return job_ == nullptr || broken_; });
    }
    if (broken_) std::rethrow_exception(broken_);
    if (thrown_) std::rethrow_exception(std::exchange(thrown_, nullptr));
  }

 private:
  void live() {
    try {
      with_private_bpffs([this](const std::string& bpffs) {
        Cluster cluster(bpffs, topology_of_environment());
        serve(cluster);
      });
    } catch (...) {
      const std::scoped_lock lock(mutex_);
      broken_ = std::current_exception();
      changed_.notify_all();
    }
  }

  void serve(Cluster& cluster) {
    std::unique_lock lock(mutex_);
    while (true) {
      changed_.wait(lock, [this] { return job_ != nullptr || ending_; });
      if (ending_) return;
      lock.unlock();
      std::exception_ptr thrown;
      try {
        (*job_)(cluster);
      } catch (...) {
        thrown = std::current_exception();
      }
      cluster.reset();  // also after a failure; if that fails there is no cluster any more
      lock.lock();
      thrown_ = thrown;
      job_ = nullptr;
      changed_.notify_all();
    }
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  const std::function<void(Cluster&)>* job_ = nullptr;
  std::exception_ptr thrown_, broken_;
  bool ending_ = false;
  std::thread thread_;
};

}  // namespace

void with_cluster(const std::function<void(Cluster&)>& body) {
  static Shared shared;
  shared.run(body);
}

}  // namespace omnitide::test
