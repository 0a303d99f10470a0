// What is said of policy objects of the API server that are refused or only partly meant here: an Event, and where the
// kind has a status the condition omnitide.io/Accepted. Every node of the cluster finds the same: the Event has a name
// that they agree on, the condition is looked at first, and the first one writes them.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <deque>
#include <functional>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>

#include "agent/base/log.hpp"
#include "agent/kubernetes/client.hpp"
#include "agent/kubernetes/event_recorder.hpp"
#include "agent/policy/parse.hpp"

namespace omnitide::daemon {

struct PolicyObject {
  kubernetes::Resource resource;
  kubernetes::Name name;
  std::string_view kind;
  bool has_status = false;
};
// Of "kubernetes:NetworkPolicy/shop/web"; nothing: it is no policy of the API server's.
[[nodiscard]] std::optional<PolicyObject> policy_object(std::string_view source);

class PolicyEvents {
 public:
  static constexpr std::size_t kMostWaiting = 256, kMostTold = 4096;
  // `record` takes what is to be told. `client` outlives run().
  PolicyEvents(boost::asio::io_context& context, kubernetes::Client& client,
               std::function<void(kubernetes::EventNote)> record);
  [[nodiscard]] boost::asio::awaitable<void> run();  // until stop()
  void stop();
  // All faults that there are now; those that were told before are not told again while they last.
  void tell(std::span<const policy::Fault> faults);

 private:
  struct Item {
    policy::Fault fault;  // of one that is mended: its source alone
    bool mended = false;
  };
  [[nodiscard]] boost::asio::awaitable<void> one(Item item);

  kubernetes::Client& client_;
  std::function<void(kubernetes::EventNote)> record_;
  boost::asio::steady_timer timer_;
  std::set<std::string> told_;     // source and text
  std::set<std::string> refused_;  // sources
  std::deque<Item> waiting_;
  log::Throttle problem_{std::chrono::minutes(10)};
  bool stopping_ = false;
};

}  // namespace omnitide::daemon
