#include "agent/config/collector_keys.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <deque>
#include <utility>

#include "agent/base/pattern.hpp"
#include "agent/base/text.hpp"
#include "agent/config/values.hpp"

namespace omnitide::config {

namespace {

using model::CollectorFlag;
using model::FlagKind;
using model::kCollectorFlags;
using model::kCollectorSwitches;

std::vector<std::string> names_of(bool on) {
  std::vector<std::string> out;
  for (const model::CollectorSwitch& each : kCollectorSwitches)
    if (each.on == on) out.emplace_back(each.name);
  return out;
}

// Which collectors are to differ from the default: `on` those that are off by default.
void set_switches(Config& config, const Value& value, Problems& problems, bool on) {
  std::vector<std::string> wanted;
  read_words(value, names_of(!on), wanted, problems);
  for (std::size_t i = 0; i < kCollectorSwitches.size(); ++i) {
    const model::CollectorSwitch& each = kCollectorSwitches.at(i);
    if (each.on == on) continue;
    config.metrics.collectors.on.at(i) = std::ranges::find(wanted, each.name) != wanted.end() ? on : each.on;
  }
}

Value show_switches(const Config& config, bool on) {
  Value out;
  out.kind = Value::Kind::list;
  for (std::size_t i = 0; i < kCollectorSwitches.size(); ++i) {
    const model::CollectorSwitch& each = kCollectorSwitches.at(i);
    if (each.on != on && config.metrics.collectors.on.at(i) == on)
      out.items.push_back(Value::scalar(std::string(each.name), true));
  }
  return out;
}

void read_text(const Value& value, std::string_view right, Result<> (*check)(std::string_view), std::string& out,
               Problems& problems) {
  if (value.kind != Value::Kind::scalar) {
    problems.push_back({value.line, "", fmt::format("is {}", kind_name(value)), fmt::format("give {}", right)});
    return;
  }
  if (const Result<> good = check(value.text); good.has_error())
    problems.push_back({value.line, "", good.error().message, fmt::format("give {}", right)});
  else
    out = value.text;
}

Result<> check_pattern(std::string_view text) {
  const Result<Pattern> pattern = Pattern::compile(text);
  return pattern.has_error() ? Result<>(pattern.error()) : Result<>{};
}

Result<> check_ipvs_labels(std::string_view text) {
  const std::vector<std::string_view> known = split(model::kIpvsLabels, ',');
  for (const std::string_view label : split(text, ',')) {
    if (std::ranges::find(known, label) == known.end())
      return fail(Code::invalid_argument, fmt::format("names \"{}\", which is no label", printable(label, 64)));
  }
  return {};
}

template <std::size_t I>
void set_flag(Config& config, const Value& value, Problems& problems) {
  std::string& out = config.metrics.collectors.values.at(I);
  if constexpr (kCollectorFlags[I].kind == FlagKind::boolean) {
    bool on = out == "true";
    read_boolean(value, on, problems);
    out = on ? "true" : "false";
  } else if constexpr (kCollectorFlags[I].kind == FlagKind::path) {
    read_path(value, true, kLongestPath, out, problems);
  } else if constexpr (kCollectorFlags[I].kind == FlagKind::pattern) {
    read_text(value, "a regular expression", check_pattern, out, problems);
  } else {
    read_text(value, fmt::format("some of {}", model::kIpvsLabels), check_ipvs_labels, out, problems);
  }
}

template <std::size_t I>
Value get_flag(const Config& config) {
  return Value::scalar(config.metrics.collectors.values.at(I), kCollectorFlags[I].kind != FlagKind::boolean);
}

std::string_view type_of(FlagKind kind) {
  switch (kind) {
    case FlagKind::boolean: return "boolean";
    case FlagKind::pattern: return "regular expression";
    case FlagKind::path: return "absolute path or empty";
    case FlagKind::ipvs_labels: break;
  }
  return "names with commas";
}

// Key holds views: the texts live here.
struct Texts {
  std::deque<std::string> kept;
  std::string_view keep(std::string text) { return kept.emplace_back(std::move(text)); }
};

template <std::size_t... I>
std::vector<Key> make_keys(Texts& texts, std::index_sequence<I...>) {
  std::vector<Key> out{
      Key{"metrics.collectors.enable", "list of collectors",
          texts.keep(
              fmt::format("Collectors that are off by default and shall be on: {}.", fmt::join(names_of(false), ", "))),
          "[]", "[systemd]", false, false, [](Config& c, const Value& v, Problems& p) { set_switches(c, v, p, true); },
          [](const Config& c) { return show_switches(c, true); }},
      Key{"metrics.collectors.disable", "list of collectors",
          texts.keep(
              fmt::format("Collectors that are on by default and shall be off: {}.", fmt::join(names_of(true), ", "))),
          "[]", "[hwmon, infiniband]", false, false,
          [](Config& c, const Value& v, Problems& p) { set_switches(c, v, p, false); },
          [](const Config& c) { return show_switches(c, false); }}};
  (out.push_back(Key{texts.keep(fmt::format("metrics.collectors.{}", kCollectorFlags[I].name)),
                     type_of(kCollectorFlags[I].kind), texts.keep(fmt::format("{}.", kCollectorFlags[I].what)), "", "",
                     false, false, set_flag<I>, get_flag<I>}),
   ...);
  return out;
}

}  // namespace

const std::vector<Key>& collector_keys() {
  static Texts texts;
  static const std::vector<Key> keys = make_keys(texts, std::make_index_sequence<kCollectorFlags.size()>{});
  return keys;
}

}  // namespace omnitide::config
