// Keys, certificates and digests by OpenSSL 3, as values. Bytes are std::string; certificates and CSRs are DER.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "agent/base/clock.hpp"
#include "agent/base/error.hpp"

namespace omnitide::io {

[[nodiscard]] std::string sha256(std::string_view data);  // 32 bytes
[[nodiscard]] std::string hmac_sha256(std::string_view key, std::string_view data);
[[nodiscard]] bool constant_time_equal(std::string_view a, std::string_view b);  // length is no secret

// An ECDSA P-256 key. Cheap to copy: the key is shared and immutable.
class PrivateKey {
 public:
  [[nodiscard]] static Result<PrivateKey> generate();
  [[nodiscard]] static Result<PrivateKey> from_pem(std::string_view pem);  // refuses every other kind of key
  [[nodiscard]] std::string to_pem() const;                                // PKCS#8, not encrypted
  [[nodiscard]] std::string public_key_info() const;                       // SubjectPublicKeyInfo, DER
  [[nodiscard]] Result<std::string> sign(std::string_view data) const;     // ECDSA with SHA-256, DER
  [[nodiscard]] void* native() const { return key_.get(); }                // EVP_PKEY*, still owned here

 private:
  std::shared_ptr<void> key_;
};

// `public_key_info` must be a P-256 key; anything else is false.
[[nodiscard]] bool verify_signature(std::string_view public_key_info, std::string_view data,
                                    std::string_view signature);

[[nodiscard]] Result<std::string> make_csr(const PrivateKey& key, std::string_view common_name);
// The public key info of a CSR that is signed by its own key, P-256 only, at most 8 KiB.
[[nodiscard]] Result<std::string> csr_public_key(std::string_view csr_der);

struct CertificateInfo {
  std::string common_name, organizational_unit;
  std::string serial;  // hex, lower case
  std::string public_key_info;
  WallTime not_before{}, not_after{};
  bool is_ca = false;
};
[[nodiscard]] Result<CertificateInfo> parse_certificate(std::string_view der);

// The serial alone, as in CertificateInfo: reading a whole certificate costs ten times as much, for its key.
[[nodiscard]] Result<std::string> certificate_serial(std::string_view der);

struct CertificateRequest {
  std::string common_name, organizational_unit;
  std::string public_key_info;  // of the subject
  WallTime not_before{}, not_after{};
  std::vector<std::string> server_names;  // DNS names and IP addresses; not empty: a server certificate
  bool is_ca = false;                     // self-signed by `issuer_key` when issuer_certificate is empty
};
// A certificate with a random 127-bit serial, signed by the issuer.
[[nodiscard]] Result<std::string> issue_certificate(const CertificateRequest& request,
                                                    std::string_view issuer_certificate, const PrivateKey& issuer_key);
// Whether `certificate` is signed by `issuer` (signature and name only; time is the caller's).
[[nodiscard]] bool signed_by(std::string_view certificate, std::string_view issuer);

// "n-" and the first 26 characters of lower-case base32(SHA-256(public key info)).
[[nodiscard]] std::string node_id_of(std::string_view public_key_info);

[[nodiscard]] std::string to_pem(std::string_view certificate_der);
[[nodiscard]] Result<std::vector<std::string>> certificates_from_pem(std::string_view pem);  // DER, in file order

}  // namespace omnitide::io
