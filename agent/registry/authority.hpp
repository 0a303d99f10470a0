// The certificate authorities of the registry: one active, at most one next, and retired ones that still verify what
// they issued. Certificates and states live in the database, keys in DIR/ca/FINGERPRINT.key (0600).
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "agent/base/clock.hpp"
#include "agent/base/error.hpp"
#include "agent/io/crypto.hpp"
#include "agent/registry/records.hpp"

namespace omnitide::registry {

// What it takes to issue, for any thread.
struct Issuer {
  std::string certificate;  // DER
  io::PrivateKey key;
  WallTime not_after{};
  std::vector<std::string> trusted;  // DER: what a node trusts from now on, the active one first
  std::string newest;                // fingerprint of the newest in `trusted`
};

struct Issued {
  std::string der, serial;
  WallTime not_after{};
};

// A client certificate, valid from a little before `now`; ends with its CA at the latest.
[[nodiscard]] Result<Issued> issue_client(const Issuer& issuer, std::string_view public_key_info,
                                          std::string_view common_name, std::string_view unit, WallTime now,
                                          std::chrono::milliseconds lifetime);

// A new CA: writes the key file, answers with the record in the state given.
[[nodiscard]] Result<AuthorityRecord> make_authority(const std::string& dir, const std::string& state, WallTime now);
[[nodiscard]] Result<io::PrivateKey> read_authority_key(const std::string& dir, const std::string& fingerprint);

class Authorities {
 public:
  Authorities() = default;
  // Fails when there is not exactly one active CA, or the key of the active or next one cannot be read.
  [[nodiscard]] static Result<Authorities> load(const std::string& dir, std::vector<AuthorityRecord> records);

  [[nodiscard]] const std::vector<AuthorityRecord>& records() const { return records_; }
  [[nodiscard]] const AuthorityRecord& active() const;
  [[nodiscard]] const AuthorityRecord* next() const;  // null when there is none
  [[nodiscard]] std::shared_ptr<const Issuer> issuer() const { return issuer_; }
  // All whose clients are let in.
  [[nodiscard]] std::vector<std::string> client_cas() const;
  [[nodiscard]] bool issued(std::string_view certificate_der) const;

 private:
  std::vector<AuthorityRecord> records_;
  std::shared_ptr<const Issuer> issuer_;
};

}  // namespace omnitide::registry
