// What a host may ask of the node through Sparkplug. The session has held the name against the list of what is allowed.
#include <fmt/format.h>

#include <algorithm>

#include "agent/base/log.hpp"
#include "agent/base/text.hpp"
#include "agent/daemon/reboot.hpp"
#include "agent/daemon/telemetry_part.hpp"
#include "agent/telemetry/report.hpp"

namespace omnitide::daemon {

namespace asio = boost::asio;
using namespace std::chrono_literals;
using log::Part;

namespace {

constexpr std::chrono::milliseconds kShortest = 1s, kLongest = 24h;  // as telemetry.sparkplug.interval
constexpr std::size_t kMostBands = 64;

}  // namespace

void TelemetryPart::command(const std::string& name, const std::string& value) {
  Result<> done;
  if (name == "rebirth")
    publisher_->rebirth();
  else if (name == "rediscover")
    rediscover_();
  else if (name == "interval")
    done = change_interval(value);
  else if (name == "deadband")
    done = change_dead_bands(value);
  else if (name == "reboot")
    spawn(reboot());
  else
    done = fail(Code::unimplemented, "there is no such command");
  if (done.has_error())
    log::warning(Part::telemetry, "a host's command is refused",
                 {{"command", name}, {"value", printable(value, 200)}, {"reason", done.error().text()}});
  else
    log::info(Part::agent, "a host's command is carried out", {{"command", name}, {"value", printable(value, 200)}});
}

// Until the next reload or restart: what lasts stands in the configuration.
Result<> TelemetryPart::change_interval(const std::string& value) {
  const auto interval = parse_duration(value);
  if (!interval || *interval < kShortest || *interval > kLongest)
    return fail(Code::invalid_argument, "an interval is a duration from 1s to 24h");
  config_.sparkplug.interval = *interval;
  feed_.set_interval(*interval);
  tell_settings();
  return {};
}

// "PATTERN=BAND", several with commas: before those that there are.
Result<> TelemetryPart::change_dead_bands(const std::string& value) {
  if (const auto parsed = telemetry::parse_dead_band_list(value); parsed.has_error()) return parsed.error();
  std::vector<std::pair<std::string, std::string>> bands;
  for (const std::string_view item : split(value, ',')) {
    const std::string_view text = trim(item);
    const std::size_t equals = text.rfind('=');
    if (equals != std::string_view::npos) bands.emplace_back(text.substr(0, equals), text.substr(equals + 1));
  }
  for (const auto& old : config_.sparkplug.dead_bands) {
    const bool replaced = std::ranges::any_of(bands, [&old](const auto& band) { return band.first == old.first; });
    if (!replaced) bands.push_back(old);
  }
  if (bands.size() > kMostBands) return fail(Code::resource_exhausted, "there are at most 64 dead bands");
  config_.sparkplug.dead_bands = std::move(bands);
  tell_settings();
  return {};
}

// What hosts see in the birth, and what the publisher goes by.
void TelemetryPart::tell_settings() {
  std::string text;
  for (const auto& [pattern, band] : config_.sparkplug.dead_bands)
    text += fmt::format("{}{}={}", text.empty() ? "" : ",", pattern, band);
  publisher_->set_dead_bands(all_dead_bands(config_.sparkplug));
  publisher_->setting("interval", format_duration(config_.sparkplug.interval));
  publisher_->setting("deadband", std::move(text));
}

asio::awaitable<void> TelemetryPart::reboot() {
  log::warning(Part::agent, "a host asks for a reboot of the machine, asking logind");
  std::function<Result<int>()> job = []() -> Result<int> {
    const Result<> asked = reboot_by_logind();
    if (asked.has_error()) return asked.error();
    return 0;
  };
  const Result<int> asked = co_await pool_.run_for<int>(std::move(job), 10s);
  if (asked.has_error()) log::error(Part::agent, "the machine is not rebooted", {{"reason", asked.error().text()}});
}

}  // namespace omnitide::daemon
