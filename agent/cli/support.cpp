// `support`: all that somebody else needs to see, in one bounded file, with or without a running agent.
#include <dirent.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <memory>

#include "agent/base/clock.hpp"
#include "agent/base/file.hpp"
#include "agent/base/root.hpp"
#include "agent/base/text.hpp"
#include "agent/base/version.hpp"
#include "agent/cli/archive.hpp"
#include "agent/cli/commands.hpp"
#include "agent/cli/discovery_run.hpp"
#include "agent/cli/doctor.hpp"
#include "agent/cli/journal.hpp"
#include "agent/cli/redact.hpp"
#include "agent/cli/status_text.hpp"
#include "agent/cli/telemetry_commands.hpp"
#include "agent/codec/json.hpp"
#include "agent/config/render.hpp"
#include "discovery/inventory/ebpf_source.hpp"
#include "discovery/inventory/run_all.hpp"
#include "discovery/sources/catalogue.hpp"
#include "omnitide/node/v1/local.pb.h"

namespace omnitide::cli {

namespace {

constexpr std::size_t kMostMember = 2U << 20U, kMostTotal = 16U << 20U, kMostLogLines = 5000;
constexpr std::chrono::seconds kMostTime{30};
constexpr std::size_t kMostDescriptors = 200, kMostFiles = 500;

// Gathers members until size or time runs out; what failed or was left out stands in the manifest.
class Bundle {
 public:
  Bundle(std::string folder, WallTime now)
      : tar_(std::move(folder), std::chrono::floor<std::chrono::seconds>(now).time_since_epoch().count()) {}

  void add(const std::string& name, const std::function<Result<std::string>()>& make) {
    if (std::chrono::steady_clock::now() > deadline_) return note(name, "left out, no time was left");
    if (tar_.bytes() > kMostTotal) return note(name, "left out, the archive is full");
    const Result<std::string> content = make();
    if (content.has_error()) return note(name, content.error().text());
    std::string text = redact(*content);
    const bool cut = text.size() > kMostMember;
    if (cut) text.resize(kMostMember);
    note(name, cut ? fmt::format("cut at {}", human_bytes(kMostMember)) : human_bytes(text.size()));
    tar_.add(name, text);
  }
  [[nodiscard]] std::string finish() && {
    tar_.add("manifest.txt", manifest_);
    return std::move(tar_).finish();
  }

 private:
  void note(const std::string& name, std::string_view text) {
    manifest_ += fmt::format("{:<28} {}\n", printable(name, 200), printable(text, 500));
  }
  TarWriter tar_;
  std::string manifest_;
  std::chrono::steady_clock::time_point deadline_ = std::chrono::steady_clock::now() + kMostTime;
};

std::string agent_pid(const std::string& run_dir) {
  const Result<std::string> pid = read_file(run_dir + "/agent.lock", 64);
  const std::string_view text = pid.has_value() ? trim(*pid) : std::string_view{};
  if (!parse_number<unsigned>(text)) return {};
  const Result<std::string> name = read_file(fmt::format("/proc/{}/comm", text), 64);
  return name.has_value() && trim(*name).starts_with("omnitide-agent") ? std::string(text) : std::string{};
}

// Descriptors by target, and the kernel's word on each eBPF object.
Result<std::string> descriptors(const Root& root, const std::string& process) {
  const Result<std::vector<std::string>> names = root.list(process + "/fd");
  if (names.has_error()) return names.error();
  std::string out = fmt::format("{} descriptors\n", names->size());
  std::size_t shown = 0;
  for (const std::string& name : *names) {
    if (++shown > kMostDescriptors) break;
    const std::string target = root.link_target(process + "/fd/" + name);
    out += fmt::format("{} {}\n", name, printable(target, 300));
    if (target.find("bpf") == std::string::npos) continue;
    const Result<std::string> info = root.read(process + "/fdinfo/" + name);
    if (info.has_value()) out += *info;
  }
  return out;
}

Result<std::string> threads(const Root& root, const std::string& process) {
  std::string out;
  for (const std::string& id : root.names(process + "/task")) {
    out += fmt::format("{} {} {}\n", id, root.attribute(process + "/task/" + id + "/comm"),
                       root.attribute(process + "/task/" + id + "/wchan"));
  }
  return out;
}

// Names, sizes and modes below a folder, two levels deep; no content.
void list_folder(const std::string& path, int depth, std::string& out, std::size_t& count) {
  const Result<Root> root = Root::open(path);
  if (root.has_error()) {
    out += root.error().message + "\n";
    return;
  }
  for (const std::string& name : root->names("/")) {
    if (++count > kMostFiles) return;
    struct stat info {};
    const std::string full = path + "/" + name;
    if (::lstat(full.c_str(), &info) != 0) continue;
    const WallTime changed{std::chrono::seconds{info.st_mtim.tv_sec}};
    out += fmt::format("{:06o} {:>10} {} {}\n", info.st_mode, info.st_size, format_rfc3339(changed), printable(full));
    if (S_ISDIR(info.st_mode) && depth > 0) list_folder(full, depth - 1, out, count);
  }
}

void add_agent(Bundle& bundle, const Session& session) {
  node::v1::Status status;
  const Result<> got = session.agent_status(status);
  bundle.add("status.json", [&]() -> Result<std::string> {
    if (got.has_error()) return got.error();
    return codec::to_json(status, codec::JsonForm::pretty);
  });
  bundle.add("status.txt", [&]() -> Result<std::string> {
    if (got.has_error()) return got.error();
    return status_text(status, nullptr, wall_now(), Console{});
  });
  bundle.add("facts.json", [&]() -> Result<std::string> {
    node::v1::Discovery facts;
    if (const Result<> answered = session.agent_facts(facts); answered.has_error()) return answered.error();
    return codec::to_json(facts, codec::JsonForm::pretty);
  });
  bundle.add("telemetry.txt", [&]() -> Result<std::string> {
    if (got.has_error()) return got.error();
    if (!status.has_telemetry()) return std::string("telemetry is off\n");
    return telemetry_text(status.telemetry(), wall_now(), Console{});
  });
  bundle.add("events.txt", [&]() -> Result<std::string> {
    if (got.has_error()) return got.error();
    std::string out;
    for (const node::v1::Event& event : status.events()) {
      out += fmt::format("{} {:<7} {:<12} {}\n", format_rfc3339(WallTime{std::chrono::seconds{event.time().seconds()}}),
                         event.level(), event.part(), event.message());
    }
    return out;
  });
}

void add_machine(Bundle& bundle, const Session& session, const config::Config& config) {
  bundle.add("doctor.txt", [&]() -> Result<std::string> { return doctor_text(check_all(session), Console{}); });
  bundle.add("discover.json", [&]() -> Result<std::string> {
    const Result<Root> root = Root::machine(config.paths.host_root);
    if (root.has_error()) return root.error();
    std::vector<discovery::Source> sources = discovery::all_sources();
    sources.push_back(discovery::ebpf_source(config.paths.run_dir + "/ebpf-probe", false));
    discovery::Inventory inventory = discovery::run_all(*root, std::move(sources));
    node::v1::Discovery out;
    fill(inventory, out);
    return codec::to_json(out, codec::JsonForm::pretty);
  });
  bundle.add("journal.txt", [] { return read_journal(kMostLogLines, kMostMember); });
  for (const char* name : {"version", "uptime", "loadavg", "meminfo", "self/mountinfo", "net/dev", "net/snmp",
                           "pressure/cpu", "pressure/memory", "pressure/io"}) {
    std::string member = fmt::format("proc/{}", name);
    std::ranges::replace(member.begin() + 5, member.end(), '/', '-');
    bundle.add(member, [name] { return read_file(fmt::format("/proc/{}", name), kMostMember); });
  }
  bundle.add("state-files.txt", [&]() -> Result<std::string> {
    std::string out;
    std::size_t count = 0;
    list_folder(config.paths.state_dir, 2, out, count);
    list_folder(config.paths.run_dir, 1, out, count);
    return out;
  });
  bundle.add("bpf-pins.txt", []() -> Result<std::string> {
    std::string out;
    std::size_t count = 0;
    list_folder("/sys/fs/bpf", 2, out, count);
    return out;
  });
}

void add_process(Bundle& bundle, const std::string& pid) {
  const Result<Root> root = Root::open("/");
  if (pid.empty() || root.has_error()) return;
  const std::string process = "/proc/" + pid;
  for (const char* name : {"status", "stat", "smaps_rollup", "limits", "io", "cgroup", "sched", "oom_score_adj"}) {
    bundle.add(fmt::format("agent/{}", name),
               [&] { return root->read(fmt::format("{}/{}", process, name), kMostMember); });
  }
  bundle.add("agent/fd.txt", [&] { return descriptors(*root, process); });
  bundle.add("agent/threads.txt", [&] { return threads(*root, process); });
}

int support(const Session& session, const std::string& file) {
  const WallTime now = wall_now();
  const config::Loaded loaded = session.load_config();
  std::string stamp = format_rfc3339(now).substr(0, 19);
  std::erase_if(stamp, [](char c) { return c == '-' || c == ':'; });
  Bundle bundle(fmt::format("omnitide-support-{}-{}", loaded.config.node.name.substr(0, 30), stamp), now);
  bundle.add("version.txt", [&]() -> Result<std::string> {
    return fmt::format("omnitide-agent {} {}\nbuilt {}\ncollected {}\n", version(), commit(),
                       format_rfc3339(build_time()), format_rfc3339(now));
  });
  bundle.add("config.yaml", [&]() -> Result<std::string> {
    std::string out = config::show_yaml(loaded);
    for (const config::Fault& fault : loaded.faults)
      out += fmt::format("# fault: {}\n", fault.text());
    return out;
  });
  add_agent(bundle, session);
  add_machine(bundle, session, loaded.config);
  add_process(bundle, agent_pid(session.run_dir()));
  const Result<std::string> packed = gzip(std::move(bundle).finish());
  if (packed.has_error()) return session.failed(packed.error());
  if (file == "-") return session.print(*packed);
  if (const Result<> wrote = write_file_durably(file, *packed, 0600); wrote.has_error())
    return session.failed(wrote.error());
  return session.print(fmt::format("{} written, {}; it holds no keys, tokens or passwords. Look into it: tar tzf {}\n",
                                   printable(file), human_bytes(packed->size()), printable(file)));
}

}  // namespace

void add_support(Command& root, Session& session) {
  const auto file = std::make_shared<std::string>();
  Command command = root.add("support", "Pack what is needed to find a fault into one file; works with the agent dead");
  session.add_location(command);
  command.option("-o,--output", *file, "FILE", "The archive to write, mode 0600; - for standard output")
      .required("--output")
      .example("sudo omnitide-agent support -o support.tar.gz")
      .footnote(
          "Status, checks, configuration, last events and log, facts, memory and descriptors of the agent.\n"
          "Secrets are taken out. At most 16 MiB before compression, and 30 s.")
      .action([&session, file] { return support(session, *file); });
}

}  // namespace omnitide::cli
