// TLS of one MQTT connection: a context that libmosquitto is given, since its own has no SNI for a host that was looked
// up before, no PSK of TLS 1.3, and says about a refused certificate only that it was refused.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "agent/base/error.hpp"
#include "agent/io/mqtt.hpp"
#include "agent/io/openssl.hpp"

namespace omnitide::io {

// Must outlive every session made from the context.
struct MqttTlsContext {
  openssl::Context context;
  std::string host;               // as configured: for words
  std::string sni;                // empty for an address
  std::string psk_identity, psk;  // raw bytes
  // What went wrong, noted by callbacks on the way.
  int verify_error = 0;  // X509_V_ERR_...
  std::string subject;   // of the certificate that it was
  int alert = -1;        // that the broker sent
};

// Reads the files; the system's CAs take some 20 ms. For a worker.
[[nodiscard]] Result<std::unique_ptr<MqttTlsContext>> make_mqtt_tls(const MqttTls& options, const std::string& host);
// The cause as far as it was noted; else what the library's log said last.
[[nodiscard]] Error explain_tls(const MqttTlsContext& tls, std::string_view library_words);
// After the handshake: the CAs are not needed again and may take more than a megabyte.
void forget_trust(MqttTlsContext& tls);

}  // namespace omnitide::io
