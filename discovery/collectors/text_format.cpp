#include "discovery/collectors/text_format.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

#include "agent/base/text.hpp"
#include "discovery/collectors/families.hpp"
#include "discovery/collectors/scan.hpp"

namespace omnitide::discovery {

namespace {

using model::MetricType;

constexpr std::size_t kMaxLabels = 64;

bool is_name(std::string_view text, bool colon) {
  if (text.empty() || (text.front() >= '0' && text.front() <= '9')) return false;
  return std::ranges::all_of(text, [colon](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           (colon && c == ':');
  });
}

std::string unescaped(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 1 < text.size() && (text[i + 1] == '\\' || text[i + 1] == 'n' || text[i + 1] == '"')) {
      out += text[i + 1] == 'n' ? '\n' : text[i + 1];
      ++i;
    } else {
      out += text[i];
    }
  }
  return out;
}

std::optional<double> number_of(std::string_view text) {
  const std::string lower = to_lower(text);
  if (lower == "nan") return std::numeric_limits<double>::quiet_NaN();
  if (lower == "+inf" || lower == "inf") return std::numeric_limits<double>::infinity();
  if (lower == "-inf") return -std::numeric_limits<double>::infinity();
  if (text.starts_with('+')) text.remove_prefix(1);
  return value_of(text);
}

std::optional<MetricType> type_from(std::string_view text) {
  if (text == "counter") return MetricType::counter;
  if (text == "gauge") return MetricType::gauge;
  if (text == "histogram") return MetricType::histogram;
  if (text == "summary") return MetricType::summary;
  if (text == "untyped") return MetricType::unknown;
  return std::nullopt;
}

class Parser {
 public:
  Result<std::map<std::string, TextFamily>> parse(std::string_view text) {
    std::string problem;
    std::size_t number = 0;
    each_line(text, [&](std::string_view line) {
      ++number;
      if (!problem.empty()) return;
      problem = take(trim(line));
      if (!problem.empty()) problem = fmt::format("line {}: {}", number, problem);
    });
    if (!problem.empty()) return fail(Code::invalid_argument, problem);
    std::erase_if(families_, [](const auto& each) { return each.second.samples.empty(); });
    return std::move(families_);
  }

 private:
  // What is wrong with the line, empty when nothing is.
  std::string take(std::string_view line) {
    if (line.empty()) return {};
    return line.front() == '#' ? take_comment(line.substr(1)) : take_sample(line);
  }

  std::string take_comment(std::string_view text) {
    Words words(text);
    const std::string_view keyword = words.next();
    if (keyword != "HELP" && keyword != "TYPE") return {};
    const std::string_view name = words.next();
    if (!is_name(name, true)) return "the name of a metric is none";
    TextFamily& family = of(std::string(name));
    if (keyword == "HELP") {
      if (family.has_help) return "a second HELP of one metric";
      family.has_help = true;
      family.help = unescaped(trim(words.rest()));
      return {};
    }
    const std::optional<MetricType> type = type_from(words.next());
    if (!type) return "the type is not known";
    if (!family.samples.empty() || !typed_.insert(family.name).second) return "the type comes too late or twice";
    family.type = *type;
    return {};
  }

  std::string take_sample(std::string_view line) {
    std::size_t end = 0;
    while (end < line.size() && line[end] != '{' && line[end] != ' ' && line[end] != '\t')
      ++end;
    const std::string_view name = line.substr(0, end);
    if (!is_name(name, true)) return "the name of a metric is none";
    std::string_view rest = trim(line.substr(end));
    TextSample sample;
    if (rest.starts_with('{')) {
      if (std::string problem = take_labels(rest, sample); !problem.empty()) return problem;
    }
    Words words(rest);
    const std::optional<double> value = number_of(words.next());
    if (!value) return "the value is no number";
    if (!words.next().empty()) return "it has a time of its own, which is not supported";
    sample.value = *value;
    TextFamily& family = family_of(name, sample.suffix);
    family.samples.push_back(std::move(sample));
    return {};
  }

  // `{name="value",...}`; `text` goes on behind it.
  static std::string take_labels(std::string_view& text, TextSample& sample) {
    text.remove_prefix(1);
    while (true) {
      text = trim(text);
      if (text.starts_with('}')) {
        text.remove_prefix(1);
        return {};
      }
      const std::size_t equals = text.find('=');
      if (equals == std::string_view::npos) return "labels do not end";
      const std::string_view name = trim(text.substr(0, equals));
      text = trim(text.substr(equals + 1));
      if (!is_name(name, false) || !text.starts_with('"')) return "a label is malformed";
      std::size_t end = 1;
      while (end < text.size() && text[end] != '"')
        end += text[end] == '\\' ? 2U : 1U;
      if (end >= text.size()) return "the value of a label does not end";
      const auto same = [name](const auto& label) { return label.first == name; };
      if (std::ranges::any_of(sample.labels, same)) return "a label comes twice";
      if (sample.labels.size() >= kMaxLabels) return "there are too many labels";
      sample.labels.emplace_back(name, valid_utf8(unescaped(text.substr(1, end - 1))));
      text = trim(text.substr(end + 1));
      if (text.starts_with(',')) text.remove_prefix(1);
    }
  }

  TextFamily& of(const std::string& name) {
    TextFamily& out = families_[name];
    out.name = name;
    return out;
  }

  // NAME_sum, NAME_count and NAME_bucket belong to a histogram or summary NAME.
  TextFamily& family_of(std::string_view name, std::string& suffix) {
    for (const std::string_view ending : {"_sum", "_count", "_bucket"}) {
      if (!name.ends_with(ending)) continue;
      const auto known = families_.find(std::string(name.substr(0, name.size() - ending.size())));
      if (known == families_.end()) continue;
      const MetricType type = known->second.type;
      if (type != MetricType::histogram && (type != MetricType::summary || ending == "_bucket")) continue;
      suffix = ending;
      return known->second;
    }
    return of(std::string(name));
  }

  std::map<std::string, TextFamily> families_;
  std::set<std::string> typed_;
};

using Key = std::vector<std::string>;

struct Parts {
  std::vector<model::Distribution::Point> points;
  double sum = 0, count = 0;
};

}  // namespace

Result<std::map<std::string, TextFamily>> parse_text_format(std::string_view text) { return Parser{}.parse(text); }

void add_family(const TextFamily& family, model::SampleBatch& batch) {
  const bool distribution = family.type == MetricType::histogram || family.type == MetricType::summary;
  const std::string_view inner = family.type == MetricType::histogram ? "le" : "quantile";
  std::set<std::string> names;
  for (const TextSample& sample : family.samples)
    for (const auto& [name, value] : sample.labels)
      if (!distribution || name != inner) names.insert(name);
  const std::vector<std::string_view> labels(names.begin(), names.end());
  const model::MetricDescriptor& described =
      batch.describe({family.name, unit_of(family.name), family.help, family.type, labels});
  const auto key_of = [&names](const TextSample& sample) {
    Key key;
    for (const std::string& name : names) {
      const auto found = std::ranges::find(sample.labels, name, &std::pair<std::string, std::string>::first);
      key.push_back(found == sample.labels.end() ? std::string{} : found->second);
    }
    return key;
  };
  std::map<Key, Parts> parts;
  for (const TextSample& sample : family.samples) {
    const Key key = key_of(sample);
    if (!distribution) {
      const std::vector<std::string_view> values(key.begin(), key.end());
      batch.add(described, sample.value, values);
      continue;
    }
    Parts& own = parts[key];
    const auto at = std::ranges::find(sample.labels, inner, &std::pair<std::string, std::string>::first);
    const auto bound = at == sample.labels.end() ? std::nullopt : number_of(at->second);
    if (sample.suffix == "_sum")
      own.sum = sample.value;
    else if (sample.suffix == "_count")
      own.count = sample.value;
    else if (bound && !std::isinf(*bound))
      own.points.push_back({*bound, sample.value});
  }
  for (auto& [key, own] : parts) {
    std::ranges::sort(own.points, {}, &model::Distribution::Point::at);
    const std::vector<std::string_view> values(key.begin(), key.end());
    batch.add(described, model::Distribution{own.points, own.sum, own.count}, values);
  }
}

}  // namespace omnitide::discovery
