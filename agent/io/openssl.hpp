// Owners for OpenSSL objects and its error queue as text. For .cpp files of this room only.
#pragma once

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <memory>
#include <string>
#include <string_view>

#include "agent/base/error.hpp"
#include "agent/io/crypto.hpp"

namespace omnitide::io::openssl {

template <auto Free>
struct Deleter {
  template <class T>
  void operator()(T* object) const {
    Free(object);
  }
};

using Key = std::unique_ptr<EVP_PKEY, Deleter<EVP_PKEY_free>>;
using Certificate = std::unique_ptr<X509, Deleter<X509_free>>;
using Request = std::unique_ptr<X509_REQ, Deleter<X509_REQ_free>>;
using DigestContext = std::unique_ptr<EVP_MD_CTX, Deleter<EVP_MD_CTX_free>>;
using Bio = std::unique_ptr<BIO, Deleter<BIO_free>>;
using Integer = std::unique_ptr<ASN1_INTEGER, Deleter<ASN1_INTEGER_free>>;
using Name = std::unique_ptr<X509_NAME, Deleter<X509_NAME_free>>;
using Context = std::unique_ptr<SSL_CTX, Deleter<SSL_CTX_free>>;
using Session = std::unique_ptr<SSL, Deleter<SSL_free>>;
using Store = std::unique_ptr<X509_STORE, Deleter<X509_STORE_free>>;

// The first error of the queue as words, and an empty queue afterwards.
[[nodiscard]] inline std::string last_error() {
  const unsigned long code = ERR_get_error();
  ERR_clear_error();
  if (code == 0) return "unknown error";
  if (ERR_SYSTEM_ERROR(code)) return std::generic_category().message(ERR_GET_REASON(code));
  const char* reason = ERR_reason_error_string(code);
  return reason != nullptr ? reason : "error " + std::to_string(code);
}

[[nodiscard]] inline Error failed(std::string_view what, Code code = Code::internal) {
  return fail(code, std::string(what) + ": " + last_error());
}

[[nodiscard]] inline const unsigned char* bytes(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

[[nodiscard]] inline Certificate certificate_from_der(std::string_view der) {
  const unsigned char* at = bytes(der);
  Certificate out(d2i_X509(nullptr, &at, static_cast<long>(der.size())));
  if (out && at != bytes(der) + der.size()) out.reset();
  ERR_clear_error();
  return out;
}

// Calls an i2d_... function and returns what it wrote.
template <class Encode, class T>
[[nodiscard]] std::string encode_der(Encode encode, T* object) {
  unsigned char* buffer = nullptr;
  const int length = encode(object, &buffer);
  if (length <= 0) return {};
  std::string out(reinterpret_cast<char*>(buffer), static_cast<std::size_t>(length));
  CRYPTO_free(buffer, nullptr, 0);  // OPENSSL_free would name this file, by a path that depends on how it was compiled
  return out;
}

// The key of a SubjectPublicKeyInfo that is named curve P-256 with an uncompressed point, which must lie on the curve;
// null for anything else. OpenSSL 3.0's general decoder takes seven times as long.
[[nodiscard]] Key p256_public_key(std::string_view public_key_info);

[[nodiscard]] CertificateInfo describe(X509* certificate);

}  // namespace omnitide::io::openssl
