#include "agent/io/mqtt_tls.hpp"

#include <signal.h>

#include <algorithm>
#include <array>
#include <boost/asio/ip/address.hpp>
#include <cstring>
#include <utility>

namespace omnitide::io {

using namespace openssl;

namespace {

int own_index() {
  static const int index = SSL_CTX_get_ex_new_index(0, nullptr, nullptr, nullptr, nullptr);
  return index;
}

MqttTlsContext* own(const SSL* ssl) {
  return static_cast<MqttTlsContext*>(SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), own_index()));
}

int on_verify(int good, X509_STORE_CTX* store) {
  if (good == 1) return 1;
  const auto* ssl = static_cast<const SSL*>(X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx()));
  MqttTlsContext* self = own(ssl);
  self->verify_error = X509_STORE_CTX_get_error(store);
  if (X509* certificate = X509_STORE_CTX_get_current_cert(store)) self->subject = describe(certificate).common_name;
  return 0;
}

// The library names the address that it connects to as SNI: here, before the first message is made, is the place to
// name the host instead.
void on_info(const SSL* ssl, int where, int value) {
  MqttTlsContext* self = own(ssl);
  if ((where & SSL_CB_HANDSHAKE_START) != 0) {
    const char* name = self->sni.empty() ? nullptr : self->sni.c_str();
    SSL_set_tlsext_host_name(const_cast<SSL*>(ssl), name);
  }
  if (where == SSL_CB_READ_ALERT && value >> 8 == SSL3_AL_FATAL) self->alert = value & 0xFF;
}

unsigned on_psk(SSL* ssl, const char* /*hint*/, char* identity, unsigned most_identity, unsigned char* key,
                unsigned most_key) {
  const MqttTlsContext* self = own(ssl);
  if (self->psk_identity.size() >= most_identity || self->psk.size() > most_key) return 0;
  std::memcpy(identity, self->psk_identity.c_str(), self->psk_identity.size() + 1);
  std::memcpy(key, self->psk.data(), self->psk.size());
  return static_cast<unsigned>(self->psk.size());
}

Result<> use_psk(MqttTlsContext& out, const MqttTls& options) {
  long length = 0;
  unsigned char* key = OPENSSL_hexstr2buf(options.psk_hex.c_str(), &length);
  if (key == nullptr || length <= 0) {
    OPENSSL_free(key);
    ERR_clear_error();
    return fail(Code::invalid_argument, "the pre-shared key is no hexadecimal text");
  }
  out.psk.assign(reinterpret_cast<char*>(key), static_cast<std::size_t>(length));
  OPENSSL_free(key);
  out.psk_identity = options.psk_identity;
  // One callback serves both: OpenSSL makes of it a PSK of TLS 1.3 with SHA-256.
  SSL_CTX_set_psk_client_callback(out.context.get(), on_psk);
  SSL_CTX_set_cipher_list(out.context.get(), "PSK");
  return {};
}

Result<> use_certificates(SSL_CTX* context, const MqttTls& options) {
  if (options.ca_file.empty()) {
    SSL_CTX_set_default_verify_paths(context);
  } else if (SSL_CTX_load_verify_file(context, options.ca_file.c_str()) != 1) {
    return failed("cannot read CA certificates of " + options.ca_file, Code::failed_precondition);
  }
  if (options.certificate_file.empty()) return {};
  if (SSL_CTX_use_certificate_chain_file(context, options.certificate_file.c_str()) != 1)
    return failed("cannot read the certificate " + options.certificate_file, Code::failed_precondition);
  if (SSL_CTX_use_PrivateKey_file(context, options.key_file.c_str(), SSL_FILETYPE_PEM) != 1)
    return failed("cannot use the key " + options.key_file + " with its certificate", Code::failed_precondition);
  return {};
}

// The host is checked against the broker's certificate by OpenSSL itself, not by the library.
void expect_host(MqttTlsContext& out) {
  X509_VERIFY_PARAM* expected = SSL_CTX_get0_param(out.context.get());
  boost::system::error_code no_address;
  (void)boost::asio::ip::make_address(out.host, no_address);
  if (!no_address) {
    X509_VERIFY_PARAM_set1_ip_asc(expected, out.host.c_str());
    return;
  }
  out.sni = out.host;
  X509_VERIFY_PARAM_set_hostflags(expected, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
  X509_VERIFY_PARAM_set1_host(expected, out.host.c_str(), 0);
}

struct Words {
  int code;
  const char* sentence;
  const char* hint;
};

constexpr std::array<Words, 9> kVerify{{
    {X509_V_ERR_CERT_HAS_EXPIRED, "the broker's certificate has expired",
     "renew the certificate of the broker, or set this node's clock"},
    {X509_V_ERR_CERT_NOT_YET_VALID, "the broker's certificate is not valid yet", "set this node's clock"},
    {X509_V_ERR_HOSTNAME_MISMATCH, "the broker's certificate is for another host",
     "connect by a name that is in the certificate"},
    {X509_V_ERR_IP_ADDRESS_MISMATCH, "the broker's certificate is for another address",
     "connect by a name or an address that is in the certificate"},
    {X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY, "the broker's certificate is of an unknown CA",
     "name the broker's CA in ca-file"},
    {X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT, "the broker's certificate is of an unknown CA",
     "name the broker's CA in ca-file"},
    {X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN, "the broker's certificate is of an unknown CA",
     "name the broker's CA in ca-file"},
    {X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT, "the broker's certificate is signed by itself",
     "name the broker's CA in ca-file"},
    {X509_V_ERR_CERT_REVOKED, "the broker's certificate is revoked", "renew the certificate of the broker"},
}};

constexpr std::array<Words, 9> kAlerts{{
    {SSL_AD_CERTIFICATE_REQUIRED, "it wants a client certificate", "set certificate-file and key-file"},
    {SSL_AD_UNKNOWN_CA, "it does not know the CA of our certificate",
     "let the broker trust the CA of certificate-file"},
    {SSL_AD_CERTIFICATE_EXPIRED, "our certificate has expired", "renew certificate-file"},
    {SSL_AD_BAD_CERTIFICATE, "it does not accept our certificate", "check certificate-file"},
    {SSL_AD_UNKNOWN_PSK_IDENTITY, "it does not know our PSK identity", "check psk-identity"},
    {SSL_AD_DECRYPT_ERROR, "it could not check our key", "check the pre-shared key or key-file"},
    {SSL_AD_PROTOCOL_VERSION, "it speaks no version of TLS that we allow", "set the least version to 1.2"},
    {SSL_AD_NO_APPLICATION_PROTOCOL, "it does not know the ALPN protocol", "check alpn"},
    {SSL_AD_HANDSHAKE_FAILURE, "no way to prove each other was found",
     "it may want a client certificate, or another pre-shared key"},
}};

template <std::size_t Count>
const Words* find(const std::array<Words, Count>& table, int code) {
  const auto* found = std::find_if(table.begin(), table.end(), [code](const Words& row) { return row.code == code; });
  return found == table.end() ? nullptr : found;
}

}  // namespace

Result<std::unique_ptr<MqttTlsContext>> make_mqtt_tls(const MqttTls& options, const std::string& host) {
  ::signal(SIGPIPE, SIG_IGN);  // OpenSSL writes without MSG_NOSIGNAL
  ERR_clear_error();
  auto out = std::make_unique<MqttTlsContext>();
  out->host = host;
  out->context.reset(SSL_CTX_new(TLS_client_method()));
  SSL_CTX* context = out->context.get();
  if (context == nullptr) return failed("cannot make a TLS context", Code::resource_exhausted);
  SSL_CTX_set_ex_data(context, own_index(), out.get());
  SSL_CTX_set_min_proto_version(context, options.allow_tls12 ? TLS1_2_VERSION : TLS1_3_VERSION);
  SSL_CTX_set_mode(context,
                   SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  SSL_CTX_set_options(context, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION);
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER, on_verify);  // with a PSK nothing is trusted: a certificate never does
  SSL_CTX_set_info_callback(context, on_info);
  expect_host(*out);
  if (!options.alpn.empty()) {
    const std::string wire = static_cast<char>(options.alpn.size()) + options.alpn;
    if (options.alpn.size() > 255 ||
        SSL_CTX_set_alpn_protos(context, bytes(wire), static_cast<unsigned>(wire.size())) != 0)
      return fail(Code::invalid_argument, "the ALPN protocol is too long");
  }
  Result<> used = options.psk_hex.empty() ? use_certificates(context, options) : use_psk(*out, options);
  if (used.has_error()) return std::move(used).error();
  return out;
}

Error explain_tls(const MqttTlsContext& tls, std::string_view library_words) {
  if (tls.verify_error != X509_V_OK) {
    const Words* words = find(kVerify, tls.verify_error);
    const std::string subject = tls.subject.empty() ? "" : " (\"" + tls.subject + "\")";
    if (words == nullptr) {
      const char* reason = X509_verify_cert_error_string(tls.verify_error);
      return fail(Code::unauthenticated, "the broker's certificate" + subject + " is refused: " + reason);
    }
    return fail(Code::unauthenticated, words->sentence + subject).with_hint(words->hint);
  }
  if (tls.alert >= 0) {
    const Words* words = find(kAlerts, tls.alert);
    if (words == nullptr)
      return fail(Code::unauthenticated, std::string("the broker ended TLS: ") + SSL_alert_desc_string_long(tls.alert));
    return fail(Code::unauthenticated, std::string("the broker ended TLS: ") + words->sentence).with_hint(words->hint);
  }
  // "OpenSSL Error[0]: error:0A00010B:SSL routines::wrong version number": the last part says it.
  const std::size_t colon = library_words.rfind(':');
  if (colon != std::string_view::npos) library_words.remove_prefix(colon + 1);
  if (library_words.empty())
    return fail(Code::unavailable, "the broker ended the connection during TLS")
        .with_hint("it may want a client certificate, or another");
  return fail(Code::unavailable, "TLS failed: " + std::string(library_words))
      .with_hint("is this the broker's port for TLS?");
}

void forget_trust(MqttTlsContext& tls) { SSL_CTX_set_cert_store(tls.context.get(), X509_STORE_new()); }

}  // namespace omnitide::io
