#include "agent/cli/metric_set.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>

#include "agent/base/glob.hpp"
#include "agent/base/text.hpp"
#include "agent/cli/session.hpp"
#include "omnitide/node/v1/metrics.pb.h"

namespace omnitide::cli {

namespace v1 = node::v1;

namespace {

MetricValue value_from(const v1::MetricValue& in) {
  MetricValue out{.labels = {in.labels().begin(), in.labels().end()},
                  .value = in.value(),
                  .points = {},
                  .sum = in.sum(),
                  .count = in.count()};
  for (const v1::MetricPoint& point : in.points())
    out.points.emplace_back(point.at(), point.value());
  return out;
}

std::string scaled(double value, double unit, const std::vector<std::string_view>& names) {
  std::size_t at = 0;
  while (value >= unit && at + 1 < names.size()) {
    value /= unit;
    ++at;
  }
  return fmt::format("{:.{}f}{}", value, value < 9.95 && value > 0 ? 1 : 0, names[at]);
}

}  // namespace

Result<MetricSet> ask_metrics(const Session& session) {
  const Result<std::string> body = session.agent_request("GET", "/v1/metrics", "", {}, std::chrono::seconds(15));
  if (body.has_error()) return body.error();
  v1::MetricFamilyList list;
  if (!list.ParseFromString(*body)) return fail(Code::data_loss, "the agent's answer is no MetricFamilyList");
  MetricSet out;
  for (const v1::MetricFamily& family : list.items()) {
    MetricFamily& added = out[family.name()];
    added = {family.name(), family.type(), family.unit(), family.help(), {}};
    for (const v1::MetricValue& value : family.values())
      added.values.push_back(value_from(value));
  }
  return out;
}

bool matches(std::string_view pattern, std::string_view name) {
  if (pattern.find_first_of("*?") == std::string_view::npos) return name.find(pattern) != std::string_view::npos;
  return glob_matches(pattern, name);
}

std::optional<double> quantile(const MetricValue& histogram, double q) {
  if (!(histogram.count > 0) || histogram.points.empty()) return std::nullopt;
  const double rank = q * histogram.count;
  double below = 0, from = 0;
  for (const auto& [bound, count] : histogram.points) {
    if (count >= rank && count > below) return from + (bound - from) * (rank - below) / (count - below);
    below = count;
    from = bound;
  }
  return histogram.points.back().first;
}

std::string seconds_text(double seconds) {
  if (seconds < 1e-3) return scaled(seconds * 1e6, 1e9, {"us"});
  if (seconds < 1) return scaled(seconds * 1e3, 1e9, {"ms"});
  return scaled(seconds, 1e9, {"s"});
}

std::string count_text(double count) { return scaled(count, 1000, {"", "k", "M", "G", "T"}); }
std::string bytes_text(double bytes) { return human_bytes(static_cast<unsigned long long>(std::max(0.0, bytes))); }

}  // namespace omnitide::cli
