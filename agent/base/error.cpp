#include "agent/base/error.hpp"

#include <array>
#include <cerrno>
#include <stdexcept>
#include <system_error>
#include <utility>

namespace omnitide {

namespace {

struct CodeRow {
  Code code;
  std::string_view name;
  unsigned http;
  int exit;
};

constexpr std::array<CodeRow, 13> kCodes{{
    {Code::invalid_argument, "INVALID_ARGUMENT", 400, 2},
    {Code::not_found, "NOT_FOUND", 404, 1},
    {Code::already_exists, "ALREADY_EXISTS", 409, 1},
    {Code::permission_denied, "PERMISSION_DENIED", 403, 4},
    {Code::unauthenticated, "UNAUTHENTICATED", 401, 4},
    {Code::failed_precondition, "FAILED_PRECONDITION", 412, 1},
    {Code::resource_exhausted, "RESOURCE_EXHAUSTED", 429, 1},
    {Code::aborted, "ABORTED", 409, 1},
    {Code::unavailable, "UNAVAILABLE", 503, 3},
    {Code::deadline_exceeded, "DEADLINE_EXCEEDED", 504, 3},
    {Code::data_loss, "DATA_LOSS", 500, 1},
    {Code::unimplemented, "UNIMPLEMENTED", 501, 1},
    {Code::internal, "INTERNAL", 500, 1},
}};

const CodeRow& row(Code code) {
  for (const CodeRow& candidate : kCodes) {
    if (candidate.code == code) return candidate;
  }
  return kCodes.back();
}

}  // namespace

Error Error::within(std::string_view what) && {
  message.insert(0, std::string(what) + ": ");
  return std::move(*this);
}

Error Error::with_hint(std::string text) && {
  hint = std::move(text);
  return std::move(*this);
}

std::string Error::text() const { return hint.empty() ? message : message + " (" + hint + ")"; }

void throw_exception_from_error(const Error& error, const boost::source_location& /*where*/) {
  throw std::logic_error("value of a failed result: " + error.message);
}

Error fail(Code code, std::string message) {
  return Error{.code = code, .message = std::move(message), .field = {}, .hint = {}};
}

Error fail_errno(int error_number, std::string what) {
  Code code = Code::internal;
  switch (error_number) {
    case EACCES:
    case EPERM:
    case EROFS: code = Code::permission_denied; break;
    case ENOENT:
    case ENODEV:
    case ENXIO: code = Code::not_found; break;
    case EEXIST: code = Code::already_exists; break;
    case ENOSPC:
    case EDQUOT:
    case EMFILE:
    case ENFILE:
    case ENOMEM: code = Code::resource_exhausted; break;
    case EINVAL:
    case EISDIR:
    case ENOTDIR:
    case ELOOP:
    case ENAMETOOLONG:
    case EADDRNOTAVAIL: code = Code::invalid_argument; break;
    case ECONNREFUSED:
    case ECONNRESET:
    case EHOSTUNREACH:
    case ENETUNREACH:
    case EPIPE: code = Code::unavailable; break;
    case ETIMEDOUT: code = Code::deadline_exceeded; break;
    case EOPNOTSUPP:
    case ENOSYS: code = Code::unimplemented; break;
    case EADDRINUSE:
    case EBUSY: code = Code::failed_precondition; break;
    default: break;
  }
  return fail(code, std::move(what) + ": " + std::generic_category().message(error_number));
}

std::string_view code_name(Code code) { return row(code).name; }
unsigned http_status(Code code) { return row(code).http; }
int exit_code(Code code) { return row(code).exit; }

Code code_from_name(std::string_view name) {
  for (const CodeRow& candidate : kCodes) {
    if (candidate.name == name) return candidate.code;
  }
  return Code::internal;
}

Code code_from_http_status(unsigned status) {
  for (const CodeRow& candidate : kCodes) {
    if (candidate.http == status) return candidate.code;
  }
  return status >= 500 ? Code::unavailable : Code::invalid_argument;
}

}  // namespace omnitide
