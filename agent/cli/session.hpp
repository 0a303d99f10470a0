// What all commands share: where the configuration and the agent are, how to print, how to fail.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>

#include "agent/base/error.hpp"
#include "agent/cli/cli.hpp"
#include "agent/cli/command.hpp"
#include "agent/cli/table.hpp"
#include "agent/config/load.hpp"

namespace google::protobuf {
class MessageLite;
}

namespace omnitide::node::v1 {
class Discovery;
class Status;
}  // namespace omnitide::node::v1

namespace omnitide::cli {

enum class Format : std::uint8_t { table, json, yaml, labels, prometheus };

// One invocation.
class Session {
 public:
  explicit Session(const Callbacks& callbacks);

  // Adds --config, --config-dir, --state-dir and --run-dir: what says which agent is meant.
  void add_location(Command& command);
  // Adds -o, with the choices given, e.g. "table|json|yaml".
  void add_format(Command& command, const std::string& choices = "table|json|yaml");

  // For what runs for long: is called when the tree of commands has been freed.
  void run_afterwards(std::function<int()> work) { afterwards_ = std::move(work); }
  [[nodiscard]] const std::function<int()>& afterwards() const { return afterwards_; }

  [[nodiscard]] const Callbacks& callbacks() const { return callbacks_; }
  [[nodiscard]] const Console& console() const { return console_; }
  [[nodiscard]] Format format() const;

  // With --state-dir alone the run folder is what the agent there says (STATE_DIR/run-dir), or STATE_DIR/run.
  [[nodiscard]] config::LoadOptions load_options() const;
  [[nodiscard]] config::Loaded load_config() const { return config::load(load_options()); }
  [[nodiscard]] bool config_given() const { return !options_.file.empty(); }
  // The run folder without reading configuration files unless they are needed to know it.
  [[nodiscard]] std::string run_dir() const;
  // The same, and where the node's file tree is seen.
  struct Paths {
    std::string run_dir, host_root;
  };
  [[nodiscard]] Paths paths() const;

  // Prints the message as JSON or YAML; table and labels are the command's own.
  [[nodiscard]] int print(const google::protobuf::MessageLite& message) const;
  [[nodiscard]] int print(std::string_view text) const;  // 0, or 1 when standard output takes no more
  // "omnitide-agent: SENTENCE" and "hint: ..." on standard error; returns the exit code that belongs to the error.
  [[nodiscard]] int failed(const Error& error) const;
  [[nodiscard]] int failed(const std::vector<config::Fault>& faults) const;

  // From the running agent, by its socket.
  [[nodiscard]] Result<> agent_status(node::v1::Status& out) const;
  [[nodiscard]] Result<> agent_facts(node::v1::Discovery& out) const;
  [[nodiscard]] Result<std::string> agent_request(const std::string& method, const std::string& path, std::string body,
                                                  const std::map<std::string, std::string>& query = {},
                                                  std::chrono::milliseconds timeout = std::chrono::seconds(5)) const;

 private:
  [[nodiscard]] Paths given_paths() const;

  const Callbacks& callbacks_;
  Console console_;
  config::LoadOptions options_;
  std::string format_ = "table";
  std::function<int()> afterwards_;
};

// "4s", "12m", "3h12m", "5d4h": the two largest units at most.
[[nodiscard]] std::string short_duration(std::chrono::milliseconds duration);

}  // namespace omnitide::cli
