#include "agent/cli/policy_objects.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <utility>
#include <vector>

#include "agent/base/clock.hpp"
#include "agent/base/text.hpp"
#include "omnitide/node/v1/local.pb.h"

namespace omnitide::cli {

namespace v1 = node::v1;

namespace {

constexpr std::uint8_t kFileRank = 0, kRegistryRank = 1, kKubernetesRank = 2;  // in this order they count

Result<std::string> read_standard_input(std::size_t limit) {
  std::string out;
  std::array<char, 65536> piece{};
  while (true) {
    const ssize_t got = ::read(STDIN_FILENO, piece.data(), piece.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail_errno(errno, "cannot read standard input");
    if (got == 0) return out;
    out.append(piece.data(), static_cast<std::size_t>(got));
    if (out.size() > limit)
      return fail(Code::resource_exhausted, fmt::format("standard input is longer than {}", human_bytes(limit)));
  }
}

// What the registry and the Kubernetes API server told the agent that runs; nothing when none does, or policy is off.
std::vector<policy::SourceUpdate> agent_documents(const Session& session) {
  std::vector<policy::SourceUpdate> out;
  const Result<std::string> answer = session.agent_request("GET", "/v1/policy/documents", "");
  v1::PolicyTextList list;
  if (answer.has_error() || !list.ParseFromString(*answer)) return out;
  for (const v1::PolicyText& document : list.items()) {
    const bool kubernetes = document.name().starts_with("kubernetes:");
    const std::string name = kubernetes ? document.name() : "registry:" + document.name();
    out.push_back(
        {policy::Source{kubernetes ? kKubernetesRank : kRegistryRank, name}, policy::parse(document.text(), name)});
  }
  return out;
}

Result<policy::Loaded> load_configured(const Session& session) {
  const config::Loaded config = session.load_config();
  if (!config.valid()) {
    Error error = fail(Code::invalid_argument, "the configuration that names policy.directory is wrong");
    error.hint = "`omnitide-agent config check` says how; or name the files by --objects";
    return error;
  }
  const std::string& directory = config.config.policy.directory;
  policy::Loaded out;
  if (!directory.empty()) {
    Result<policy::Loaded> files = policy::load_objects(directory, wall_now());
    if (files.has_error()) {
      Error error = files.error();
      error.hint = "that is policy.directory of the configuration; name another one by --objects DIR";
      return error;
    }
    out = std::move(*files);
  }
  std::vector<policy::SourceUpdate> documents = agent_documents(session);
  if (directory.empty() && documents.empty()) {
    Error error = fail(Code::failed_precondition,
                       "there are no policies: policy.directory is not set, and no agent that has any answers");
    error.hint = "name a directory by --objects DIR";
    return error;
  }
  (void)out.store.apply(std::move(documents));
  return out;
}

void tell(const policy::Fault& fault) {
  if (fault.applied) return;
  const std::string where = fault.line == 0 ? fault.file : fmt::format("{}:{}", fault.file, fault.line);
  fmt::print(stderr, "{}: {}{}{}{}: left out of the answer\n", printable(where), printable(fault.object),
             fault.field.empty() ? "" : ": " + printable(fault.field), fault.object.empty() ? "" : ": ",
             printable(fault.message));
}

}  // namespace

Result<policy::Loaded> load_policy(const std::string& path) {
  if (path != "-") return policy::load_objects(path, wall_now());
  const Result<std::string> text = read_standard_input(policy::ParseLimits{}.bytes);
  if (text.has_error()) return text.error();
  policy::Loaded out;
  std::vector<policy::SourceUpdate> updates;
  updates.push_back({policy::Source{kFileRank, "standard input"}, policy::parse(*text, "standard input")});
  (void)out.store.apply(std::move(updates));
  return out;
}

Result<policy::Loaded> load_policy(const Session& session, const std::string& path) {
  Result<policy::Loaded> loaded = path.empty() ? load_configured(session) : load_policy(path);
  if (loaded.has_error()) return loaded;
  for (const policy::Fault& fault : loaded->faults)
    tell(fault);
  for (const policy::Fault& fault : loaded->store.faults())
    tell(fault);
  return loaded;
}

void add_objects_option(Command& command, std::string& path) {
  command.option("--objects", path, "DIR",
                 "Files of Kubernetes objects: a directory, a file, or - for standard input; without it what the agent "
                 "here goes by");
}

}  // namespace omnitide::cli
