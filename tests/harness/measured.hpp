// Collections that a test makes up.
#pragma once

#include <chrono>
#include <initializer_list>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "agent/model/sample_batch.hpp"
#include "health/checks/readings.hpp"

namespace omnitide::test {

// Values of one moment.
class Measured {
 public:
  using Labels = std::initializer_list<std::pair<std::string_view, std::string_view>>;
  Measured&& add(std::string_view family, double value, Labels labels = {}) && {
    return std::move(add(family, value, labels));
  }
  Measured& add(std::string_view family, double value, Labels labels = {}) & {
    std::vector<std::string_view> names, values;
    for (const auto& [name, text] : labels) {
      names.push_back(name);
      values.push_back(text);
    }
    const model::MetricDescriptor& descriptor =
        batch_.describe({family, "", "of a test", model::MetricType::gauge, names});
    batch_.add(descriptor, value, values);
    return *this;
  }
  [[nodiscard]] health::Readings at(std::chrono::seconds time) const {
    view_ = &batch_;
    return {std::span<const model::SampleBatch* const>(&view_, 1), SteadyTime{} + std::chrono::hours(1) + time};
  }

 private:
  model::SampleBatch batch_;
  mutable const model::SampleBatch* view_ = nullptr;
};

}  // namespace omnitide::test
