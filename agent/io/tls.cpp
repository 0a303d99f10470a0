#include "agent/io/tls.hpp"

#include <openssl/pem.h>
#include <signal.h>

#include <utility>

#include "agent/io/openssl.hpp"

namespace omnitide::io {

using namespace openssl;

namespace {

// What a client context judges with; hangs on the SSL_CTX and is freed with it.
struct ClientTrust {
  std::string ca_pin;
  std::time_t judged_at = 0;
};

void free_trust(void* /*parent*/, void* trust, CRYPTO_EX_DATA* /*data*/, int /*index*/, long /*argument*/,
                void* /*more*/) {
  delete static_cast<ClientTrust*>(trust);
}

int trust_index() {
  static const int index = SSL_CTX_get_ex_new_index(0, nullptr, nullptr, nullptr, free_trust);
  return index;
}

bool pinned(X509* certificate, const std::string& pin) {
  EVP_PKEY* key = X509_get0_pubkey(certificate);
  return key != nullptr && X509_check_ca(certificate) == 1 &&
         constant_time_equal(sha256(encode_der(i2d_PUBKEY, key)), pin);
}

// Replaces the store's trust by the one certificate of the presented chain that has the pinned key.
bool trust_pinned(X509_STORE_CTX* store_context, const std::string& pin) {
  STACK_OF(X509)* presented = X509_STORE_CTX_get0_untrusted(store_context);
  for (int i = 0; i < sk_X509_num(presented); ++i) {
    X509* candidate = sk_X509_value(presented, i);
    if (!pinned(candidate, pin)) continue;
    STACK_OF(X509)* trusted = sk_X509_new_null();
    sk_X509_push(trusted, candidate);
    X509_STORE_CTX_set0_trusted_stack(store_context, trusted);
    const int verified = X509_verify_cert(store_context);
    sk_X509_free(trusted);
    return verified == 1;
  }
  X509_STORE_CTX_set_error(store_context, X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN);
  return false;
}

bool chain_expired(X509_STORE_CTX* store_context, std::time_t judged_at) {
  STACK_OF(X509)* chain = X509_STORE_CTX_get0_chain(store_context);
  for (int i = 0; i < sk_X509_num(chain); ++i) {
    std::time_t at = judged_at;
    if (X509_cmp_time(X509_get0_notAfter(sk_X509_value(chain, i)), &at) < 0) return true;
  }
  return false;
}

// Time is judged here and not by OpenSSL: a lower bound of the true time proves expiry, but not "not yet valid".
int verify_server(X509_STORE_CTX* store_context, void* /*argument*/) {
  auto* ssl = static_cast<SSL*>(X509_STORE_CTX_get_ex_data(store_context, SSL_get_ex_data_X509_STORE_CTX_idx()));
  const auto* trust = static_cast<const ClientTrust*>(SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), trust_index()));
  X509_VERIFY_PARAM_set_flags(X509_STORE_CTX_get0_param(store_context), X509_V_FLAG_NO_CHECK_TIME);
  if (!trust->ca_pin.empty()) return trust_pinned(store_context, trust->ca_pin) ? 1 : 0;
  if (X509_verify_cert(store_context) != 1) return 0;
  if (!chain_expired(store_context, trust->judged_at)) return 1;
  X509_STORE_CTX_set_error(store_context, X509_V_ERR_CERT_HAS_EXPIRED);
  return 0;
}

// A client's expiry is left to the request: see Peer::certificate.
int verify_client(X509_STORE_CTX* store_context, void* /*argument*/) {
  X509_VERIFY_PARAM_set_flags(X509_STORE_CTX_get0_param(store_context), X509_V_FLAG_NO_CHECK_TIME);
  return X509_verify_cert(store_context);
}

Result<Context> make_context(const SSL_METHOD* method, bool allow_tls12) {
  // OpenSSL writes by write(2), which knows no MSG_NOSIGNAL: a peer that left is an error here, never the end of the
  // process.
  ::signal(SIGPIPE, SIG_IGN);
  Context context(SSL_CTX_new(method));
  if (!context) return failed("cannot make a TLS context");
  SSL_CTX_set_min_proto_version(context.get(), allow_tls12 ? TLS1_2_VERSION : TLS1_3_VERSION);
  // No session is ever resumed: each handshake proves the certificate anew, and no tickets cost memory.
  SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_OFF);
  SSL_CTX_set_options(context.get(), SSL_OP_NO_TICKET | SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION);
  SSL_CTX_set_num_tickets(context.get(), 0);
  // Ten thousand idle connections must not hold ten thousand record buffers.
  SSL_CTX_set_mode(context.get(),
                   SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  return context;
}

Result<> use_certificate(SSL_CTX* context, const std::vector<std::string>& chain, const PrivateKey& key) {
  for (std::size_t i = 0; i < chain.size(); ++i) {
    Certificate certificate = certificate_from_der(chain[i]);
    if (!certificate) return fail(Code::data_loss, "certificate is not readable");
    // The leaf is shared by the context, a chain certificate is owned by it.
    if (i == 0 && SSL_CTX_use_certificate(context, certificate.get()) != 1) return failed("cannot use the certificate");
    if (i > 0 && SSL_CTX_add_extra_chain_cert(context, certificate.get()) != 1) return failed("cannot use the chain");
    if (i > 0) (void)certificate.release();
  }
  if (SSL_CTX_use_PrivateKey(context, static_cast<EVP_PKEY*>(key.native())) != 1 ||
      SSL_CTX_check_private_key(context) != 1) {
    return failed("the key does not belong to the certificate", Code::failed_precondition);
  }
  return {};
}

Result<> use_pem(SSL_CTX* context, const std::string& chain_file, const std::string& key_file) {
  if (SSL_CTX_use_certificate_chain_file(context, chain_file.c_str()) != 1)
    return failed("cannot use the certificate " + chain_file, Code::invalid_argument);
  if (SSL_CTX_use_PrivateKey_file(context, key_file.c_str(), SSL_FILETYPE_PEM) != 1 ||
      SSL_CTX_check_private_key(context) != 1)
    return failed("cannot use the key " + key_file, Code::invalid_argument);
  return {};
}

Result<> trust(SSL_CTX* context, const std::vector<std::string>& cas, bool announce) {
  X509_STORE* store = SSL_CTX_get_cert_store(context);
  for (const std::string& der : cas) {
    const Certificate ca = certificate_from_der(der);
    if (!ca || X509_STORE_add_cert(store, ca.get()) != 1)
      return fail(Code::data_loss, "CA certificate is not readable");
    if (announce) SSL_CTX_add_client_CA(context, ca.get());
  }
  return {};
}

Bio reading(const std::string& text) { return Bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size()))); }

Result<> prove_by_pem(SSL_CTX* context, const std::string& chain, const std::string& key) {
  const Result<std::vector<std::string>> certificates = certificates_from_pem(chain);
  if (certificates.has_error()) return certificates.error();
  if (certificates->empty()) return fail(Code::invalid_argument, "there is no client certificate in what was given");
  // No password is ever asked for: OpenSSL would ask the terminal.
  const auto no_password = [](char*, int, int, void*) { return -1; };
  const Key owned_key(PEM_read_bio_PrivateKey(reading(key).get(), nullptr, no_password, nullptr));
  if (!owned_key) return failed("the client's key is not readable", Code::invalid_argument);
  for (std::size_t i = 0; i < certificates->size(); ++i) {
    Certificate certificate = certificate_from_der((*certificates)[i]);
    if (!certificate) return fail(Code::invalid_argument, "the client's certificate is not readable");
    if (i == 0 && SSL_CTX_use_certificate(context, certificate.get()) != 1)
      return failed("cannot use the client's certificate", Code::invalid_argument);
    if (i > 0 && SSL_CTX_add_extra_chain_cert(context, certificate.get()) != 1)
      return failed("cannot use the chain", Code::invalid_argument);
    if (i > 0) (void)certificate.release();
  }
  if (SSL_CTX_use_PrivateKey(context, owned_key.get()) != 1 || SSL_CTX_check_private_key(context) != 1)
    return failed("the key does not belong to the client's certificate", Code::invalid_argument);
  return {};
}

int verify_mode(ClientAuth auth) {
  switch (auth) {
    case ClientAuth::none: return SSL_VERIFY_NONE;
    case ClientAuth::optional: return SSL_VERIFY_PEER;
    case ClientAuth::required: return SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
  }
  return SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
}

std::shared_ptr<void> share(Context context) {
  return {context.release(), [](void* owned) { SSL_CTX_free(static_cast<SSL_CTX*>(owned)); }};
}

}  // namespace

Error handshake_failure(Error error, const std::string& endpoint) {
  if (error.code == Code::unauthenticated) return std::move(error).within("cannot trust " + endpoint);
  if (error.code == Code::deadline_exceeded)
    return fail(Code::deadline_exceeded, endpoint + " takes connections, and does not answer");
  return std::move(error).within("no TLS with " + endpoint);
}

Result<TlsContext> TlsContext::server(const ServerTlsOptions& options) {
  Result<Context> made = make_context(TLS_server_method(), false);
  if (made.has_error()) return made.error();
  SSL_CTX* context = made->get();
  if (const Result<> used = use_certificate(context, options.chain, options.key); used.has_error()) return used.error();
  if (const Result<> trusted = trust(context, options.client_cas, true); trusted.has_error()) return trusted.error();
  SSL_CTX_set_verify(context, verify_mode(options.client_auth), nullptr);
  SSL_CTX_set_cert_verify_callback(context, verify_client, nullptr);
  TlsContext out;
  out.context_ = share(std::move(*made));
  return out;
}

Result<TlsContext> TlsContext::client(const ClientTlsOptions& options) {
  Result<Context> made = make_context(TLS_client_method(), false);
  if (made.has_error()) return made.error();
  SSL_CTX* context = made->get();
  if (const Result<> trusted = trust(context, options.trusted_cas, false); trusted.has_error()) return trusted.error();
  if (!options.certificate.empty()) {
    if (const Result<> used = use_certificate(context, {options.certificate}, options.key); used.has_error())
      return used.error();
  }
  auto judged = std::make_unique<ClientTrust>();
  judged->ca_pin = options.ca_pin;
  judged->judged_at =
      static_cast<std::time_t>(std::chrono::floor<std::chrono::seconds>(options.judged_at).time_since_epoch().count());
  SSL_CTX_set_ex_data(context, trust_index(), judged.release());
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
  SSL_CTX_set_cert_verify_callback(context, verify_server, nullptr);
  TlsContext out;
  out.context_ = share(std::move(*made));
  return out;
}

Result<TlsContext> TlsContext::client_of_cas(const std::string& ca_file, const std::string& chain_file,
                                             const std::string& key_file) {
  Result<Context> made = make_context(TLS_client_method(), true);
  if (made.has_error()) return made.error();
  SSL_CTX* context = made->get();
  if (ca_file.empty() && SSL_CTX_set_default_verify_paths(context) != 1) return failed("cannot use the system's CAs");
  if (!ca_file.empty() && SSL_CTX_load_verify_file(context, ca_file.c_str()) != 1)
    return failed("cannot use the CAs of " + ca_file, Code::failed_precondition);
  if (!chain_file.empty())
    if (const Result<> used = use_pem(context, chain_file, key_file); used.has_error()) return used.error();
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
  TlsContext out;
  out.context_ = share(std::move(*made));
  return out;
}

Result<TlsContext> TlsContext::client_from_pem(const std::string& cas, const std::string& chain,
                                               const std::string& key) {
  Result<Context> made = make_context(TLS_client_method(), true);
  if (made.has_error()) return made.error();
  SSL_CTX* context = made->get();
  if (cas.empty()) {
    if (SSL_CTX_set_default_verify_paths(context) != 1) return failed("cannot use the system's CAs");
  } else {
    const Result<std::vector<std::string>> given = certificates_from_pem(cas);
    if (given.has_error()) return given.error();
    if (given->empty()) return fail(Code::invalid_argument, "there is no CA certificate in what was given");
    if (const Result<> trusted = trust(context, *given, false); trusted.has_error()) return trusted.error();
  }
  if (!chain.empty()) {
    if (const Result<> proven = prove_by_pem(context, chain, key); proven.has_error()) return proven.error();
  }
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
  TlsContext out;
  out.context_ = share(std::move(*made));
  return out;
}

Result<TlsContext> TlsContext::server_from_pem(const std::string& chain_file, const std::string& key_file,
                                               const std::string& client_ca_file, ClientAuth auth, bool allow_tls12) {
  Result<Context> made = make_context(TLS_server_method(), allow_tls12);
  if (made.has_error()) return made.error();
  SSL_CTX* context = made->get();
  if (const Result<> used = use_pem(context, chain_file, key_file); used.has_error()) return used.error();
  if (!client_ca_file.empty()) {
    if (SSL_CTX_load_verify_file(context, client_ca_file.c_str()) != 1) {
      return failed("cannot use the client CA " + client_ca_file, Code::invalid_argument);
    }
    SSL_CTX_set_client_CA_list(context, SSL_load_client_CA_file(client_ca_file.c_str()));
  }
  SSL_CTX_set_verify(context, verify_mode(auth), nullptr);
  TlsContext out;
  out.context_ = share(std::move(*made));
  return out;
}

}  // namespace omnitide::io
