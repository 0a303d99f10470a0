// A collection that a test follows on a real or a scripted API server, and what it was told.
#pragma once

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <string>
#include <utility>
#include <vector>

#include "agent/kubernetes/watcher.hpp"
#include "tests/harness/kubernetes_store.hpp"
#include "tests/harness/loop.hpp"

namespace omnitide::test {

template <class T>
class FollowedKind {
 public:
  FollowedKind(Loop& loop, kubernetes::Client& client, kubernetes::Watcher::Options options)
      : watcher(loop.context, client, store, std::move(options)), loop_(loop), client_(client) {
    boost::asio::co_spawn(
        loop.context,
        [this]() -> boost::asio::awaitable<void> {
          co_await watcher.run();
          done_ = true;
        },
        boost::asio::detached);
  }
  FollowedKind(const FollowedKind&) = delete;
  FollowedKind& operator=(const FollowedKind&) = delete;
  ~FollowedKind() {
    watcher.stop();
    client_.close();
    (void)loop_.until([this] { return done_; });
  }

  [[nodiscard]] bool was_told(const std::string& word) const {
    return std::find(told.begin(), told.end(), word) != told.end();
  }

  std::vector<std::string> told;  // "+name", "~name", "-name", "whole"
  KubernetesStore<T> store{{},
                           [this](const T* before, const T* after) {
                             told.push_back((before == nullptr  ? "+"
                                             : after == nullptr ? "-"
                                                                : "~") +
                                            (after != nullptr ? after : before)->meta.name.name);
                           },
                           [this] { told.emplace_back("whole"); }};
  kubernetes::Watcher watcher;

 private:
  Loop& loop_;
  kubernetes::Client& client_;
  bool done_ = false;
};

}  // namespace omnitide::test
