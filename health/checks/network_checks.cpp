// Routes, name servers, links and the clock.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <memory>

#include "health/checks/checks.hpp"
#include "health/checks/probes.hpp"

namespace omnitide::health {

namespace {

using namespace std::chrono_literals;

constexpr double kMostUncertain = 3;    // seconds
constexpr std::size_t kMostNamed = 16;  // devices in the evidence of one finding

Evidence devices(const std::vector<std::string>& names) {
  Evidence out;
  for (const std::string& name : names)
    out.emplace_back("device", name);
  return out;
}

// A node that never had a default route is not meant to have one.
struct Route {
  bool had = false;

  Finding look(const Readings& readings) {
    double routes = 0;
    bool read = false;
    readings.each(kDefaultRoutes, [&](const model::SampleView& sample) {
      routes += sample.value;
      read = true;
    });
    if (!read) return unknown("the routes were not read");
    had = had || routes > 0;
    if (routes > 0) return good("RouteExists", "there is a default route");
    if (!had) return good("NoRouteExpected", "there was no default route since the agent started");
    return bad("NoDefaultRoute", "the default route is gone", {{"routes", "0"}});
  }
};

Finding look_at_resolver(const Readings& readings) {
  const auto servers = readings.value(kNameServers);
  if (!servers) return unknown("/etc/resolv.conf was not read");
  if (*servers == 0) return bad("NoNameServer", "/etc/resolv.conf names no server", {{"servers", "0"}});
  return good("NameServersNamed", fmt::format("{:.0f} name servers are named", *servers));
}

struct Links {
  double most;  // errors a second
  Rates rates;

  Finding look(const Readings& readings) {
    constexpr std::array<std::string_view, 2> kFamilies{"node_network_receive_errs_total",
                                                        "node_network_transmit_errs_total"};
    std::string device;
    double worst = 0;
    std::size_t read = 0;
    for (const std::string_view family : kFamilies) {
      readings.each(family, [&](const model::SampleView& sample) {
        ++read;
        const std::string name(label(sample, "device"));
        const auto rate = rates.rate(name + ' ' + std::string(family), sample.value, readings.time());
        if (!rate || *rate <= worst) return;
        worst = *rate;
        device = name;
      });
    }
    rates.forget_older(readings.time());
    if (read == 0) return unknown("the network devices were not read");
    if (worst > most)
      return bad("LinkErrors", fmt::format("{} has {:.0f} errors a second", device, worst),
                 {{"device", device}, {"errors_per_second", fmt::format("{:.1f}", worst)}});
    return good("LinksWithoutErrors", "no network device has many errors");
  }
};

// A link whose carrier comes and goes: a loose plug, a dying transceiver, two ends that do not agree. Whoever unplugs a
// cable makes two changes, and makes them once.
struct Flaps {
  Rates rates;
  static constexpr double kMost = 2.0 / 15;  // changes a second

  Finding look(const Readings& readings) {
    std::string device;
    double worst = 0;
    std::size_t read = 0;
    readings.each("node_network_carrier_changes_total", [&](const model::SampleView& sample) {
      ++read;
      const std::string name(label(sample, "device"));
      const auto rate = rates.rate(name, sample.value, readings.time());
      if (!rate || *rate <= worst) return;
      worst = *rate;
      device = name;
    });
    rates.forget_older(readings.time());
    if (read == 0) return unknown("the network devices were not read");
    if (worst >= kMost * 0.9)  // a round may be a little late
      return bad("LinkFlaps",
                 fmt::format("the carrier of {} comes and goes, {:.0f} changes a minute", device, worst * 60),
                 {{"link", device}, {"changes_per_minute", fmt::format("{:.0f}", worst * 60)}});
    return good("LinksAreSteady", "the carrier of no link comes and goes");
  }
};

// A link that has lost its carrier although its device is up, after it had one.
struct Carriers {
  std::map<std::string, bool, std::less<>> had;

  Finding look(const Readings& readings) {
    std::vector<std::string> lost;
    std::map<std::string, bool, std::less<>> now;
    readings.each("node_network_carrier", [&](const model::SampleView& sample) {
      const std::string_view device = label(sample, "device");
      const auto known = had.find(device);
      const bool carried = sample.value != 0 || (known != had.end() && known->second);
      now.emplace(device, carried);
      if (carried && sample.value == 0 && lost.size() < kMostNamed && std::ranges::find(lost, device) == lost.end())
        lost.emplace_back(device);
    });
    had = std::move(now);
    if (had.empty()) return unknown("the network devices were not read");
    if (!lost.empty())
      return bad("CarrierLost", fmt::format("{} is up and has lost its carrier", lost.front()), devices(lost));
    return good("LinksHaveCarrier", "no link has lost its carrier");
  }
};

Finding look_at_clock(const Readings& readings, std::chrono::duration<double> most) {
  const auto synchronised = readings.value("node_timex_sync_status");
  const auto error = readings.value("node_timex_maxerror_seconds");
  const auto offset = readings.value("node_timex_offset_seconds");
  if (!synchronised) return unknown("the kernel's clock was not asked");
  const std::string off = fmt::format("{:.3f} s", offset.value_or(0));
  if (*synchronised == 0)
    return bad("ClockNotSynchronised", "no time service keeps the clock in step",
               {{"max_error", fmt::format("{:.3f} s", error.value_or(0))}, {"offset", off}});
  if (std::abs(offset.value_or(0)) > most.count())
    return bad("ClockOff", fmt::format("the clock is off by {}", off), {{"offset", off}});
  // The kernel lets the bound of the error grow while the time service does not renew it: systemd-timesyncd's reaches a
  // second.
  if (error.value_or(0) > kMostUncertain)
    return bad("ClockUncertain",
               fmt::format("the clock may be off by {:.1f} s: its time service was not heard for a while", *error),
               {{"max_error", fmt::format("{:.3f} s", *error)}, {"offset", off}});
  return good("ClockSynchronised", fmt::format("the clock is in step, off by {}", off));
}

}  // namespace

std::vector<Check> network_checks(const Thresholds& thresholds) {
  const auto route = std::make_shared<Route>();
  const auto links = std::make_shared<Links>(Links{thresholds.link_errors, {}});
  const auto carriers = std::make_shared<Carriers>();
  const auto flaps = std::make_shared<Flaps>();
  return {Check{"default-route",
                "NetworkUnavailable",
                "The default route, where there was one",
                15s,
                {1, 1},
                {std::string(kRoutesProbe)},
                [route](const Readings& readings) { return route->look(readings); }},
          Check{"resolver",
                "DNSUnavailable",
                "Name servers in /etc/resolv.conf",
                60s,
                {2, 1},
                {std::string(kRoutesProbe)},
                look_at_resolver},
          Check{"link-errors",
                "NetworkDegraded",
                "Errors of network devices",
                15s,
                {2, 3},
                {"netdev"},
                [links](const Readings& readings) { return links->look(readings); }},
          Check{"carrier",
                "NetworkDegraded",
                "Links that have lost their carrier",
                15s,
                {2, 1},
                {"netclass"},
                [carriers](const Readings& readings) { return carriers->look(readings); }},
          Check{"link-flaps",
                "NetworkDegraded",
                "Links whose carrier comes and goes",
                15s,
                {2, 4},
                {"netclass"},
                [flaps](const Readings& readings) { return flaps->look(readings); }},
          // A time service takes a while after the boot.
          Check{"clock",
                "NTPProblem",
                "Whether a time service keeps the clock in step",
                60s,
                {5, 1},
                {"timex"},
                [most = thresholds.clock_error](const Readings& readings) { return look_at_clock(readings, most); }}};
}

}  // namespace omnitide::health
