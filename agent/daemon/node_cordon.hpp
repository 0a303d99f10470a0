// Keeps the node from new work while that is wanted and the fleet has a slot for it, and undoes it afterwards. What is
// on the Node and in the slots' Leases is read before each step: no memory of what was done is needed but `done`.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "agent/base/backoff.hpp"
#include "agent/base/clock.hpp"
#include "agent/kubernetes/client.hpp"
#include "agent/kubernetes/cordon.hpp"
#include "agent/kubernetes/slot.hpp"

namespace omnitide::daemon {

class NodeCordon {
 public:
  struct Hooks {
    std::function<void(bool)> cordoned;            // it is for this wish, or the fleet took it back (false)
    std::function<void(std::string reason)> held;  // why it is not, each reason once
    std::function<void()> on_change;               // problem() is another
  };
  // `client` outlives run(). Slots are Leases in the client's own namespace.
  NodeCordon(boost::asio::io_context& context, kubernetes::Client& client, std::string node, std::uint32_t slots,
             Hooks hooks);

  [[nodiscard]] boost::asio::awaitable<void> run();  // until stop()
  void stop();
  // Empty: not any more. `done`: it was cordoned for this before; who undid it since has the last word.
  void want(const std::string& condition, bool done);
  // The agent goes: as if nothing were wanted.
  void leave(bool leave);
  [[nodiscard]] bool left() const { return leaving_ && clean_; }
  [[nodiscard]] bool holds_slot() const { return !slot_.empty(); }
  [[nodiscard]] const std::string& problem() const { return problem_; }

 private:
  using Fault = kubernetes::Fault;
  enum class Said : std::uint8_t { no, yes };  // a result of bool takes no bool
  template <class T>
  using Answer = boost::system::result<T, Fault>;
  template <class T>
  using Task = boost::asio::awaitable<Answer<T>>;

  [[nodiscard]] Task<Said> step();  // yes: there is nothing more to do for now
  [[nodiscard]] Task<Said> keep_from_work(std::string condition);
  [[nodiscard]] Task<Said> let_go();
  [[nodiscard]] Task<Said> hold_slot();
  [[nodiscard]] Task<Said> take_slot(kubernetes::Slot slot, std::string holder);  // no: somebody was faster
  [[nodiscard]] Task<Said> give_slots_back();
  [[nodiscard]] Task<kubernetes::Slot> slot(std::uint32_t index);
  [[nodiscard]] Task<kubernetes::CordonMarks> marks();
  [[nodiscard]] Task<Said> mark(std::string patch);
  [[nodiscard]] Task<std::string> ask(std::string method, std::string path, std::string content_type, std::string body);
  void say_held(const std::string& reason);
  void wake(SteadyTime at);

  kubernetes::Client& client_;
  std::string node_;
  std::uint32_t slots_;
  Hooks hooks_;
  boost::asio::steady_timer timer_;
  Backoff backoff_;
  kubernetes::SlotWatch watch_;
  SteadyTime due_{};
  std::string wanted_, slot_, held_, problem_;  // slot_: the one that is held; held_: the reason that was said
  bool done_ = false, given_up_ = false, leaving_ = false, clean_ = false, stopping_ = false;
};

}  // namespace omnitide::daemon
