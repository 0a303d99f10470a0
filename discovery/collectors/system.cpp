// The operating system, its kernel and its clock.
#include <fmt/format.h>
#include <sys/timex.h>
#include <sys/utsname.h>

#include <cerrno>
#include <ctime>

#include "discovery/collectors/collectors.hpp"
#include "discovery/collectors/families.hpp"
#include "discovery/collectors/scan.hpp"
#include "discovery/collectors/sysfs_class.hpp"

namespace omnitide::discovery {

namespace {

using model::SampleBatch;

constexpr std::array<std::string_view, 12> kOsLabels{"build_id",      "id",      "id_like",          "image_id",
                                                     "image_version", "name",    "pretty_name",      "variant",
                                                     "variant_id",    "version", "version_codename", "version_id"};
constexpr std::array<std::string_view, 3> kOsVersionLabels{"id", "id_like", "name"};
constexpr std::array kOs{
    gauge("node_os_info", "What os-release says about the system; the value is 1.", kOsLabels),
    gauge("node_os_version", "Major and minor version of the system as a number.", kOsVersionLabels)};
constexpr auto kOsAll = pointers(kOs);
constexpr std::array<std::string_view, 12> kOsFields{"BUILD_ID",      "ID",      "ID_LIKE",          "IMAGE_ID",
                                                     "IMAGE_VERSION", "NAME",    "PRETTY_NAME",      "VARIANT",
                                                     "VARIANT_ID",    "VERSION", "VERSION_CODENAME", "VERSION_ID"};

// One value of os-release(5): bare, or in quotes of either sort with backslashes.
std::string unquoted(std::string_view text) {
  text = trim(text);
  if (text.size() < 2 || (text.front() != '"' && text.front() != '\'') || text.back() != text.front())
    return valid_utf8(text);
  std::string out;
  for (std::size_t i = 1; i + 1 < text.size(); ++i) {
    if (text[i] == '\\' && text.front() == '"' && i + 2 < text.size()) ++i;
    out += text[i];
  }
  return valid_utf8(out);
}

// "12.5.1" -> 12.5
std::optional<double> version_number(std::string_view text) {
  const std::size_t major = text.find('.');
  if (major == std::string_view::npos) return text.empty() ? std::nullopt : value_of(text);
  return value_of(text.substr(0, text.find('.', major + 1)));
}

Result<> add_os(std::string_view text, SampleBatch& batch) {
  std::array<std::string, kOsFields.size()> values;
  each_line(text, [&](std::string_view line) {
    const std::string_view field = trim(cut(line, '='));
    for (std::size_t i = 0; i < kOsFields.size(); ++i)
      if (field == kOsFields.at(i)) values.at(i) = unquoted(line);
  });
  std::array<std::string_view, kOsFields.size()> labels;
  for (std::size_t i = 0; i < values.size(); ++i)
    labels.at(i) = values.at(i);
  batch.add(kOs[0], 1, labels);
  if (const auto version = version_number(values[11])) batch.add(kOs[1], *version, {values[1], values[2], values[5]});
  return {};
}

constexpr std::array<std::string_view, 6> kUnameLabels{"domainname", "machine", "nodename",
                                                       "release",    "sysname", "version"};
constexpr std::array kUname{gauge("node_uname_info", "What uname(2) says; the value is 1.", kUnameLabels)};
constexpr auto kUnameAll = pointers(kUname);

constexpr std::array<std::string_view, 1> kSystemByZone{"time_zone"};
constexpr std::array<std::string_view, 2> kBySource{"clocksource", "device"};
constexpr std::array kTime{
    gauge("node_time_seconds", "The time of the node, in seconds since 1970.", {}),
    gauge("node_time_zone_offset_seconds", "How far the node's zone is before UTC.", kSystemByZone),
    gauge("node_time_clocksource_available_info", "Sources of time that the kernel could use; the value is 1.",
          kBySource),
    gauge("node_time_clocksource_current_info", "The source of time that the kernel uses; the value is 1.", kBySource)};
constexpr auto kTimeAll = pointers(kTime);
constexpr const char* kSources = "/sys/devices/system/clocksource";

constexpr std::array kTimex{
    gauge("node_timex_sync_status", "1 when the clock is kept in step with a reliable one."),
    gauge("node_timex_offset_seconds", "Offset that is still to be worked off."),
    gauge("node_timex_frequency_adjustment_ratio", "How fast the clock is made to run."),
    gauge("node_timex_maxerror_seconds", "The error is at most this."),
    gauge("node_timex_estimated_error_seconds", "The error is believed to be this."),
    gauge("node_timex_status", "Bits of the clock's status (STA_* of adjtimex(2))."),
    gauge("node_timex_loop_time_constant", "Time constant of the phase-locked loop."),
    gauge("node_timex_tick_seconds", "Time between two ticks of the clock."),
    gauge("node_timex_pps_frequency_hertz", "Frequency of the pulse-per-second signal."),
    gauge("node_timex_pps_jitter_seconds", "Jitter of the pulse-per-second signal."),
    gauge("node_timex_pps_shift_seconds", "Length of the calibration interval, as a power of two."),
    gauge("node_timex_pps_stability_hertz", "How much the frequency of the pulses wanders."),
    counter("node_timex_pps_jitter_total", "Pulses whose jitter was too large."),
    counter("node_timex_pps_calibration_total", "Calibration intervals that were done."),
    counter("node_timex_pps_error_total", "Calibration intervals that failed."),
    counter("node_timex_pps_stability_exceeded_total", "Times that the pulses wandered too much."),
    gauge("node_timex_tai_offset_seconds", "International Atomic Time minus UTC.")};
constexpr auto kTimexAll = pointers(kTimex);

Result<> add_time(KeptFolders& sources, SampleBatch& batch) {
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  batch.add(kTime[0], static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9);
  std::tm local{};
  ::localtime_r(&now.tv_sec, &local);
  batch.add(kTime[1], static_cast<double>(local.tm_gmtoff), {local.tm_zone == nullptr ? "" : local.tm_zone});
  for (auto& [name, folder] : sources.all()) {
    const std::string_view device = std::string_view(name).substr(11);
    const std::string available = folder.label("available_clocksource");
    Words words(available);
    for (std::string_view source = words.next(); !source.empty(); source = words.next())
      batch.add(kTime[2], 1, {source, device});
    if (const std::string current = folder.label("current_clocksource"); !current.empty())
      batch.add(kTime[3], 1, {current, device});
  }
  return {};
}

Result<> add_timex(SampleBatch& batch) {
  timex state{};
  const int status = ::adjtimex(&state);
  if (status < 0) return fail_errno(errno, "cannot ask for the clock's state");
  const double unit = (state.status & STA_NANO) != 0 ? 1e9 : 1e6;
  constexpr double kScaledPpm = 1e6 * 65536;  // adjtimex(2): 2^-16 parts of a million
  const std::array<double, kTimex.size()> values{status == TIME_ERROR ? 0.0 : 1.0,
                                                 static_cast<double>(state.offset) / unit,
                                                 1 + static_cast<double>(state.freq) / kScaledPpm,
                                                 static_cast<double>(state.maxerror) / 1e6,
                                                 static_cast<double>(state.esterror) / 1e6,
                                                 static_cast<double>(state.status),
                                                 static_cast<double>(state.constant),
                                                 static_cast<double>(state.tick) / 1e6,
                                                 static_cast<double>(state.ppsfreq) / kScaledPpm,
                                                 static_cast<double>(state.jitter) / unit,
                                                 static_cast<double>(state.shift),
                                                 static_cast<double>(state.stabil) / kScaledPpm,
                                                 static_cast<double>(state.jitcnt),
                                                 static_cast<double>(state.calcnt),
                                                 static_cast<double>(state.errcnt),
                                                 static_cast<double>(state.stbcnt),
                                                 static_cast<double>(state.tai)};
  for (std::size_t i = 0; i < values.size(); ++i)
    batch.add(kTimex.at(i), values.at(i));
  return {};
}

}  // namespace

Collector os_collector(const Root& root) {
  struct State {
    KeptFile etc, usr;
  };
  const auto state =
      std::make_shared<State>(State{KeptFile(root, "/etc/os-release"), KeptFile(root, "/usr/lib/os-release")});
  const auto collect = [state](SampleBatch& batch) -> Result<> {
    Result<std::string_view> text = state->etc.read();
    if (text.has_error()) text = state->usr.read();
    return text.has_error() ? Result<>(text.error()) : add_os(*text, batch);
  };
  return {"os", kOsAll, collect, "/etc/os-release", kQuick};
}

Collector uname_collector(const Root&) {
  const auto collect = [](SampleBatch& batch) -> Result<> {
    utsname names{};
    if (::uname(&names) != 0) return fail_errno(errno, "cannot ask for the kernel's name");
    const char* domain = static_cast<const char*>(names.domainname);
    batch.add(kUname[0], 1,
              {domain, static_cast<const char*>(names.machine), static_cast<const char*>(names.nodename),
               static_cast<const char*>(names.release), static_cast<const char*>(names.sysname),
               static_cast<const char*>(names.version)});
    return {};
  };
  return {"uname", kUnameAll, collect, "uname(2)", kQuick};
}

Collector time_collector(const Root& root) {
  const auto sources = std::make_shared<KeptFolders>(root, kSources, "clocksource");
  return {"time", kTimeAll, [sources](SampleBatch& batch) { return add_time(*sources, batch); }, "clock_gettime(2)",
          kQuick};
}

Collector timex_collector(const Root&) { return {"timex", kTimexAll, add_timex, "adjtimex(2)", kQuick}; }

}  // namespace omnitide::discovery
