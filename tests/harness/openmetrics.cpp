#include "tests/harness/openmetrics.hpp"

#include <array>
#include <cmath>
#include <optional>
#include <set>
#include <stdexcept>

#include "agent/base/text.hpp"
#include "tests/harness/openmetrics_line.hpp"

namespace omnitide::test {

namespace {

using Labels = std::map<std::string, std::string>;

const std::map<std::string, std::vector<std::string>>& suffixes() {
  static const std::map<std::string, std::vector<std::string>> kSuffixes{
      {"gauge", {""}},
      {"counter", {"_total", "_created"}},
      {"stateset", {""}},
      {"info", {"_info"}},
      {"histogram", {"_bucket", "_sum", "_count", "_created"}},
      {"gaugehistogram", {"_bucket", "_gsum", "_gcount"}},
      {"summary", {"", "_sum", "_count", "_created"}},
      {"unknown", {""}},
  };
  return kSuffixes;
}

// The buckets of one histogram, or the quantiles of one summary, as they come.
struct Group {
  Labels labels;  // without le and quantile
  std::optional<double> last_bound, last_value, count, sum;
  bool infinite = false, negative = false;
};

class Reader {
 public:
  std::vector<OpenFamily> read(std::string_view text);

 private:
  void line(std::string_view text);
  void metadata(std::string_view text);
  void sample(const std::string_view text);
  void start(const std::string& name);
  void check_value(const OpenLine& line, const std::string& suffix);
  void check_group(const OpenSample& sample, const std::string& suffix);
  void check_bound(const std::string& label, const OpenSample& sample);
  void end_group();
  void end_family();
  [[nodiscard]] bool belongs(const std::string& sample, std::string& suffix) const;

  std::vector<OpenFamily> families_;
  std::set<std::string> names_, taken_;  // of families; of all samples that they could have
  std::set<std::string> seen_lines_;     // kinds of metadata of this family
  std::set<std::pair<std::string, Labels>> series_;
  std::set<Labels> groups_;  // of this family, those that are over
  std::optional<Group> group_;
  bool open_ = false;
};

bool Reader::belongs(const std::string& sample, std::string& suffix) const {
  if (!open_) return false;
  const OpenFamily& family = families_.back();
  for (const std::string& end : suffixes().at(family.type)) {
    if (sample != family.name + end) continue;
    suffix = end;
    return true;
  }
  return false;
}

void Reader::start(const std::string& name) {
  end_family();
  need_metric_name(name);
  need(names_.insert(name).second, "family " + name + " again");
  families_.push_back({.name = name, .type = "unknown", .help = {}, .unit = {}, .samples = {}});
  open_ = true;
}

void Reader::metadata(std::string_view text) {
  need(text.size() > 7 && text[6] == ' ', "metadata has a kind and a name");
  const std::string kind(text.substr(2, 4));
  text.remove_prefix(7);
  const std::size_t blank = text.find(' ');
  need(blank != std::string_view::npos, "metadata without a value");
  const std::string name(text.substr(0, blank)), value(text.substr(blank + 1));
  if (!open_ || families_.back().name != name) start(name);
  OpenFamily& family = families_.back();
  need(family.samples.empty(), "metadata behind samples");
  need(seen_lines_.insert(kind).second, kind + " twice");
  if (kind == "TYPE") {
    need(suffixes().contains(value), "\"" + value + "\" is no type");
    family.type = value;
  } else if (kind == "HELP") {
    family.help = unescape(value);
  } else if (kind == "UNIT") {
    need(name.size() > value.size() + 1 && name.ends_with("_" + value), name + " does not end in its unit " + value);
    family.unit = value;
  } else {
    refuse("a comment");
  }
}

void Reader::check_bound(const std::string& label, const OpenSample& sample) {
  const auto found = sample.labels.find(label);
  need(found != sample.labels.end(), sample.name + " has no " + label);
  const std::string& text = found->second;
  const double bound = parse_real(text);
  need(text == "+Inf" || text.find_first_of(".e") != std::string::npos, text + " is not the canonical " + label);
  need(!group_->last_bound || bound > *group_->last_bound, label + " does not rise");
  group_->last_bound = bound;
  if (label == "quantile") return need(bound >= 0 && bound <= 1, "a quantile is from 0 to 1");
  need(!group_->last_value || sample.value >= *group_->last_value, "a bucket has less than the one before");
  group_->last_value = sample.value;
  group_->infinite = std::isinf(bound);
  group_->negative = group_->negative || bound < 0;
}

void Reader::check_group(const OpenSample& sample, const std::string& suffix) {
  Labels labels = sample.labels;
  const std::string& type = families_.back().type;
  if (type == "histogram") labels.erase("le");
  if (type == "summary") labels.erase("quantile");
  if (!group_ || group_->labels != labels) {
    end_group();
    need(!groups_.contains(labels), "samples of one metric are not together");
    group_.emplace().labels = labels;
  }
  if (type == "histogram" && suffix == "_bucket") check_bound("le", sample);
  if (type == "summary" && suffix.empty()) check_bound("quantile", sample);
  if (suffix == "_count") group_->count = sample.value;
  if (suffix == "_sum") group_->sum = sample.value;
}

void Reader::end_group() {
  if (!group_) return;
  if (families_.back().type == "histogram") {
    need(group_->infinite, "the last bucket is not +Inf");
    need(!group_->sum || group_->count, "a sum without a count");
    need(!group_->count || *group_->count == *group_->last_value, "the count is not what the +Inf bucket has");
    need(!group_->negative || !group_->sum, "a sum beside negative buckets");
  }
  groups_.insert(group_->labels);
  group_.reset();
}

void Reader::end_family() {
  if (!open_) return;
  end_group();
  const OpenFamily& family = families_.back();
  need(!family.samples.empty() || seen_lines_.contains("TYPE"), "a family with neither a type nor samples");
  need(family.unit.empty() || (family.type != "info" && family.type != "stateset"), family.type + " with a unit");
  for (const std::string& end : suffixes().at(family.type))
    need(taken_.insert(family.name + end).second, family.name + end + " is a sample of two families");
  seen_lines_.clear();
  series_.clear();
  groups_.clear();
  open_ = false;
}

void Reader::check_value(const OpenLine& line, const std::string& suffix) {
  const std::string& type = families_.back().type;
  const double value = line.sample.value;
  const bool counts = (type == "counter" && suffix == "_total") || suffix == "_bucket" || suffix == "_count";
  need(!counts || value >= 0, "a count is below zero or no number");
  if (!line.exemplar) return;
  need(suffix == "_bucket" || (type == "counter" && suffix == "_total"), "no place for an exemplar");
  if (suffix != "_bucket") return;
  need(line.exemplar->second <= parse_real(line.sample.labels.at("le")), "an exemplar is beyond its bucket");
}

void Reader::sample(const std::string_view text) {
  const OpenLine line = parse_sample(text);
  std::string suffix;
  if (!belongs(line.sample.name, suffix)) {
    start(line.sample.name);
    suffix.clear();
  }
  need(series_.emplace(line.sample.name, line.sample.labels).second, "a series twice");
  check_group(line.sample, suffix);
  check_value(line, suffix);
  families_.back().samples.push_back(line.sample);
}

void Reader::line(std::string_view text) {
  need(!text.empty(), "an empty line");
  need(valid_utf8(text) == text, "no UTF-8");
  text.starts_with('#') ? metadata(text) : sample(text);
}

std::vector<OpenFamily> Reader::read(std::string_view text) {
  std::size_t number = 0;
  bool ended = false;
  try {
    while (!text.empty()) {
      ++number;
      need(!ended, "something behind # EOF");
      const std::size_t end = text.find('\n');
      need(end != std::string_view::npos, "the last line has no end");
      if (text.substr(0, end) == "# EOF") {
        end_family();
        ended = true;
      } else {
        line(text.substr(0, end));
      }
      text.remove_prefix(end + 1);
    }
    need(ended, "no # EOF");
  } catch (const std::exception& problem) {
    throw std::runtime_error("line " + std::to_string(number) + ": " + problem.what());
  }
  return std::move(families_);
}

}  // namespace

std::vector<OpenFamily> parse_openmetrics(std::string_view text) { return Reader().read(text); }

}  // namespace omnitide::test
