// Result and Error: an expected failure is a value. A library returns it, each layer adds its context, the caller
// logs it once.
#pragma once

#include <boost/system/result.hpp>
#include <cstdint>
#include <string>
#include <string_view>

namespace omnitide {

// The canonical codes that gRPC and HTTP APIs share; `code_name` gives the upper-case word that API bodies carry.
enum class Code : std::uint8_t {
  invalid_argument,
  not_found,
  already_exists,
  permission_denied,
  unauthenticated,
  failed_precondition,
  resource_exhausted,
  aborted,
  unavailable,
  deadline_exceeded,
  data_loss,
  unimplemented,
  internal,
};

struct Error {
  Code code = Code::internal;
  std::string message;  // a sentence without a full stop
  std::string field;    // which input is wrong, empty when none
  std::string hint;     // what to do, empty when there is nothing useful to say

  // Puts `what` in front of the message: "cannot read X: no such file".
  [[nodiscard]] Error within(std::string_view what) &&;
  [[nodiscard]] Error with_hint(std::string text) &&;
  // "message (hint)", or the message alone.
  [[nodiscard]] std::string text() const;
};

template <class T = void>
using Result = boost::system::result<T, Error>;

// Found by argument-dependent look-up when value() is called on a failed Result: a programming error.
[[noreturn]] void throw_exception_from_error(const Error& error, const boost::source_location& where);

[[nodiscard]] Error fail(Code code, std::string message);
// From errno: EACCES and EPERM become permission_denied, ENOENT not_found, ENOSPC and EDQUOT resource_exhausted, ...
[[nodiscard]] Error fail_errno(int error_number, std::string what);

[[nodiscard]] std::string_view code_name(Code code);       // "NOT_FOUND"
[[nodiscard]] Code code_from_name(std::string_view name);  // internal when unknown
[[nodiscard]] unsigned http_status(Code code);             // 404
[[nodiscard]] Code code_from_http_status(unsigned status);
[[nodiscard]] int exit_code(Code code);  // ARCHITECTURE: 1, 2, 3 or 4

}  // namespace omnitide
