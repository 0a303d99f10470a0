#include "agent/registry/authority.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "agent/base/file.hpp"
#include "agent/base/text.hpp"

namespace omnitide::registry {

namespace {

using namespace std::chrono_literals;
constexpr auto kAuthorityLifetime = 24h * 3650;
constexpr auto kBackdated = 5min;  // for clocks that lag a little

std::string key_file(const std::string& dir, const std::string& fingerprint) {
  return fmt::format("{}/ca/{}.key", dir, fingerprint);
}

}  // namespace

Result<Issued> issue_client(const Issuer& issuer, std::string_view public_key_info, std::string_view common_name,
                            std::string_view unit, WallTime now, std::chrono::milliseconds lifetime) {
  io::CertificateRequest request;
  request.common_name = common_name;
  request.organizational_unit = unit;
  request.public_key_info = public_key_info;
  request.not_before = now - kBackdated;
  request.not_after = std::min(now + lifetime, issuer.not_after);
  Result<std::string> der = io::issue_certificate(request, issuer.certificate, issuer.key);
  if (der.has_error()) return std::move(der).error();
  Result<std::string> serial = io::certificate_serial(*der);
  if (serial.has_error()) return std::move(serial).error();
  // A certificate states whole seconds.
  return Issued{std::move(*der), std::move(*serial), std::chrono::floor<std::chrono::seconds>(request.not_after)};
}

Result<AuthorityRecord> make_authority(const std::string& dir, const std::string& state, WallTime now) {
  Result<io::PrivateKey> key = io::PrivateKey::generate();
  if (key.has_error()) return std::move(key).error();
  AuthorityRecord record;
  record.fingerprint = hex_encode(io::sha256(key->public_key_info()));
  record.state = state;
  io::CertificateRequest request;
  // A name of its own for each, so that chains are told apart during a roll-over.
  request.common_name = "omnitide registry CA " + record.fingerprint.substr(0, 12);
  request.public_key_info = key->public_key_info();
  request.not_before = now - kBackdated;
  request.not_after = now + kAuthorityLifetime;
  request.is_ca = true;
  Result<std::string> der = io::issue_certificate(request, {}, *key);
  if (der.has_error()) return std::move(der).error();
  record.not_after = request.not_after;
  record.certificate = std::move(*der);
  Result<> written = make_folders(dir + "/ca", 0700);
  if (written.has_value()) written = write_file_durably(key_file(dir, record.fingerprint), key->to_pem(), 0600);
  if (written.has_error()) return std::move(written).error();
  return record;
}

Result<io::PrivateKey> read_authority_key(const std::string& dir, const std::string& fingerprint) {
  const std::string path = key_file(dir, fingerprint);
  const Result<std::string> pem = read_file(path, 64U << 10U);
  Result<io::PrivateKey> key = pem.has_value() ? io::PrivateKey::from_pem(*pem) : Result<io::PrivateKey>(pem.error());
  if (key.has_value() && hex_encode(io::sha256(key->public_key_info())) != fingerprint) {
    key = fail(Code::data_loss, "it is another key than its name says");
  }
  if (key.has_value()) return key;
  Error error = std::move(key).error().within(fmt::format("cannot use the CA key {}", path));
  error.code = Code::data_loss;
  return std::move(error).with_hint("copy DIR/ca back from where its copy is kept; a database backup has no keys");
}

Result<Authorities> Authorities::load(const std::string& dir, std::vector<AuthorityRecord> records) {
  Authorities out;
  out.records_ = std::move(records);
  const auto active_count = std::count_if(out.records_.begin(), out.records_.end(),
                                          [](const AuthorityRecord& record) { return record.state == "active"; });
  if (active_count != 1) {
    return fail(Code::data_loss, fmt::format("{} has {} active CAs instead of one", dir, active_count));
  }
  Issuer issuer;
  const AuthorityRecord& active = out.active();
  Result<io::PrivateKey> key = read_authority_key(dir, active.fingerprint);
  if (key.has_error()) return std::move(key).error();
  issuer.certificate = active.certificate;
  issuer.key = std::move(*key);
  issuer.not_after = active.not_after;
  issuer.trusted = {active.certificate};
  issuer.newest = active.fingerprint;
  if (const AuthorityRecord* next = out.next(); next != nullptr) {
    const Result<io::PrivateKey> next_key = read_authority_key(dir, next->fingerprint);
    if (next_key.has_error()) return next_key.error();
    issuer.trusted.push_back(next->certificate);
    issuer.newest = next->fingerprint;
  }
  out.issuer_ = std::make_shared<const Issuer>(std::move(issuer));
  return out;
}

const AuthorityRecord& Authorities::active() const {
  return *std::find_if(records_.begin(), records_.end(),
                       [](const AuthorityRecord& record) { return record.state == "active"; });
}

const AuthorityRecord* Authorities::next() const {
  const auto found = std::find_if(records_.begin(), records_.end(),
                                  [](const AuthorityRecord& record) { return record.state == "next"; });
  return found == records_.end() ? nullptr : &*found;
}

std::vector<std::string> Authorities::client_cas() const {
  std::vector<std::string> out;
  for (const AuthorityRecord& record : records_)
    out.push_back(record.certificate);
  return out;
}

bool Authorities::issued(std::string_view certificate_der) const {
  return std::any_of(records_.begin(), records_.end(), [certificate_der](const AuthorityRecord& record) {
    return io::signed_by(certificate_der, record.certificate);
  });
}

}  // namespace omnitide::registry
