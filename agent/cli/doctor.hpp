// What works on this machine and what is missing, as a list of checks with advice. Nothing is changed.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "agent/base/clock.hpp"
#include "agent/base/root.hpp"
#include "agent/cli/session.hpp"
#include "agent/config/load.hpp"

namespace omnitide::node::v1 {
class DoctorReport;
}

namespace omnitide::cli {

enum class Outcome : std::uint8_t { ok, warning, problem };

struct Check {
  std::string name;
  Outcome outcome = Outcome::ok;
  std::string finding;
  std::string advice;  // empty when all is well
};
using Checks = std::vector<Check>;

// What of a machine's own tree is asked beside its files.
struct MachineState {
  std::uint32_t uid = 0;
  std::uint64_t capabilities = 0;  // effective, as bits
  std::string kernel_release;
  std::uint64_t memlock_limit = 0;
  bool clock_synchronised = false;
  WallTime now{}, built{};
  [[nodiscard]] static MachineState read();
};

// Kernel, eBPF, init, cgroups, clock, other policy engines.
[[nodiscard]] Checks check_machine(const Root& root, const MachineState& state);
// Configuration, folders, files with secrets, disk space, ports, the registry's port.
[[nodiscard]] Checks check_configuration(const config::Loaded& loaded);
// The MQTT library, files of TLS and secrets, the brokers' ports.
[[nodiscard]] Checks check_telemetry(const config::Config& config);
// The running agent and its parts; a stopped one is a warning.
[[nodiscard]] Checks check_agent(const Session& session, const config::Config& config);
// Every source of discovery, and what eBPF can do.
[[nodiscard]] Checks check_discovery(const config::Config& config);

[[nodiscard]] Checks check_all(const Session& session);
void fill(const Checks& checks, node::v1::DoctorReport& out);
[[nodiscard]] std::string doctor_text(const Checks& checks, const Console& console);

// Whether the configured addresses can be listened on; asked when no agent holds them.
[[nodiscard]] Checks check_ports(const config::Config& config);

// Whether a TCP connection to the URL's host can be opened in time; looking up its name counts too.
[[nodiscard]] Result<> try_connect(const std::string& host, const std::string& port, std::chrono::milliseconds timeout);

// A file whose content is a secret: there, regular, and readable for its owner only. Nothing for an empty path.
[[nodiscard]] std::optional<Check> check_secret_file(const char* name, const std::string& path);

}  // namespace omnitide::cli
