// What proves the node, on disk under STATE_DIR/identity: the key it made itself (0600), its certificate with the CAs
// to trust, and the machine's saved state beside them. Each file is replaced whole or not at all.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "agent/base/error.hpp"
#include "agent/io/crypto.hpp"
#include "agent/registration/machine.hpp"

namespace omnitide::registration {

struct Credentials {
  std::string certificate;       // DER
  std::vector<std::string> cas;  // DER, the active one first
  Validity validity;
};

class Identity {
 public:
  // Reads the key, or makes one when there is none. A key file that cannot be read is an error and is never replaced:
  // a new key would be another node.
  [[nodiscard]] static Result<Identity> open(const std::string& state_dir);

  [[nodiscard]] const io::PrivateKey& key() const { return key_; }
  [[nodiscard]] const std::string& node_id() const { return node_id_; }
  [[nodiscard]] const std::optional<Credentials>& credentials() const { return credentials_; }
  [[nodiscard]] Saved load_state();
  // Refuses a certificate that is not for this key.
  [[nodiscard]] Result<> store_credentials(const std::string& certificate_der, std::vector<std::string> cas);
  [[nodiscard]] Result<> store_state(const Saved& saved);
  // What was found wrong in the files and set aside, one sentence each.
  [[nodiscard]] const std::vector<std::string>& complaints() const { return complaints_; }

 private:
  void load_credentials();

  std::string dir_, node_id_;
  io::PrivateKey key_;
  std::optional<Credentials> credentials_;
  std::vector<std::string> complaints_;
};

}  // namespace omnitide::registration
