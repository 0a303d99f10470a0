// `maintenance`: what the package's oneshot units do as root. It takes nothing from outside: what is done stands in
// configuration that root alone can write.
#include <fmt/format.h>
#include <unistd.h>

#include "agent/base/clock.hpp"
#include "agent/base/clock_sync.hpp"
#include "agent/base/file.hpp"
#include "agent/base/root.hpp"
#include "agent/base/text.hpp"
#include "agent/base/trust.hpp"
#include "agent/cli/commands.hpp"
#include "agent/config/health_keys.hpp"
#include "health/maintenance/clean.hpp"
#include "health/maintenance/disk_report.hpp"
#include "health/maintenance/journal_vacuum.hpp"

namespace omnitide::cli {

namespace {

// Without the environment, which is not root's alone.
Result<config::RemediationConfig> root_config(const Session& session) {
  if (::geteuid() != 0)
    return fail(Code::permission_denied, "this is done as root").with_hint("systemctl start omnitide-agent-clean, ...");
  config::LoadOptions options = session.load_options();
  options.environment.clear();
  const config::Loaded loaded = config::load(options);
  if (!loaded.valid()) return fail(Code::invalid_argument, loaded.faults.front().text());
  for (const std::string& file : loaded.config.files)
    if (Result<> good = only_root_writes(file); good.has_error()) return std::move(good).error();
  return loaded.config.health.remediation;
}

int vacuum(const Session& session) {
  const Result<config::RemediationConfig> config = root_config(session);
  if (config.has_error()) return session.failed(config.error());
  if (config->vacuum_journal == 0)
    return session.print("Nothing to do: health.remediation.vacuum_journal is not set\n");
  const Result<> done = health::vacuum_journal(config->vacuum_journal);
  return done.has_error() ? session.failed(done.error()) : 0;
}

int clean(const Session& session) {
  const Result<config::RemediationConfig> config = root_config(session);
  if (config.has_error()) return session.failed(config.error());
  if (config->clean.empty()) return session.print("Nothing to do: health.remediation.clean is not set\n");
  // Ages are nothing to go by when the clock may be anywhere.
  if (!clock_in_step())
    return session.failed(
        fail(Code::failed_precondition,
             "no time service keeps the clock in step, so nobody knows how old a "
             "file is; nothing is removed")
            .with_hint("set up systemd-timesyncd or chrony: timedatectl shows whether it is in step"));
  int code = 0;
  for (const std::string& text : config->clean) {
    const std::optional<config::Cleaning> what = config::parse_cleaning(text);
    if (!what) continue;
    const Result<health::Cleaned> done = health::clean(what->path, what->older_than, wall_now());
    if (done.has_error()) {
      code = session.failed(done.error());
      continue;
    }
    (void)session.print(
        fmt::format("{}: {} files removed, {:.1f} MiB{}{}\n", printable(what->path), done->removed,
                    static_cast<double>(done->bytes) / (1U << 20U),
                    done->failed > 0 ? fmt::format(", {} could not be read or removed", done->failed) : "",
                    done->complete ? "" : ", and there is more than is done at once"));
  }
  return code;
}

// Reads nothing but the disks, so that no configuration is asked.
int smart(const Session& session) {
  constexpr const char* kFolder = "/run/omnitide-maintenance";
  if (::geteuid() != 0)
    return session.failed(
        fail(Code::permission_denied, "disks are asked by root").with_hint("systemctl start omnitide-agent-smart"));
  const Result<Root> root = Root::open("/");
  if (root.has_error()) return session.failed(root.error());
  const health::DiskReport report = health::read_disks(*root);
  for (const std::string& problem : report.problems)
    (void)session.print(fmt::format("{}, skipping\n", printable(problem)));
  Result<> written = make_folders(kFolder, 0755);
  if (written.has_value())
    written = write_file_durably(std::string(kFolder) + "/smart.prom", render(report, wall_now()), 0644);
  if (written.has_error()) return session.failed(written.error());
  return session.print(fmt::format("{} disks in {}/smart.prom\n", report.disks.size(), kFolder));
}

}  // namespace

void add_maintenance(Command& root, Session& session) {
  Command group = root.add("maintenance", "What the package's units do as root, when the agent or a timer starts them");
  group.example("systemctl start omnitide-agent-clean.service");
  Command vacuumed = group.add("vacuum", "Make the journal as small as health.remediation.vacuum_journal");
  session.add_location(vacuumed);
  vacuumed.example("omnitide-agent maintenance vacuum").action([&session] { return vacuum(session); });
  Command cleaned = group.add("clean", "Remove old files below the folders of health.remediation.clean");
  session.add_location(cleaned);
  cleaned.example("omnitide-agent maintenance clean").action([&session] { return clean(session); });
  group.add("smart", "Ask the disks for their wear, for the check disk-wear")
      .example("omnitide-agent maintenance smart")
      .action([&session] { return smart(session); });
}

}  // namespace omnitide::cli
