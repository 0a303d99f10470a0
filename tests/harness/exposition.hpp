// A scrape as a test sees it: the text format of Prometheus read in the plainest way, without the program's own code.
#pragma once

#include <cmath>
#include <cstdlib>
#include <map>
#include <set>
#include <sstream>
#include <stdexcept>
#include <string>

namespace omnitide::test {

struct ScrapedFamily {
  std::string type;
  std::map<std::string, double> series;  // by `name{labels}`, labels sorted
};
using Scrape = std::map<std::string, ScrapedFamily>;

// `{b="2",a="1"}` -> `{a="1",b="2"}`; labels with an empty value are as if they were not there.
inline std::string sorted_labels(const std::string& text) {
  std::set<std::string> labels;
  for (std::size_t at = 1; at < text.size() && text[at] != '}';) {
    const std::size_t quote = text.find('"', at);
    std::size_t end = quote + 1;
    while (end < text.size() && text[end] != '"')
      end += text[end] == '\\' ? 2U : 1U;
    const std::string label = text.substr(at, end + 1 - at);
    if (!label.ends_with("=\"\"")) labels.insert(label);
    at = end + 1;
    if (at < text.size() && text[at] == ',') ++at;
  }
  std::string out;
  for (const std::string& label : labels)
    out += (out.empty() ? "{" : ",") + label;
  return out.empty() ? out : out + "}";
}

inline Scrape parse_scrape(const std::string& text) {
  Scrape out;
  std::istringstream lines(text);
  std::string family;
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("# TYPE ")) {
      const std::size_t blank = line.rfind(' ');
      family = line.substr(7, blank - 7);
      if (out.contains(family)) throw std::runtime_error("a family twice: " + family);
      out[family].type = line.substr(blank + 1);
    }
    if (line.empty() || line.front() == '#') continue;
    const std::size_t blank = line.rfind(' ');
    const std::size_t brace = line.find('{');
    const std::string name = line.substr(0, std::min(brace, line.find(' ')));
    if (!name.starts_with(family)) throw std::runtime_error("a sample outside of its family: " + line);
    const std::string labels =
        brace == std::string::npos ? std::string{} : sorted_labels(line.substr(brace, line.rfind('}') + 1 - brace));
    if (!out[family].series.emplace(name + labels, std::strtod(line.c_str() + blank, nullptr)).second)
      throw std::runtime_error("a series twice: " + line);
  }
  return out;
}

// Equal, or apart by the rounding of one operation.
inline bool same_value(double left, double right) {
  if (std::isnan(left) || std::isnan(right)) return std::isnan(left) && std::isnan(right);
  return left == right || std::abs(left - right) <= 4e-16 * std::max(std::abs(left), std::abs(right));
}

}  // namespace omnitide::test
