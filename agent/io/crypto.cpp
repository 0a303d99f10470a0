#include "agent/io/crypto.hpp"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/hmac.h>
#include <openssl/params.h>
#include <openssl/pem.h>

#include <array>

#include "agent/base/text.hpp"
#include "agent/io/openssl.hpp"

namespace omnitide::io {

using namespace openssl;

namespace {

constexpr std::size_t kMaxKeyPem = 8192;
constexpr std::size_t kPointBytes = 65;  // 0x04, x, y

// RFC 5480: SEQUENCE { SEQUENCE { id-ecPublicKey, prime256v1 }, BIT STRING of 66 bytes: what stands before the point.
constexpr std::string_view kP256Prefix(
    "\x30\x59\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07\x03\x42\x00", 26);

using ParameterContext = std::unique_ptr<EVP_PKEY_CTX, Deleter<EVP_PKEY_CTX_free>>;

bool is_p256(EVP_PKEY* key) {
  std::array<char, 64> group{};
  std::size_t length = 0;
  return EVP_PKEY_get_base_id(key) == EVP_PKEY_EC &&
         EVP_PKEY_get_group_name(key, group.data(), group.size(), &length) == 1 &&
         std::string_view(group.data(), length) == "prime256v1";
}

}  // namespace

Key openssl::p256_public_key(std::string_view public_key_info) {
  if (public_key_info.size() != kP256Prefix.size() + kPointBytes || !public_key_info.starts_with(kP256Prefix))
    return {};
  std::string point(public_key_info.substr(kP256Prefix.size()));
  std::string group("prime256v1");
  std::array<OSSL_PARAM, 3> parameters{
      OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, group.data(), group.size()),
      OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, point.data(), point.size()),
      OSSL_PARAM_construct_end()};
  const ParameterContext context(EVP_PKEY_CTX_new_from_name(nullptr, "EC", nullptr));
  EVP_PKEY* key = nullptr;
  if (!context || EVP_PKEY_fromdata_init(context.get()) != 1 ||
      EVP_PKEY_fromdata(context.get(), &key, EVP_PKEY_PUBLIC_KEY, parameters.data()) != 1) {
    ERR_clear_error();
  }
  return Key(key);
}

std::string sha256(std::string_view data) {
  std::string out(32, '\0');
  EVP_Digest(data.data(), data.size(), reinterpret_cast<unsigned char*>(out.data()), nullptr, EVP_sha256(), nullptr);
  return out;
}

std::string hmac_sha256(std::string_view key, std::string_view data) {
  std::string out(32, '\0');
  HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()), bytes(data), data.size(),
       reinterpret_cast<unsigned char*>(out.data()), nullptr);
  return out;
}

bool constant_time_equal(std::string_view a, std::string_view b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

Result<PrivateKey> PrivateKey::generate() {
  EVP_PKEY* made = EVP_EC_gen("P-256");
  if (made == nullptr) return failed("cannot make a key");
  PrivateKey key;
  key.key_ = std::shared_ptr<void>(made, [](void* owned) { EVP_PKEY_free(static_cast<EVP_PKEY*>(owned)); });
  return key;
}

Result<PrivateKey> PrivateKey::from_pem(std::string_view pem) {
  if (pem.size() > kMaxKeyPem) return fail(Code::invalid_argument, "key file is too long for a P-256 key");
  const Bio bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  // The callback refuses a pass phrase: without it OpenSSL would ask on the terminal.
  EVP_PKEY* read = PEM_read_bio_PrivateKey(
      bio.get(), nullptr, [](char*, int, int, void*) { return -1; }, nullptr);
  if (read == nullptr) return failed("not a private key in PEM form", Code::data_loss);
  PrivateKey key;
  key.key_ = std::shared_ptr<void>(read, [](void* owned) { EVP_PKEY_free(static_cast<EVP_PKEY*>(owned)); });
  if (!is_p256(read)) return fail(Code::invalid_argument, "key is not ECDSA P-256");
  return key;
}

std::string PrivateKey::to_pem() const {
  const Bio bio(BIO_new(BIO_s_mem()));
  PEM_write_bio_PrivateKey(bio.get(), static_cast<EVP_PKEY*>(key_.get()), nullptr, nullptr, 0, nullptr, nullptr);
  char* data = nullptr;
  const long length = BIO_get_mem_data(bio.get(), &data);
  return {data, static_cast<std::size_t>(length)};
}

std::string PrivateKey::public_key_info() const { return encode_der(i2d_PUBKEY, static_cast<EVP_PKEY*>(key_.get())); }

Result<std::string> PrivateKey::sign(std::string_view data) const {
  const DigestContext context(EVP_MD_CTX_new());
  std::size_t length = 0;
  auto* key = static_cast<EVP_PKEY*>(key_.get());
  if (EVP_DigestSignInit(context.get(), nullptr, EVP_sha256(), nullptr, key) != 1 ||
      EVP_DigestSign(context.get(), nullptr, &length, bytes(data), data.size()) != 1) {
    return failed("cannot sign");
  }
  std::string out(length, '\0');
  if (EVP_DigestSign(context.get(), reinterpret_cast<unsigned char*>(out.data()), &length, bytes(data), data.size()) !=
      1) {
    return failed("cannot sign");
  }
  out.resize(length);
  return out;
}

bool verify_signature(std::string_view public_key_info, std::string_view data, std::string_view signature) {
  const Key key = p256_public_key(public_key_info);
  const DigestContext context(EVP_MD_CTX_new());
  const bool good = key && EVP_DigestVerifyInit(context.get(), nullptr, EVP_sha256(), nullptr, key.get()) == 1 &&
                    EVP_DigestVerify(context.get(), bytes(signature), signature.size(), bytes(data), data.size()) == 1;
  ERR_clear_error();
  return good;
}

std::string node_id_of(std::string_view public_key_info) {
  return "n-" + base32_encode_lower(sha256(public_key_info)).substr(0, 26);
}

}  // namespace omnitide::io
