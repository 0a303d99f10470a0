// Which samples are in Sparkplug, of which device they are, and how they are called there.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "agent/model/sample_batch.hpp"
#include "agent/telemetry/metric_name.hpp"
#include "agent/telemetry/metric_set.hpp"
#include "agent/telemetry/quantile.hpp"

namespace omnitide::telemetry {

// Globs with * and ?. One without "/" is matched against the family alone, any other against "family/label=value/...",
// as the labels stand before a device took one.
struct MetricSelection {
  // Samples of a family that matches, which differ in this label only, are added up and lose the label. Counters and
  // histograms only; others that have the label are left out.
  struct Sum {
    std::string family, label;
  };
  // Samples of a family that matches belong to the device "KIND:VALUE" of this label, and lose the label.
  struct Device {
    std::string family, label, kind;
  };
  std::vector<std::string> include, exclude;
  std::vector<Sum> sums;
  std::vector<Device> devices;         // the first that matches
  std::vector<std::string> no_device;  // globs of device ids: what belongs to one is left out
  std::size_t most = 1'000;            // metrics; what is beyond is left out and counted
};

// What an operator wants to see of a machine, without anything that comes and goes with pods and containers. Under 300
// metrics on a usual machine. In docs/sparkplug.md.
[[nodiscard]] MetricSelection default_selection();

// Keeps per family what the globs say, and per histogram the last distribution.
class MetricSelector {
 public:
  explicit MetricSelector(MetricSelection selection);
  MetricSelector(MetricSelector&&) noexcept = default;
  MetricSelector& operator=(MetricSelector&&) noexcept = default;
  MetricSelector(const MetricSelector&) = delete;  // families point into the selection
  MetricSelector& operator=(const MetricSelector&) = delete;
  ~MetricSelector() = default;

  // The metrics of one collection, each name once, in the order of the samples. A histogram gives /count and /sum since
  // its start, /p50 and /p99 of what was observed since the last call (null when nothing was). A value that is no
  // number or infinite is null. Call it once for a collection.
  [[nodiscard]] std::vector<NamedMetric> select(std::span<const model::SampleBatch* const> batches);
  // Whether the sample is in what select() gives, alone or as a part of a sum: the rest is for plain mode.
  [[nodiscard]] bool takes(const model::SampleView& sample);
  // Whether the id is one that `no_device` leaves out.
  [[nodiscard]] bool leaves_out(std::string_view device) const;
  [[nodiscard]] std::uint64_t beyond() const { return beyond_; }  // left out by `most` in the last select()

 private:
  struct Family {
    bool never = false;                  // no glob of `include` can match
    bool by_name = false;                // the labels decide
    bool fractional = false;             // a counter that has had a fraction: double from then on
    std::vector<std::string_view> sums;  // labels
    const MetricSelection::Device* device = nullptr;
  };
  // Values that become one metric.
  struct Row {
    const model::SampleView* first = nullptr;
    std::string device, name;
    double value = 0;
    OwnDistribution distribution;
  };
  [[nodiscard]] Family& family_of(const model::MetricDescriptor& descriptor);
  [[nodiscard]] bool wanted(const Family& family, const model::SampleView& sample);
  // False: the sample is left out. Else `device_` and `name_` are those of its metric.
  [[nodiscard]] bool name_of(const Family& family, const model::SampleView& sample);
  void add_row(const model::SampleView& sample);
  void emit(const Row& row, std::vector<NamedMetric>& out);
  void emit_distribution(const Row& row, std::vector<NamedMetric>& out);
  void emit_summary(const Row& row, std::vector<NamedMetric>& out);

  MetricSelection selection_;
  std::unordered_map<std::string, Family> families_;
  std::vector<Row> rows_;
  std::unordered_map<std::string, std::size_t> row_by_key_;
  std::map<std::string, OwnDistribution> last_, next_last_;  // by device and name
  std::string device_, name_, scratch_;                      // reused
  std::vector<Label> labels_;
  std::uint64_t beyond_ = 0;
};

}  // namespace omnitide::telemetry
