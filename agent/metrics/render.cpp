#include "agent/metrics/render.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <map>
#include <unordered_set>
#include <vector>

#include "agent/base/text.hpp"

namespace omnitide::metrics {

namespace {

bool is_name(std::string_view name, bool colon) {
  if (name.empty() || (name.front() >= '0' && name.front() <= '9')) return false;
  return std::all_of(name.begin(), name.end(), [colon](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           (colon && c == ':');
  });
}

bool is_valid(const model::MetricDescriptor& descriptor) {
  return is_name(descriptor.name, true) && std::all_of(descriptor.labels.begin(), descriptor.labels.end(),
                                                       [](std::string_view label) { return is_name(label, false); });
}

void append_escaped(std::string& out, std::string_view text, bool quotes) {
  for (const char c : text) {
    if (c == '\n') {
      out += "\\n";
      continue;
    }
    if (c == '\\' || (quotes && c == '"')) out += '\\';
    out += c;
  }
}

std::string series_of(const model::Sample& sample) {
  std::string out(sample.descriptor->name);
  if (sample.labels.empty()) return out;
  for (std::size_t i = 0; i < sample.labels.size(); ++i) {
    out += i == 0 ? '{' : ',';
    out += sample.descriptor->labels[i];
    out += "=\"";
    append_escaped(out, valid_utf8(sample.labels[i]), true);
    out += '"';
  }
  return out + '}';
}

// The shortest digits that read back as the same double.
void append_value(std::string& out, double value) {
  if (std::isnan(value)) {
    out += "NaN";
  } else if (std::isinf(value)) {
    out += value > 0 ? "+Inf" : "-Inf";
  } else {
    fmt::format_to(std::back_inserter(out), "{}", value);
  }
}

void append_head(std::string& out, const model::MetricDescriptor& family) {
  if (!family.help.empty()) {
    fmt::format_to(std::back_inserter(out), "# HELP {} ", family.name);
    append_escaped(out, valid_utf8(family.help), false);
    out += '\n';
  }
  fmt::format_to(std::back_inserter(out), "# TYPE {} {}\n", family.name,
                 family.type == model::MetricType::counter ? "counter" : "gauge");
}

}  // namespace

Rendered render(std::span<const model::Sample> samples) {
  Rendered out;
  std::map<std::string_view, std::vector<const model::Sample*>> families;
  for (const model::Sample& sample : samples) {
    const model::MetricDescriptor* descriptor = sample.descriptor;
    if (descriptor == nullptr || sample.labels.size() != descriptor->labels.size() || !is_valid(*descriptor)) {
      ++out.refused;
      continue;
    }
    families[descriptor->name].push_back(&sample);
  }
  std::unordered_set<std::string> seen;
  for (const auto& [name, members] : families) {
    const model::MetricDescriptor& family = *members.front()->descriptor;
    append_head(out.text, family);
    seen.clear();
    for (const model::Sample* sample : members) {
      std::string series = series_of(*sample);
      if (sample->descriptor->type != family.type || seen.contains(series)) {
        ++out.refused;
        continue;
      }
      out.text += series;
      out.text += ' ';
      append_value(out.text, sample->value);
      out.text += '\n';
      seen.insert(std::move(series));
    }
  }
  return out;
}

}  // namespace omnitide::metrics
