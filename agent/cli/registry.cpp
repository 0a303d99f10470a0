#include <fmt/format.h>

#include "agent/base/clock.hpp"
#include "agent/base/text.hpp"
#include "agent/cli/commands.hpp"
#include "agent/cli/registry_commands.hpp"
#include "google/protobuf/timestamp.pb.h"

namespace omnitide::cli {

void RegistrySession::complete(Command& command, const std::string& formats, std::function<int(RegistryClient&)> run) {
  session_.add_location(command);
  command.option("--endpoint", options_.endpoint, "URL", "Of the registry, https://HOST:PORT; else the agent's")
      .option("--operator-dir", options_.operator_dir, "DIR", "With operator.crt, operator.key and ca.crt")
      .option("--cert", options_.certificate, "FILE", "Operator certificate, instead of the one there")
      .option("--key", options_.key, "FILE", "Its key")
      .option("--ca", options_.ca, "FILE", "CA certificates of the registry");
  if (!formats.empty()) session_.add_format(command, formats);
  command.action([this, run = std::move(run)] {
    Result<RegistryClient> client = RegistryClient::open(session_, options_);
    return client.has_error() ? session_.failed(client.error()) : run(*client);
  });
}

Command RegistrySession::add(Command& group, const std::string& name, const std::string& help,
                             const std::string& formats, std::function<int(RegistryClient&)> run) {
  Command command = group.add(name, help);
  complete(command, formats, std::move(run));
  return command;
}

int RegistrySession::show(const google::protobuf::MessageLite& message,
                          const std::function<std::string()>& text) const {
  return session_.format() == Format::table ? session_.print(text()) : session_.print(message);
}

std::string relative(const google::protobuf::Timestamp& time, bool set) {
  if (!set) return {};
  const auto away = WallTime{std::chrono::seconds{time.seconds()}} - wall_now();
  return away.count() > 0 ? "in " + short_duration(away) : short_duration(-away) + " ago";
}

Result<std::pair<std::string, std::string>> label_of(const std::string& word) {
  const std::size_t equals = word.find('=');
  if (equals == std::string::npos || equals == 0) {
    return fail(Code::invalid_argument, fmt::format("\"{}\" is no label", printable(word, 100)))
        .with_hint("write KEY=VALUE");
  }
  return std::pair{word.substr(0, equals), word.substr(equals + 1)};
}

void add_registry(Command& root, Session& session) {
  const auto registry = std::make_shared<RegistrySession>(session);
  Command group =
      root.add("registry", "Nodes, policies, tokens, operators and CAs of a registry, as one of its operators");
  add_registry_nodes(group, registry);
  add_registry_policies(group, registry);
  add_registry_tokens(group, registry);
  add_registry_operators(group, registry);
  add_registry_authorities(group, registry);
  add_registry_backup(group, registry);
  group
      .example(
          "omnitide-agent registry nodes\n"
          "omnitide-agent registry tokens create --uses 10 --expires 2h > join-token")
      .footnote(
          "Without --endpoint: the registry that the agent here embeds or is registered with. Without\n"
          "--operator-dir: the embedded registry's, ~/.config/omnitide, or STATE_DIR/operator.");
}

}  // namespace omnitide::cli
