#include "agent/io/mqtt_words.hpp"

#include <fmt/format.h>
#include <mosquitto.h>

#include <array>
#include <cerrno>

namespace omnitide::io {

namespace {

struct Reason {
  std::uint8_t code;
  Code kind;
  std::string_view words, hint;
};

constexpr std::string_view kLogin = "check mqtt's user name, password and certificate against the broker's";

constexpr std::array<Reason, 33> kReasons{{
    {0x00, Code::unavailable, "normal disconnection", ""},
    {0x04, Code::unavailable, "disconnection with the will", ""},
    {0x10, Code::unavailable, "no matching subscribers", ""},
    {0x80, Code::unavailable, "unspecified error", ""},
    {0x81, Code::data_loss, "malformed packet", ""},
    {0x82, Code::data_loss, "protocol error", ""},
    {0x83, Code::unavailable, "implementation specific error", ""},
    {0x84, Code::failed_precondition, "unsupported protocol version", "try the other MQTT version, 3.1.1 or 5"},
    {0x85, Code::invalid_argument, "client identifier not valid", "choose another client id"},
    {0x86, Code::unauthenticated, "bad user name or password", kLogin},
    {0x87, Code::permission_denied, "not authorised", "let the broker's access list admit this client"},
    {0x88, Code::unavailable, "server unavailable", ""},
    {0x89, Code::unavailable, "server busy", ""},
    {0x8A, Code::permission_denied, "banned", "ask the broker's operator"},
    {0x8B, Code::unavailable, "server shutting down", ""},
    {0x8C, Code::unauthenticated, "bad authentication method", kLogin},
    {0x8D, Code::deadline_exceeded, "keep alive timeout", ""},
    {0x8E, Code::aborted, "session taken over", "another client uses the same client id"},
    {0x8F, Code::invalid_argument, "topic filter invalid", ""},
    {0x90, Code::invalid_argument, "topic name invalid", ""},
    {0x93, Code::resource_exhausted, "receive maximum exceeded", ""},
    {0x94, Code::data_loss, "topic alias invalid", ""},
    {0x95, Code::invalid_argument, "packet too large", "raise the broker's limit of packets"},
    {0x96, Code::resource_exhausted, "message rate too high", ""},
    {0x97, Code::resource_exhausted, "quota exceeded", ""},
    {0x98, Code::unavailable, "administrative action", ""},
    {0x99, Code::invalid_argument, "payload format invalid", ""},
    {0x9A, Code::failed_precondition, "retain not supported", ""},
    {0x9B, Code::failed_precondition, "QoS not supported", "telemetry needs a broker with QoS 1"},
    {0x9C, Code::unavailable, "use another server", ""},
    {0x9D, Code::unavailable, "server moved", ""},
    {0x9F, Code::resource_exhausted, "connection rate exceeded", ""},
    {0xA0, Code::deadline_exceeded, "maximum connect time", ""},
}};

const Reason& reason_of(std::uint8_t code) {
  static constexpr Reason kUnknown{0xFF, Code::unavailable, "a reason that MQTT 5 does not name", ""};
  for (const Reason& reason : kReasons) {
    if (reason.code == code) return reason;
  }
  return kUnknown;
}

Error with_words(const Reason& reason, std::string_view what, std::uint8_t code) {
  Error out = fail(reason.kind, fmt::format("{}: {} (0x{:02x})", what, reason.words, code));
  out.hint = reason.hint;
  return out;
}

}  // namespace

std::string_view mqtt_reason(std::uint8_t code) { return reason_of(code).words; }

Error connection_refused(std::uint8_t code) {
  // 3.1.1's codes 1 to 5 mean what these of MQTT 5 mean.
  static constexpr std::array<std::uint8_t, 6> kOld{0x80, 0x84, 0x85, 0x88, 0x86, 0x87};
  const std::uint8_t meaning = code < kOld.size() ? kOld.at(code) : code;
  return with_words(reason_of(meaning), "the broker refuses the connection", code);
}

Error ended_by_broker(std::uint8_t reason) {
  return with_words(reason_of(reason), "the broker ended the connection", reason);
}

Error connection_lost(int library_code, int error_number) {
  switch (library_code) {
    case MOSQ_ERR_SUCCESS:
    case MOSQ_ERR_NO_CONN:
    case MOSQ_ERR_CONN_LOST: return fail(Code::unavailable, "the broker closed the connection");
    case MOSQ_ERR_NOMEM: return fail(Code::resource_exhausted, "no memory for a packet");
    case MOSQ_ERR_KEEPALIVE: return fail(Code::deadline_exceeded, "the broker answers no ping");
    case MOSQ_ERR_PROTOCOL:
    case MOSQ_ERR_MALFORMED_PACKET:
    case MOSQ_ERR_MALFORMED_UTF8:
    case MOSQ_ERR_DUPLICATE_PROPERTY:
    case MOSQ_ERR_CONN_REFUSED:
      return fail(Code::data_loss, "the broker sent what is not MQTT")
          .with_hint("is this an MQTT broker's port, and with TLS on both sides or on none?");
    case MOSQ_ERR_ERRNO:
      if (error_number == EPROTO) return fail(Code::unavailable, "TLS failed");
      if (error_number != 0) {
        Error out = fail_errno(error_number, "the connection broke");
        out.code = error_number == ETIMEDOUT ? Code::deadline_exceeded : Code::unavailable;
        return out;
      }
      return fail(Code::unavailable, "the connection broke");
    default: return fail(Code::unavailable, fmt::format("libmosquitto's error {}", library_code));
  }
}

}  // namespace omnitide::io
