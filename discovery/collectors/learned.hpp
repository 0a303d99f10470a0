// Families whose names stand in the files themselves: /proc/meminfo, /proc/vmstat, /proc/net/snmp, ...
#pragma once

#include <cstddef>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

#include "agent/model/sample.hpp"

namespace omnitide::discovery {

// Remembers the descriptor of each field by its text in the file. Fields come in the same order each time, so that the
// next one is found without a search. The descriptors live as long as this.
class LearnedFamilies {
 public:
  struct Texts {
    std::string name, help;  // an empty name: the field is left out
    model::MetricType type = model::MetricType::gauge;
  };
  // `make(field)` is called for each new field. Null: the field is left out, since `make` says so, its name is no
  // metric's, or more than 4096 fields are known.
  template <class Make>
  [[nodiscard]] const model::MetricDescriptor* find(std::string_view field, Make&& make) {
    if (const Field* known = next(field)) return known->family ? &known->family->descriptor : nullptr;
    return learn(field, make(field));
  }
  void rewind() { cursor_ = 0; }  // before each reading

 private:
  struct Family {
    std::string name, help;
    model::MetricDescriptor descriptor;
  };
  struct Field {
    std::string text;
    std::unique_ptr<const Family> family;  // null: left out, as most are
  };
  [[nodiscard]] const Field* next(std::string_view field);
  [[nodiscard]] const model::MetricDescriptor* learn(std::string_view field, Texts texts);

  std::deque<Field> fields_;  // in the order of the file
  std::unordered_map<std::string_view, std::size_t> index_;
  std::size_t cursor_ = 0;
};

// Letters, digits and _, no digit in front.
[[nodiscard]] bool is_metric_name(std::string_view name);

}  // namespace omnitide::discovery
