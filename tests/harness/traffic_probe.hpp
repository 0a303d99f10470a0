// Questions put by real packets, all at once: who answers at an address and port, as seen from a namespace.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "agent/policy/objects.hpp"
#include "tests/harness/links.hpp"
#include "tests/harness/traffic_responder.hpp"
#include "tests/harness/traffic_sockets.hpp"

namespace omnitide::test {

struct Probe {
  const PodNamespace* from = nullptr;  // null: the calling thread's namespace
  Address source;                      // all zero: the kernel's choice
  Address destination;
  policy::Protocol protocol = policy::Protocol::tcp;  // icmp: echo, of the address's family
  std::uint16_t port = 0;
  bool hopeful = true;    // an answer is expected, so it is waited for
  std::size_t bytes = 1;  // of a datagram
};

struct Answer {
  bool reached = false;
  std::string server, client;  // who answered, and by which address it knows the asker; not of ICMP
  std::string how;             // "answered", "no answer", or the error of the socket
};

// Opens one socket for each probe and waits: for the hopeful ones until they have an answer, at most kPatience; for the
// others as long as packets take, and until `responder` has caught up.
[[nodiscard]] std::vector<Answer> ask(const std::vector<Probe>& probes, Responder& responder);

// "NAME CLIENT\n..." into an answer.
void read_greeting(std::string_view text, Answer& answer);

}  // namespace omnitide::test
