// What the groups of `registry` share.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "agent/cli/command.hpp"
#include "agent/cli/registry_client.hpp"
#include "agent/cli/session.hpp"

namespace google::protobuf {
class Timestamp;
}

namespace omnitide::cli {

// Options of every registry command, and how one of them runs.
class RegistrySession {
 public:
  explicit RegistrySession(Session& session) : session_(session) {}
  // A sub-command with the connection's options, -o where `formats` is not empty, and what it does with a connection.
  Command add(Command& group, const std::string& name, const std::string& help, const std::string& formats,
              std::function<int(RegistryClient&)> run);
  // The same for a group that does something when no sub-command is named.
  void complete(Command& command, const std::string& formats, std::function<int(RegistryClient&)> run);
  [[nodiscard]] Session& session() const { return session_; }
  // Prints the answer as JSON or YAML, or `text` of it.
  [[nodiscard]] int show(const google::protobuf::MessageLite& message, const std::function<std::string()>& text) const;

 private:
  Session& session_;
  RegistryOptions options_;
};

void add_registry_nodes(Command& group, const std::shared_ptr<RegistrySession>& registry);
void add_registry_tokens(Command& group, const std::shared_ptr<RegistrySession>& registry);
void add_registry_operators(Command& group, const std::shared_ptr<RegistrySession>& registry);
void add_registry_authorities(Command& group, const std::shared_ptr<RegistrySession>& registry);
void add_registry_policies(Command& group, const std::shared_ptr<RegistrySession>& registry);
void add_registry_backup(Command& group, const std::shared_ptr<RegistrySession>& registry);

// "3h12m ago", "in 5d", "" when the field is not set.
[[nodiscard]] std::string relative(const google::protobuf::Timestamp& time, bool set);
// "a=b c=d".
template <class Map>
[[nodiscard]] std::string label_words(const Map& labels) {
  std::map<std::string, std::string> sorted(labels.begin(), labels.end());
  std::string out;
  for (const auto& [key, value] : sorted)
    out += (out.empty() ? "" : " ") + key + "=" + value;
  return out;
}
// "key=value"; invalid_argument otherwise.
[[nodiscard]] Result<std::pair<std::string, std::string>> label_of(const std::string& word);

}  // namespace omnitide::cli
