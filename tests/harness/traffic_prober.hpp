// Traffic without an end: what must pass, each loss counted, and what must never pass, each arrival counted.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <thread>
#include <vector>

#include "tests/harness/traffic_probe.hpp"

namespace omnitide::test {

struct ProberCounts {
  std::uint64_t answered = 0;  // packets or connections that came back
  std::uint64_t lost = 0;      // that did not
  std::uint64_t sent = 0;      // of what must never pass
  std::uint64_t leaked = 0;    // that somebody answered
};

// One thread for each kind of traffic; counting begins at once and ends with stop(). Probes are those of Cluster.
class Prober {
 public:
  Prober() = default;
  Prober(const Prober&) = delete;
  Prober& operator=(const Prober&) = delete;
  ~Prober() { (void)stop(); }

  void udp_stream(const Probe& to);  // one flow, some thousand datagrams a second, at most 16 under way
  void tcp_stream(const Probe& to);  // one connection, a question after the other
  void new_flows(const Probe& to);   // a new socket for each question
  void never(const Probe& to);       // new UDP or TCP attempts that nobody may answer
  // Blocks until all kinds have begun. Throws when one does not.
  void wait_until_begun();
  [[nodiscard]] ProberCounts stop();

 private:
  template <class Body>
  void start(Body body);

  std::atomic<bool> ending_ = false;
  std::atomic<std::size_t> begun_ = 0;
  std::atomic<std::uint64_t> answered_ = 0, lost_ = 0, sent_ = 0, leaked_ = 0;
  std::vector<std::thread> threads_;
};

}  // namespace omnitide::test
