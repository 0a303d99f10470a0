// Certificates and CSRs: the X.509 half of crypto.hpp. RFC 5280, RFC 2986.
#include <openssl/pem.h>
#include <openssl/rand.h>

#include <array>

#include "agent/base/random.hpp"
#include "agent/base/text.hpp"
#include "agent/io/crypto.hpp"
#include "agent/io/openssl.hpp"

namespace omnitide::io {

using namespace openssl;

namespace {

constexpr std::size_t kMaxCsr = 8192, kMaxCertificate = 16384;
constexpr int kMaxPemCertificates = 64;

std::string name_entry(const X509_NAME* name, int nid) {
  const int at = X509_NAME_get_index_by_NID(const_cast<X509_NAME*>(name), nid, -1);
  if (at < 0) return {};
  const ASN1_STRING* value = X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at));
  return {reinterpret_cast<const char*>(ASN1_STRING_get0_data(value)),
          static_cast<std::size_t>(ASN1_STRING_length(value))};
}

void add_name(X509_NAME* name, const char* entry, std::string_view value) {
  if (value.empty()) return;
  X509_NAME_add_entry_by_txt(name, entry, MBSTRING_UTF8, bytes(value), static_cast<int>(value.size()), -1, 0);
}

std::time_t seconds_of(WallTime time) {
  return static_cast<std::time_t>(std::chrono::floor<std::chrono::seconds>(time).time_since_epoch().count());
}

WallTime time_of(const ASN1_TIME* time) {
  std::tm broken{};
  if (ASN1_TIME_to_tm(time, &broken) != 1) return {};
  return WallTime{std::chrono::seconds{::timegm(&broken)}};
}

std::string serial_of(const ASN1_INTEGER* serial) {
  return hex_encode({reinterpret_cast<const char*>(serial->data), static_cast<std::size_t>(serial->length)});
}

bool add_extension(X509* certificate, X509* issuer, int nid, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str());
  const bool added = extension != nullptr && X509_add_ext(certificate, extension, -1) == 1;
  X509_EXTENSION_free(extension);
  return added;
}

// Names come from the operator; a comma or line end would be read as another entry by OpenSSL's configuration parser.
Result<std::string> subject_alternatives(const std::vector<std::string>& names) {
  std::string out;
  for (const std::string& name : names) {
    if (name.empty() || name.find_first_of(",\n\r;\"\\") != std::string::npos) {
      return fail(Code::invalid_argument, "\"" + printable(name) + "\" is no server name");
    }
    const bool address =
        name.find(':') != std::string::npos || name.find_first_not_of("0123456789.") == std::string::npos;
    out += std::string(out.empty() ? "" : ",") + (address ? "IP:" : "DNS:") + name;
  }
  return out;
}

bool set_serial(X509* certificate) {
  std::string random = random_bytes(16);
  random[0] = static_cast<char>((static_cast<unsigned char>(random[0]) & 0x7FU) | 0x40U);  // positive, fixed length
  BIGNUM* number = BN_bin2bn(bytes(random), static_cast<int>(random.size()), nullptr);
  const bool set = number != nullptr && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate)) != nullptr;
  BN_free(number);
  return set;
}

// Takes the point as it is encoded: X509_set_pubkey() would encode the key and decode it again.
bool set_public_key(X509* certificate, std::string_view p256_public_key_info) {
  constexpr std::size_t kPointBytes = 65;
  const std::string_view point = p256_public_key_info.substr(p256_public_key_info.size() - kPointBytes);
  auto* copy = static_cast<unsigned char*>(OPENSSL_memdup(point.data(), point.size()));
  if (copy == nullptr) return false;
  const bool set =
      X509_PUBKEY_set0_param(X509_get_X509_PUBKEY(certificate), OBJ_nid2obj(NID_X9_62_id_ecPublicKey), V_ASN1_OBJECT,
                             OBJ_nid2obj(NID_X9_62_prime256v1), copy, static_cast<int>(point.size())) == 1;
  if (!set) OPENSSL_free(copy);
  return set;
}

bool add_extensions(X509* certificate, X509* issuer, const CertificateRequest& request,
                    const std::string& alternatives) {
  const bool server = !request.server_names.empty();
  const std::string usage = request.is_ca ? "critical,keyCertSign,cRLSign" : "critical,digitalSignature";
  return add_extension(certificate, issuer, NID_basic_constraints,
                       request.is_ca ? "critical,CA:TRUE,pathlen:0" : "critical,CA:FALSE") &&
         add_extension(certificate, issuer, NID_key_usage, usage) &&
         (request.is_ca ||
          add_extension(certificate, issuer, NID_ext_key_usage, server ? "serverAuth" : "clientAuth")) &&
         (!server || add_extension(certificate, issuer, NID_subject_alt_name, alternatives)) &&
         add_extension(certificate, issuer, NID_subject_key_identifier, "hash") &&
         (request.is_ca || add_extension(certificate, issuer, NID_authority_key_identifier, "keyid"));
}

}  // namespace

Result<std::string> make_csr(const PrivateKey& key, std::string_view common_name) {
  const Request request(X509_REQ_new());
  auto* native = static_cast<EVP_PKEY*>(key.native());
  add_name(X509_REQ_get_subject_name(request.get()), "CN", common_name);
  if (X509_REQ_set_version(request.get(), 0) != 1 || X509_REQ_set_pubkey(request.get(), native) != 1 ||
      X509_REQ_sign(request.get(), native, EVP_sha256()) <= 0) {
    return failed("cannot make a certificate request");
  }
  return encode_der(i2d_X509_REQ, request.get());
}

Result<std::string> csr_public_key(std::string_view csr_der) {
  if (csr_der.size() > kMaxCsr) return fail(Code::invalid_argument, "certificate request is longer than 8 KiB");
  const unsigned char* at = bytes(csr_der);
  const Request request(d2i_X509_REQ(nullptr, &at, static_cast<long>(csr_der.size())));
  if (!request) return failed("certificate request is not PKCS#10", Code::invalid_argument);
  std::string public_key_info = encode_der(i2d_X509_PUBKEY, X509_REQ_get_X509_PUBKEY(request.get()));
  const Key key = p256_public_key(public_key_info);
  if (!key) {
    ERR_clear_error();
    return fail(Code::invalid_argument, "certificate request's key is not ECDSA P-256");
  }
  if (X509_REQ_verify(request.get(), key.get()) != 1) {
    ERR_clear_error();
    return fail(Code::invalid_argument, "certificate request is not signed by its own key");
  }
  return public_key_info;
}

CertificateInfo openssl::describe(X509* certificate) {
  CertificateInfo out;
  const X509_NAME* subject = X509_get_subject_name(certificate);
  out.common_name = name_entry(subject, NID_commonName);
  out.organizational_unit = name_entry(subject, NID_organizationalUnitName);
  out.serial = serial_of(X509_get0_serialNumber(certificate));
  out.public_key_info = encode_der(i2d_X509_PUBKEY, X509_get_X509_PUBKEY(certificate));
  out.not_before = time_of(X509_get0_notBefore(certificate));
  out.not_after = time_of(X509_get0_notAfter(certificate));
  out.is_ca = X509_check_ca(certificate) == 1;
  ERR_clear_error();
  return out;
}

Result<CertificateInfo> parse_certificate(std::string_view der) {
  if (der.size() > kMaxCertificate) return fail(Code::invalid_argument, "certificate is longer than 16 KiB");
  const Certificate certificate = certificate_from_der(der);
  if (!certificate) return fail(Code::invalid_argument, "not a certificate in DER form");
  return describe(certificate.get());
}

Result<std::string> certificate_serial(std::string_view der) {
  // Certificate { tbsCertificate { version [0], serialNumber INTEGER, ... } }: RFC 5280, 4.1.
  const unsigned char* at = bytes(der);
  long length = static_cast<long>(der.size());
  const unsigned char* const end = at + length;
  int tag = 0, type = 0;
  for (const int wanted : {V_ASN1_SEQUENCE, V_ASN1_SEQUENCE, 0}) {
    if ((ASN1_get_object(&at, &length, &tag, &type, end - at) & 0x80) != 0 || tag != wanted) {
      ERR_clear_error();
      return fail(Code::invalid_argument, "not a certificate in DER form");
    }
  }
  at += length;
  const openssl::Integer serial(d2i_ASN1_INTEGER(nullptr, &at, end - at));
  ERR_clear_error();
  if (!serial) return fail(Code::invalid_argument, "not a certificate in DER form");
  return serial_of(serial.get());
}

Result<std::string> issue_certificate(const CertificateRequest& request, std::string_view issuer_certificate,
                                      const PrivateKey& issuer_key) {
  if (!p256_public_key(request.public_key_info)) return fail(Code::invalid_argument, "public key is not ECDSA P-256");
  const Certificate issuer = issuer_certificate.empty() ? nullptr : certificate_from_der(issuer_certificate);
  if (!issuer && !issuer_certificate.empty()) return fail(Code::data_loss, "issuer's certificate is not readable");
  const Result<std::string> alternatives = subject_alternatives(request.server_names);
  if (alternatives.has_error()) return alternatives.error();

  const Certificate certificate(X509_new());
  X509_set_version(certificate.get(), 2);
  X509_NAME* subject = X509_get_subject_name(certificate.get());
  add_name(subject, "OU", request.organizational_unit);
  add_name(subject, "CN", request.common_name);
  X509* signer = issuer ? issuer.get() : certificate.get();
  const bool made = set_serial(certificate.get()) &&
                    ASN1_TIME_set(X509_getm_notBefore(certificate.get()), seconds_of(request.not_before)) != nullptr &&
                    ASN1_TIME_set(X509_getm_notAfter(certificate.get()), seconds_of(request.not_after)) != nullptr &&
                    X509_set_issuer_name(certificate.get(), X509_get_subject_name(signer)) == 1 &&
                    set_public_key(certificate.get(), request.public_key_info) &&
                    add_extensions(certificate.get(), signer, request, *alternatives) &&
                    X509_sign(certificate.get(), static_cast<EVP_PKEY*>(issuer_key.native()), EVP_sha256()) > 0;
  if (!made) return failed("cannot issue a certificate");
  return encode_der(i2d_X509, certificate.get());
}

bool signed_by(std::string_view certificate_der, std::string_view issuer_der) {
  const Certificate certificate = certificate_from_der(certificate_der);
  const Certificate issuer = certificate_from_der(issuer_der);
  if (!certificate || !issuer) return false;
  const bool good = X509_check_issued(issuer.get(), certificate.get()) == X509_V_OK &&
                    X509_verify(certificate.get(), X509_get0_pubkey(issuer.get())) == 1;
  ERR_clear_error();
  return good;
}

std::string to_pem(std::string_view certificate_der) {
  const std::string text = base64_encode(certificate_der);
  std::string out = "-----BEGIN CERTIFICATE-----\n";
  for (std::size_t i = 0; i < text.size(); i += 64)
    out += text.substr(i, 64) + "\n";
  return out + "-----END CERTIFICATE-----\n";
}

Result<std::vector<std::string>> certificates_from_pem(std::string_view pem) {
  const Bio bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  std::vector<std::string> out;
  while (true) {
    const Certificate certificate(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr));
    if (!certificate) break;
    if (out.size() >= kMaxPemCertificates)
      return fail(Code::resource_exhausted, "more than 64 certificates in one file");
    out.push_back(encode_der(i2d_X509, certificate.get()));
  }
  const bool at_end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
  ERR_clear_error();
  if (out.empty() || !at_end) return fail(Code::data_loss, "not a certificate in PEM form");
  return out;
}

}  // namespace omnitide::io
