// The eBPF collectors as a test sees them: some of them open, and what they say.
#pragma once

#include <sys/utsname.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <functional>
#include <map>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "agent/model/sample_batch.hpp"
#include "ebpf/collectors/catalogue.hpp"

namespace omnitide::test {

// Of the running kernel, by its number: for what a test expects, never for what the agent does.
inline bool kernel_at_least(unsigned major, unsigned minor) {
  utsname names{};
  unsigned has_major = 0, has_minor = 0;
  if (::uname(&names) != 0 || std::sscanf(&names.release[0], "%u.%u", &has_major, &has_minor) != 2) return false;
  return has_major > major || (has_major == major && has_minor >= minor);
}

class Collected {
 public:
  using Labels = std::map<std::string, std::string>;

  // Opens these and no others; throws when one of them is off. `functions`: as collectors::Options has it.
  explicit Collected(const std::vector<std::string_view>& only, std::uint32_t cgroups = 50, bool functions = true) {
    collectors::Options options{.cgroups = cgroups, .exclude = {}, .cgroup_root = {}, .functions = functions};
    for (const std::string_view name : collectors::names()) {
      if (std::ranges::find(only, name) == only.end()) options.exclude.emplace_back(name);
    }
    for (collectors::EbpfCollector& each : collectors::open_all(options)) {
      if (each.collector.collect)
        open_.push_back(std::move(each));
      else if (std::ranges::find(only, each.collector.name.substr(5)) != only.end())
        throw std::runtime_error(std::string(each.collector.name) + " is off: " + each.off);
    }
  }

  // Reads them anew.
  void read() {
    batch_.clear();
    for (collectors::EbpfCollector& each : open_) {
      const Result<> done = each.collector.collect(batch_);
      if (done.has_error()) throw std::runtime_error(std::string(each.collector.name) + ": " + done.error().text());
    }
    if (batch_.refused() != 0) throw std::runtime_error("samples with a wrong number of labels");
  }

  // Until what was read is so: for what the kernel does in its own time. In vain it ends too, for the test to say why.
  void read_until(const std::function<bool()>& done, std::chrono::seconds longest = std::chrono::seconds(20)) {
    const auto deadline = std::chrono::steady_clock::now() + longest;
    for (read(); !done() && std::chrono::steady_clock::now() < deadline; read())
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }

  // All samples of a family whose labels are these (and any others).
  [[nodiscard]] std::vector<const model::SampleView*> find(std::string_view name, const Labels& labels = {}) const {
    std::vector<const model::SampleView*> out;
    for (const model::SampleView& view : batch_.views()) {
      if (view.descriptor->name != name) continue;
      std::size_t matching = 0;
      for (std::size_t i = 0; i < view.labels.size(); ++i) {
        const auto wanted = labels.find(std::string(view.descriptor->labels[i]));
        matching += wanted != labels.end() && wanted->second == view.labels[i];
      }
      if (matching == labels.size()) out.push_back(&view);
    }
    return out;
  }
  // Sums over them: of values; of histograms, how many were observed, and their sum.
  [[nodiscard]] double value(std::string_view name, const Labels& labels = {}) const {
    double sum = 0;
    for (const auto* view : find(name, labels))
      sum += view->value;
    return sum;
  }
  [[nodiscard]] double count(std::string_view name, const Labels& labels = {}) const {
    double sum = 0;
    for (const auto* view : find(name, labels))
      sum += view->distribution->count;
    return sum;
  }
  [[nodiscard]] double sum(std::string_view name, const Labels& labels = {}) const {
    double total = 0;
    for (const auto* view : find(name, labels))
      total += view->distribution->sum;
    return total;
  }
  // Observations at or below a bound of the buckets.
  [[nodiscard]] double at_most(std::string_view name, double bound, const Labels& labels = {}) const {
    double sum = 0;
    for (const auto* view : find(name, labels)) {
      double below = 0;
      for (const auto& point : view->distribution->points)
        below = point.at <= bound * 1.000001 ? point.value : below;
      sum += below;
    }
    return sum;
  }
  [[nodiscard]] const model::SampleBatch& batch() const { return batch_; }
  // In which other way than its best one a collector works; empty: in none.
  [[nodiscard]] std::string how(std::string_view name) const {
    const auto found = std::ranges::find(open_, name, [](const auto& each) { return each.collector.name.substr(5); });
    return found == open_.end() ? std::string() : found->how;
  }

 private:
  std::vector<collectors::EbpfCollector> open_;
  model::SampleBatch batch_;
};

}  // namespace omnitide::test
