// Whether the agent is being taken away for good, as the cluster says it: the DaemonSet that runs it, and the namespace
// around it. Only that something which was there is there no more counts: a server that refuses or is silent says
// nothing of it.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent/base/error.hpp"
#include "agent/kubernetes/client.hpp"

namespace omnitide::daemon {

class RemovalWatch {
 public:
  // `daemon_set`: "NAMESPACE/NAME". `on_removal` is called on the loop with what holds now: true once it is deleted or
  // waits for its pods, false when it is there again. `client` outlives run().
  RemovalWatch(boost::asio::io_context& context, kubernetes::Client& client, const std::string& daemon_set,
               std::function<void(bool)> on_removal);
  ~RemovalWatch();
  RemovalWatch(const RemovalWatch&) = delete;
  RemovalWatch& operator=(const RemovalWatch&) = delete;

  // One for each object that is watched; each runs until stop() and the end of the client's connection.
  [[nodiscard]] std::vector<boost::asio::awaitable<void>> run();
  void stop();
  [[nodiscard]] std::optional<Error> problem() const;  // of the last request, when it failed

 private:
  class Watched;
  void note();

  std::vector<std::unique_ptr<Watched>> watched_;
  std::function<void(bool)> on_removal_;
};

}  // namespace omnitide::daemon
