// Short forms for the descriptors of a collector.
#pragma once

#include <array>
#include <cstddef>
#include <span>
#include <string_view>

#include "agent/model/sample.hpp"

namespace omnitide::discovery {

using Labels = std::span<const std::string_view>;

inline constexpr std::array<std::string_view, 1> kByCpu{"cpu"};
inline constexpr std::array<std::string_view, 1> kByDevice{"device"};
inline constexpr std::array<std::string_view, 1> kByName{"name"};
inline constexpr std::array<std::string_view, 1> kByUuid{"uuid"};

// The unit that a name ends in, "_total" aside; empty when it ends in none.
[[nodiscard]] constexpr std::string_view unit_of(std::string_view name) {
  if (name.ends_with("_total")) name.remove_suffix(6);
  constexpr std::array<std::string_view, 12> kUnits{"seconds", "bytes", "celsius", "hertz", "ratio",   "volts",
                                                    "amps",    "watt",  "joules",  "bits",  "percent", "rpm"};
  for (const std::string_view unit : kUnits) {
    if (name.size() > unit.size() && name.ends_with(unit) && name[name.size() - unit.size() - 1] == '_') return unit;
  }
  return {};
}

[[nodiscard]] constexpr model::MetricDescriptor gauge(std::string_view name, std::string_view help,
                                                      Labels labels = {}) {
  return {name, unit_of(name), help, model::MetricType::gauge, labels};
}
[[nodiscard]] constexpr model::MetricDescriptor counter(std::string_view name, std::string_view help,
                                                        Labels labels = {}) {
  return {name, unit_of(name), help, model::MetricType::counter, labels};
}
[[nodiscard]] constexpr model::MetricDescriptor untyped(std::string_view name, std::string_view help,
                                                        Labels labels = {}) {
  return {name, unit_of(name), help, model::MetricType::unknown, labels};
}

// The addresses of all descriptors of some tables in static storage, in order.
template <std::size_t... N>
[[nodiscard]] constexpr auto pointers(const std::array<model::MetricDescriptor, N>&... tables) {
  std::array<const model::MetricDescriptor*, (N + ...)> out{};
  std::size_t at = 0;
  const auto take = [&out, &at](const auto& table) {
    for (const model::MetricDescriptor& each : table)
      out[at++] = &each;
  };
  (take(tables), ...);
  return out;
}

}  // namespace omnitide::discovery
