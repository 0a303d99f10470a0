// The figures of a run, once: as a table for people or as one JSON object.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace omnitide::bench {

struct Aim {
  double value;
  bool at_least;  // else at most
};

class Report {
 public:
  // A figure: its name in JSON, what it is for people, its unit and how many decimals are worth printing.
  void add(std::string key, std::string what, double value, std::string unit, int decimals = 0,
           std::optional<Aim> aim = {});
  void section(std::string title);
  // Retries by cause.
  void set_retries(std::map<std::string, std::uint64_t> retries) { retries_ = std::move(retries); }
  [[nodiscard]] std::string table() const;
  [[nodiscard]] std::string json() const;

 private:
  struct Row {
    std::string key, what, unit;  // no key: a section
    double value = 0;
    int decimals = 0;
    std::optional<Aim> aim;
  };
  std::vector<Row> rows_;
  std::map<std::string, std::uint64_t> retries_;
};

}  // namespace omnitide::bench
