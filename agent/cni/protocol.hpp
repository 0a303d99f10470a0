// The runtime's side of a plugin: what it asks by environment and standard input, and the forms of answers (CNI
// specification 1.1.0, sections 2 to 5). Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/cni/conflist.hpp"

namespace omnitide::cni {

enum class Command : std::uint8_t { add, del, check, version, gc, status };

// Error codes of the specification; those from 100 on are ours.
enum class ErrorCode : std::uint16_t {
  incompatible_version = 1,
  invalid_environment = 4,
  io_failure = 5,
  undecodable = 6,
  invalid_configuration = 7,
  not_available = 50,
  not_closed = 100,
};

struct Failure {
  ErrorCode code = ErrorCode::io_failure;
  std::string message, details{};
  std::string version{};  // of the specification; empty: the newest
};
template <class T>
using Outcome = boost::system::result<T, Failure>;
// Found by argument-dependent look-up when value() is called on a failed Outcome: a programming error.
[[noreturn]] void throw_exception_from_error(const Failure& failure, const boost::source_location& where);

// Variables of the environment, empty when they are not there.
struct Environment {
  std::string command, container, netns, interface, arguments;
};

struct Request {
  Command command = Command::version;
  std::string version;
  std::string container, netns, interface;
  std::string pod_space, pod_name, pod_uid;  // of CNI_ARGS; empty: the runtime speaks of no pod
  std::string previous;                      // prevResult as it was written; empty: none
  Settings settings;
};

[[nodiscard]] Outcome<Request> parse_request(const Environment& environment, std::string_view input);

// Addresses of the container's interface in a result, the first of each family, without their prefixes.
[[nodiscard]] std::vector<std::string> addresses_in(std::string_view result, std::string_view interface);

[[nodiscard]] std::string version_text(std::string_view asked);
[[nodiscard]] std::string failure_text(const Failure& failure);

}  // namespace omnitide::cni
