#include "agent/cli/metrics_text.hpp"

#include <fmt/format.h>

#include <cmath>

#include "agent/base/text.hpp"

namespace omnitide::cli {

namespace {

std::string labels_text(const MetricLabels& labels) {
  std::string out;
  for (const auto& [name, value] : labels)
    out += fmt::format("{}{}={}", out.empty() ? "" : " ", name, value.empty() ? "\"\"" : value);
  return out;
}

// The number as it is, and beside it what people read more easily.
std::string number_text(double value, std::string_view unit) {
  const bool whole = std::abs(value) < 9e15 && value == std::floor(value);
  std::string out = whole ? fmt::format("{:.0f}", value) : fmt::format("{}", value);
  if (unit == "bytes" && value >= 1024) out += fmt::format("  ({})", bytes_text(value));
  return out;
}

std::string in_unit(double value, std::string_view unit) {
  if (unit == "seconds") return seconds_text(value);
  return unit == "bytes" ? bytes_text(value) : count_text(value);
}

std::string distribution_text(const MetricFamily& family, const MetricValue& value) {
  if (family.type == "summary") {
    std::string out = fmt::format("{} times", count_text(value.count));
    for (const auto& [at, quantile] : value.points)
      out += fmt::format("{} p{:g} {}", out.empty() ? "" : ",", at * 100, in_unit(quantile, family.unit));
    return out;
  }
  if (!(value.count > 0)) return "none yet";
  std::string out =
      fmt::format("{} times, mean {}", count_text(value.count), in_unit(value.sum / value.count, family.unit));
  for (const auto& [q, name] : {std::pair(0.5, "p50"), std::pair(0.9, "p90"), std::pair(0.99, "p99")}) {
    if (const auto at = quantile(value, q)) out += fmt::format(", {} {}", name, in_unit(*at, family.unit));
  }
  return out;
}

}  // namespace

std::string metrics_text(const MetricSet& set, const Console& console) {
  std::string out;
  for (const auto& [name, family] : set) {
    if (!out.empty()) out += '\n';
    out += fmt::format("{}  {}{}{}\n", console.paint(printable(name), Style::bold), family.type,
                       family.unit.empty() ? "" : ", ", family.unit);
    const std::size_t width = console.width > 4 ? console.width - 2 : 118;
    if (!family.help.empty()) {
      for (const std::string& line : wrap(printable(family.help), width))
        out += "  " + console.paint(line, Style::dim) + "\n";
    }
    const bool distributed = family.type == "histogram" || family.type == "summary";
    Table table({{""}, {"", false, true}}, 4);
    for (const MetricValue& value : family.values) {
      table.row({labels_text(value.labels),
                 distributed ? distribution_text(family, value) : number_text(value.value, family.unit)});
    }
    out += table.render(console);
  }
  return out;
}

}  // namespace omnitide::cli
