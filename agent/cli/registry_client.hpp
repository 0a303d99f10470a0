// An operator's connection to a registry: finds endpoint and certificate, sends requests one after the other.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "agent/base/error.hpp"
#include "agent/cli/session.hpp"
#include "agent/io/http.hpp"

namespace omnitide::cli {

// What --endpoint, --operator-dir, --cert, --key and --ca say; empty: looked for.
struct RegistryOptions {
  std::string endpoint, operator_dir, certificate, key, ca;
};

// Where an operator's files are and which registry is meant.
struct RegistryPlace {
  std::string endpoint, certificate, key, ca;
};

using Query = std::map<std::string, std::string>;

class RegistryClient {
 public:
  // The endpoint: --endpoint, else what the running agent uses or embeds, else the configuration's. The files: the
  // flags, else operator.crt, operator.key and ca.crt of --operator-dir, of the embedded registry, of
  // ~/.config/omnitide or of STATE_DIR/operator.
  [[nodiscard]] static Result<RegistryClient> open(const Session& session, const RegistryOptions& options);
  ~RegistryClient();
  RegistryClient(RegistryClient&&) noexcept;
  RegistryClient& operator=(RegistryClient&&) noexcept;

  // `in` may be null. The answer's error is the registry's own.
  [[nodiscard]] Result<> call(const std::string& method, const std::string& path,
                              const google::protobuf::MessageLite* in, google::protobuf::MessageLite& out,
                              const Query& query = {});
  // A body that is no message, both ways.
  [[nodiscard]] Result<std::string> raw(const std::string& method, const std::string& path, std::string body);
  // Calls `on_line` for each line of an endless answer until it returns false or the answer ends.
  [[nodiscard]] Result<> lines(const std::string& path, const Query& query,
                               const std::function<bool(std::string_view)>& on_line);
  [[nodiscard]] const RegistryPlace& place() const;

 private:
  struct Impl;
  explicit RegistryClient(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// "/v1/nodes/ID:approve" with the id encoded.
[[nodiscard]] std::string item_path(const std::string& collection, const std::string& id, const std::string& verb = {});

}  // namespace omnitide::cli
