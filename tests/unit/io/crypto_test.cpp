#include "agent/io/crypto.hpp"

#include <chrono>
#include <string>

#include "agent/base/text.hpp"
#include "tests/harness/catch.hpp"

using namespace omnitide;

namespace {

// P-256's generator in its uncompressed form: SEC 2, 2.4.2.
const std::string kPrefix = "3059301306072a8648ce3d020106082a8648ce3d030107034200";
const std::string kX = "6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296";
const std::string kY = "4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5";

Result<std::string> issue_to(const std::string& public_key_info) {
  const io::PrivateKey ca = io::PrivateKey::generate().value();
  io::CertificateRequest request;
  request.common_name = "somebody";
  request.public_key_info = public_key_info;
  request.not_before = wall_now();
  request.not_after = wall_now() + std::chrono::hours(1);
  request.is_ca = false;
  io::CertificateRequest root = request;
  root.common_name = "CA";
  root.is_ca = true;
  root.public_key_info = ca.public_key_info();
  const std::string root_der = io::issue_certificate(root, {}, ca).value();
  return io::issue_certificate(request, root_der, ca);
}

}  // namespace

TEST_CASE("a public key is a point on P-256 in its one uncompressed form, or it is none") {
  CHECK(issue_to(*hex_decode(kPrefix + "04" + kX + kY)).has_value());
  std::string off_curve = kX;
  off_curve.back() = '7';
  CHECK(issue_to(*hex_decode(kPrefix + "04" + off_curve + kY)).has_error());
  CHECK(issue_to(*hex_decode(kPrefix + "04" + std::string(128, '0'))).has_error());
  CHECK(issue_to(*hex_decode(kPrefix + "06" + kX + kY)).has_error());  // hybrid form
  // The compressed form would be a second identity of one key.
  CHECK(issue_to(*hex_decode("3039301306072a8648ce3d020106082a8648ce3d030107032200"
                             "03" +
                             kX))
            .has_error());
  // secp256k1 instead of prime256v1.
  CHECK(issue_to(*hex_decode("3056301006072a8648ce3d020106052b8104000a034200"
                             "04" +
                             kX + kY))
            .has_error());
  // prime239v1 in the place of prime256v1, and nothing else changed.
  CHECK(issue_to(*hex_decode("3059301306072a8648ce3d020106082a8648ce3d03010403420004" + kX + kY)).has_error());
  CHECK(issue_to({}).has_error());
  CHECK(issue_to(*hex_decode(kPrefix)).has_error());
}

TEST_CASE("a certificate holds the key that was asked for, and its signature verifies by it") {
  const io::PrivateKey key = io::PrivateKey::generate().value();
  const std::string der = issue_to(key.public_key_info()).value();
  const io::CertificateInfo info = io::parse_certificate(der).value();
  CHECK(info.public_key_info == key.public_key_info());
  CHECK(io::verify_signature(info.public_key_info, "text", key.sign("text").value()));
}

TEST_CASE("the serial alone is the serial of the whole certificate, and a certificate cut short has none") {
  const std::string der = issue_to(io::PrivateKey::generate().value().public_key_info()).value();
  CHECK(io::certificate_serial(der).value() == io::parse_certificate(der).value().serial);
  for (std::size_t length = 0; length < der.size(); ++length)
    CHECK(io::certificate_serial(der.substr(0, length)).has_error());
  CHECK(io::certificate_serial("not a certificate").has_error());
}
