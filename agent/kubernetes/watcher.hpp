// Follows one collection on a Client and tells a Receiver; a Reflector decides, this carries out.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "agent/kubernetes/reflector.hpp"

namespace omnitide::kubernetes {

// Whoever keeps the objects. All of it is called on the loop's thread, from Watcher::run().
class Receiver {
 public:
  virtual ~Receiver() = default;
  // A whole state follows: what is not put between here and whole() is gone. Until then what was there stays in force.
  // May be called again before whole(), when a state broke off: then it starts anew.
  virtual void begin() = 0;
  // An object is there, in its newest form. An error: it cannot be read; it is counted and passed over.
  [[nodiscard]] virtual Result<> put(std::string_view bytes, Encoding encoding) = 0;
  virtual void remove(const Name& name) = 0;
  virtual void whole() = 0;
};

struct Followed {  // counters since the start
  std::uint64_t lists = 0, streams = 0, events = 0, unreadable = 0, expired = 0;
  std::optional<Error> problem;     // of the last request, when it failed
  std::optional<SteadyTime> heard;  // when bytes of a watch came last, or a page
  bool has_state = false, lists_only = false;
};

class Watcher {
 public:
  struct Options {
    Resource resource;
    Scope scope{};
    Reflector::Limits limits{};
    std::string from{};  // see Reflector
  };
  // All of them outlive run().
  Watcher(boost::asio::io_context& context, Client& client, Receiver& receiver, Options options);
  ~Watcher();

  // Until stop(), which takes effect with the end of the request under way: Client::close() ends it at once.
  [[nodiscard]] boost::asio::awaitable<void> run();
  void stop();
  [[nodiscard]] const Followed& followed() const;
  [[nodiscard]] const std::string& resource_version() const;

 private:
  class Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace omnitide::kubernetes
