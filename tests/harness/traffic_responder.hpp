// Servers in any number of network namespaces, on one thread: each says who it is and whom it was asked by, then
// echoes.
//
// TCP: the greeting once a connection is there, then whatever comes. UDP: the greeting and what came, in one datagram.
// SCTP: an INIT is answered by an INIT ACK that carries the greeting. The greeting is "NAME CLIENT\n".
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "agent/base/fd.hpp"

namespace omnitide::test {

class Responder {
 public:
  Responder();
  Responder(const Responder&) = delete;
  Responder& operator=(const Responder&) = delete;
  ~Responder();

  // Makes the servers in the calling thread's namespace; SCTP is answered on every port.
  void serve(const std::string& name, const std::vector<std::uint16_t>& ports);
  // Closes them, and all connections that they have.
  void stop(const std::string& name);
  // Blocks until all that came before has been answered.
  void catch_up();

 private:
  enum class Kind : std::uint8_t { wake, listener, connection, udp, sctp4, sctp6 };
  struct Server {
    UniqueFd fd;
    Kind kind = Kind::connection;
    std::string name;
  };
  void add(UniqueFd fd, Kind kind, const std::string& name);
  void run();
  void answer(const Server& server);
  void accept_all(const Server& server);

  UniqueFd epoll_, wake_;
  std::mutex mutex_;  // guards servers_
  std::map<int, Server> servers_;
  std::atomic<std::uint64_t> rounds_ = 0;
  std::atomic<bool> ending_ = false;
  std::thread thread_;
};

}  // namespace omnitide::test
