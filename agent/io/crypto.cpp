#include "agent/io/crypto.hpp"

#include <openssl/crypto.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>

#include <array>

#include "agent/base/text.hpp"
#include "agent/io/openssl.hpp"

namespace omnitide::io {

using namespace openssl;

namespace {

constexpr std::size_t kMaxKeyPem = 8192;

bool is_p256(EVP_PKEY* key) {
  std::array<char, 64> group{};
  std::size_t length = 0;
  return EVP_PKEY_get_base_id(key) == EVP_PKEY_EC &&
         EVP_PKEY_get_group_name(key, group.data(), group.size(), &length) == 1 &&
         std::string_view(group.data(), length) == "prime256v1";
}

}  // namespace

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
  const unsigned char* at = bytes(public_key_info);
  const Key key(d2i_PUBKEY(nullptr, &at, static_cast<long>(public_key_info.size())));
  const DigestContext context(EVP_MD_CTX_new());
  const bool good = key && is_p256(key.get()) &&
                    EVP_DigestVerifyInit(context.get(), nullptr, EVP_sha256(), nullptr, key.get()) == 1 &&
                    EVP_DigestVerify(context.get(), bytes(signature), signature.size(), bytes(data), data.size()) == 1;
  ERR_clear_error();
  return good;
}

std::string node_id_of(std::string_view public_key_info) {
  return "n-" + base32_encode_lower(sha256(public_key_info)).substr(0, 26);
}

}  // namespace omnitide::io
