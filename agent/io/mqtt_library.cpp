#include "agent/io/mqtt_library.hpp"

#include <fmt/format.h>
#include <signal.h>

#include <mutex>
#include <string>
#include <utility>

#include "agent/base/lazy_library.hpp"
#include "agent/io/mqtt.hpp"

namespace omnitide::io {

Result<> load_mosquitto() {
  if (Result<> loaded = load_library("libmosquitto.so.1"); loaded.has_error()) {
    Error error = std::move(loaded).error();
    error.code = Code::unimplemented;
    return error;
  }
  static std::once_flag once;
  std::call_once(once, [] {
    ::signal(SIGPIPE, SIG_IGN);  // 2.0.11 writes without MSG_NOSIGNAL, and OpenSSL always does
    mosquitto_lib_init();
  });
  return {};
}

Result<std::string> mqtt_library() {
  if (Result<> ready = load_mosquitto(); ready.has_error()) return std::move(ready).error();
  int major = 0, minor = 0, revision = 0;
  mosquitto_lib_version(&major, &minor, &revision);
  mosquitto* probe = mosquitto_new(nullptr, true, nullptr);
  const bool tls = probe != nullptr && mosquitto_int_option(probe, MOSQ_OPT_SSL_CTX_WITH_DEFAULTS, 0) == 0;
  mosquitto_destroy(probe);
  return fmt::format("libmosquitto {}.{}.{}, {}", major, minor, revision, tls ? "with TLS" : "without TLS");
}

}  // namespace omnitide::io
