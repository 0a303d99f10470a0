#include "tests/bench/load_report.hpp"

#include <fmt/format.h>

#include "agent/base/text.hpp"

namespace omnitide::bench {

void Report::add(std::string key, std::string what, double value, std::string unit, int decimals,
                 std::optional<Aim> aim) {
  rows_.push_back({std::move(key), std::move(what), std::move(unit), value, decimals, aim});
}

void Report::section(std::string title) { rows_.push_back({{}, std::move(title), {}, 0, 0, {}}); }

std::string Report::table() const {
  std::string out;
  for (const Row& row : rows_) {
    if (row.key.empty()) {
      out += fmt::format("\n{}\n", row.what);
      continue;
    }
    out += fmt::format("  {:<52} {:>12.{}f} {:<6}", row.what, row.value, row.decimals, row.unit);
    if (row.aim) {
      const bool met = row.aim->at_least ? row.value >= row.aim->value : row.value <= row.aim->value;
      out += fmt::format("  aim: {} {:.0f}, {}", row.aim->at_least ? "at least" : "at most", row.aim->value,
                         met ? "met" : "missed");
    }
    while (out.back() == ' ')
      out.pop_back();
    out += '\n';
  }
  out += "\nRetried, by cause\n";
  for (const auto& [cause, count] : retries_)
    out += fmt::format("  {:<52} {:>12}\n", printable(cause, 52), count);
  if (retries_.empty()) out += "  nothing\n";
  return out;
}

std::string Report::json() const {
  std::string out = "{";
  for (const Row& row : rows_) {
    if (!row.key.empty()) out += fmt::format("{}: {:.{}f}, ", json_quote(row.key), row.value, row.decimals);
  }
  out += "\"retries\": {";
  const char* separator = "";
  for (const auto& [cause, count] : retries_) {
    out += fmt::format("{}{}: {}", separator, json_quote(cause), count);
    separator = ", ";
  }
  return out + "}}\n";
}

}  // namespace omnitide::bench
