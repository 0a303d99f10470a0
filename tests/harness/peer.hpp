// prometheus-node-exporter on a loopback port, as its package installs it, and scrapes by curl.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "agent/base/fd.hpp"
#include "tests/harness/child.hpp"

namespace omnitide::test {

// A port of 127.0.0.1 that is free now.
inline std::uint16_t free_port() {
  const UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), size) != 0 ||
      ::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address), &size) != 0)
    throw std::runtime_error("no port is free");
  return ntohs(address.sin_port);
}

inline std::string scrape_text(std::uint16_t port, const std::string& scratch) {
  return answer_of({"curl", "-sS", "--max-time", "20", "http://127.0.0.1:" + std::to_string(port) + "/metrics"},
                   scratch)
      .text;
}

class Peer {
 public:
  Peer(const std::string& folder, std::vector<std::string> flags) : port_(free_port()), folder_(folder) {
    flags.insert(flags.begin(),
                 {"prometheus-node-exporter", "--web.listen-address=127.0.0.1:" + std::to_string(port_)});
    process_.emplace(std::move(flags), folder + "/peer.log");
    for (int i = 0; i < 500 && !text().starts_with("# HELP"); ++i) {
      if (process_->wait_for(std::chrono::milliseconds(20)))
        throw std::runtime_error("prometheus-node-exporter ended: " + read_text(folder + "/peer.log"));
    }
  }
  ~Peer() { (void)process_->end(SIGTERM); }
  Peer(const Peer&) = delete;
  Peer& operator=(const Peer&) = delete;

  [[nodiscard]] std::string text() const { return scrape_text(port_, folder_ + "/peer.txt"); }
  [[nodiscard]] pid_t pid() const { return process_->pid(); }

 private:
  std::uint16_t port_;
  std::string folder_;
  std::optional<Process> process_;
};

}  // namespace omnitide::test
