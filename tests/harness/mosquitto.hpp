// Debian's mosquitto on a loopback port, with a configuration of the test's, ended by its process id.
#pragma once

#include <signal.h>

#include <chrono>
#include <cstdint>
#include <fstream>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "agent/base/fd.hpp"
#include "tests/harness/child.hpp"
#include "tests/harness/peer.hpp"
#include "tests/harness/tcp.hpp"

namespace omnitide::test {

class Mosquitto {
 public:
  // `lines` follow the listener: TLS, PSK, password file, limits. None: anonymous and plain. The folder keeps the
  // configuration, the log and, with "persistence true", what must survive a restart.
  explicit Mosquitto(std::string folder, std::string lines = "allow_anonymous true\n")
      : folder_(std::move(folder)), port_(free_port()) {
    // Root is given up for an account of its own otherwise, which cannot read the test's folder.
    std::ofstream(folder_ + "/mosquitto.conf") << "user root\nlistener " << port_ << " 127.0.0.1\n"
                                               << "persistence_location " << folder_ << "/\n"
                                               << lines;
    start();
  }
  ~Mosquitto() { stop(); }
  Mosquitto(const Mosquitto&) = delete;
  Mosquitto& operator=(const Mosquitto&) = delete;

  void start() {
    process_.emplace(std::vector<std::string>{"mosquitto", "-c", folder_ + "/mosquitto.conf"}, log());
    for (int i = 0; i < 1'000; ++i) {
      const UniqueFd fd(connected_socket("127.0.0.1", port_));
      if (fd) return;
      if (process_->wait_for(std::chrono::milliseconds(10)))
        throw std::runtime_error("mosquitto ended: " + read_text(log()));
    }
    throw std::runtime_error("mosquitto is not ready: " + read_text(log()));
  }
  // SIGTERM writes what persistence keeps; SIGKILL loses it.
  void stop(int signal_number = SIGTERM) {
    if (process_) (void)process_->end(signal_number);
    process_.reset();
  }

  [[nodiscard]] std::uint16_t port() const { return port_; }
  [[nodiscard]] std::string log() const { return folder_ + "/mosquitto.log"; }
  [[nodiscard]] pid_t pid() const { return process_ ? process_->pid() : -1; }

 private:
  std::string folder_;
  std::uint16_t port_;
  std::optional<Process> process_;
};

// mosquitto_sub beside the test: an independent reader of all that a broker passes on, a line a message:
// "TOPIC QOS RETAIN HEX".
class Subscriber {
 public:
  // `session`: a client id whose session the broker keeps while the reader or itself is away.
  Subscriber(const std::string& folder, std::uint16_t port, const std::string& filter = "#",
             const std::string& session = {})
      : path_(folder + "/subscriber.txt"), process_(words(port, filter, session), path_) {
    for (int i = 0; i < 200 && read_text(path_).find("omnitide-test/ready") == std::string::npos; ++i) {
      (void)answer_of(
          {"mosquitto_pub", "-h", "127.0.0.1", "-p", std::to_string(port), "-t", "omnitide-test/ready", "-m", "1"},
          folder + "/ready.txt");
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
  }
  ~Subscriber() { (void)process_.end(SIGTERM); }
  Subscriber(const Subscriber&) = delete;
  Subscriber& operator=(const Subscriber&) = delete;

  [[nodiscard]] std::string text() const { return read_text(path_); }

 private:
  static std::vector<std::string> words(std::uint16_t port, const std::string& filter, const std::string& session) {
    std::vector<std::string> out{
        "mosquitto_sub", "-h", "127.0.0.1",           "-p", std::to_string(port), "-q", "1", "-t",
        filter,          "-t", "omnitide-test/ready", "-F", "%t %q %r %x"};
    if (!session.empty()) out.insert(out.end(), {"-c", "-i", session});
    return out;
  }
  std::string path_;
  Process process_;
};

}  // namespace omnitide::test
