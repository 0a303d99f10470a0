// Lines of the table of `./dev bench`, and the figures in them.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <string_view>
#include <vector>

namespace omnitide::bench {

inline void row(std::string_view what, std::string_view ours, std::string_view peer = "-",
                std::string_view ratio = "-") {
  fmt::print("ROW\t{}\t{}\t{}\t{}\n", what, ours, peer, ratio);
}
// With an aim in milliseconds that the value should not pass.
inline void row(std::string_view what, double milliseconds, double aim) {
  row(what, fmt::format("{:.2f} ms", milliseconds), fmt::format("{:g} ms", aim),
      fmt::format("{:.2f}", milliseconds / aim));
}

template <class Work>
double milliseconds(Work&& work) {
  const auto begin = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin).count();
}

// p of 100: 50 is the median.
inline double percentile(std::vector<double> values, unsigned p) {
  std::ranges::sort(values);
  return values.at(std::min(values.size() - 1, values.size() * p / 100));
}

inline void print(std::string_view what, const std::vector<double>& times) {
  fmt::print("{:<58} p50 {:8.3f} ms   p99 {:8.3f} ms   max {:8.3f} ms   ({})\n", what, percentile(times, 50),
             percentile(times, 99), percentile(times, 100), times.size());
}

}  // namespace omnitide::bench
