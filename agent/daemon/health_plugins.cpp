#include "agent/daemon/health_plugins.hpp"

#include <fmt/format.h>
#include <google/protobuf/struct.pb.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <map>
#include <utility>

#include "agent/base/characters.hpp"
#include "agent/base/clock.hpp"
#include "agent/base/file.hpp"
#include "agent/base/text.hpp"
#include "agent/base/trust.hpp"
#include "agent/codec/json.hpp"

namespace omnitide::daemon {

namespace asio = boost::asio;
using namespace std::chrono_literals;
using health::Finding;
using health::Verdict;

namespace {

constexpr std::chrono::milliseconds kLongestRun = 5min, kShortestInterval = 1s, kLongestInterval = 24h;
constexpr std::size_t kLongestOutput = 4096, kMostPluginConditions = 32, kMostPluginArguments = 64;

// Reads one file; the first fault ends it.
class PluginReader {
 public:
  using Struct = google::protobuf::Struct;
  using Value = google::protobuf::Value;

  explicit PluginReader(const Struct& file) : file_(file) {}

  Result<PluginFile> read() {
    out_.source = text(file_, "source");
    if (!word(out_.source)) fault("source", "the file names no source");
    read_config();
    read_conditions();
    read_rules();
    if (fault_) return *fault_;
    return std::move(out_);
  }

 private:
  void fault(std::string field, std::string message) {
    if (!fault_) fault_ = Error{Code::invalid_argument, std::move(message), std::move(field), {}};
  }
  static const Value* find(const Struct& object, const std::string& key) {
    const auto found = object.fields().find(key);
    return found == object.fields().end() ? nullptr : &found->second;
  }
  static std::string text(const Struct& object, const std::string& key) {
    const Value* value = find(object, key);
    return value != nullptr && value->kind_case() == Value::kStringValue ? value->string_value() : std::string();
  }
  static bool word(std::string_view text) {
    return !text.empty() && text.size() <= 128 &&
           std::ranges::all_of(text, [](char c) { return is_alphanumeric(c) || c == '_' || c == '-'; });
  }

  void duration(const Struct& object, const std::string& key, const std::string& field, std::chrono::milliseconds least,
                std::chrono::milliseconds most, std::chrono::milliseconds& out) {
    if (find(object, key) == nullptr) return;
    const auto read = parse_go_duration(text(object, key));
    if (!read || *read < least || *read > most)
      return fault(field,
                   fmt::format("it is no duration from {} to {}", format_duration(least), format_duration(most)));
    out = *read;
  }
  void count(const Struct& object, const std::string& key, std::size_t most, std::size_t& out) {
    const Value* value = find(object, key);
    if (value == nullptr) return;
    const double number = value->number_value();
    if (value->kind_case() != Value::kNumberValue || !(number >= 1) || std::floor(number) != number)
      return fault("pluginConfig." + key, "it is no whole number from 1 on");
    out = static_cast<std::size_t>(std::min(number, static_cast<double>(most)));
  }

  void read_config() {
    const Value* value = find(file_, "pluginConfig");
    if (value == nullptr) return;
    const Struct& config = value->struct_value();
    duration(config, "invoke_interval", "pluginConfig.invoke_interval", kShortestInterval, kLongestInterval,
             out_.interval);
    duration(config, "timeout", "pluginConfig.timeout", 1ms, kLongestRun, out_.timeout);
    count(config, "max_output_length", kLongestOutput, out_.longest);
    count(config, "concurrency", kCommandsAtOnce, out_.concurrency);
    if (const Value* updates = find(config, "enable_message_change_based_condition_update"))
      out_.message_updates = updates->bool_value();
  }

  void read_conditions() {
    const Value* list = find(file_, "conditions");
    if (list == nullptr) return;
    for (int i = 0; i < list->list_value().values_size(); ++i) {
      const Struct& each = list->list_value().values(i).struct_value();
      const std::string field = fmt::format("conditions[{}]", i);
      if (out_.defaults.size() >= kMostPluginConditions)
        return fault("conditions", "there are more than 32 conditions");
      Finding finding;
      finding.condition = text(each, "type");
      finding.reason = text(each, "reason");
      finding.message = printable(text(each, "message"), 512);
      finding.verdict = Verdict::good;
      if (!word(finding.condition)) fault(field + ".type", "a condition has no type");
      if (!word(finding.reason)) fault(field + ".reason", "a condition has no reason");
      out_.defaults.push_back(std::move(finding));
    }
  }

  void read_rules() {
    const Value* list = find(file_, "rules");
    if (list == nullptr || list->list_value().values_size() == 0) return fault("rules", "the file has no rules");
    if (static_cast<std::size_t>(list->list_value().values_size()) > kMostPluginRules)
      return fault("rules", fmt::format("there are more than {} rules", kMostPluginRules));
    for (int i = 0; i < list->list_value().values_size(); ++i)
      read_rule(list->list_value().values(i).struct_value(), fmt::format("rules[{}]", i));
  }

  void read_rule(const Struct& each, const std::string& field) {
    PluginRule rule;
    const std::string type = text(each, "type");
    if (type != "temporary" && type != "permanent")
      fault(field + ".type", fmt::format("\"{}\" is neither temporary nor permanent", printable(type, 40)));
    rule.permanent = type == "permanent";
    rule.reason = text(each, "reason");
    if (!word(rule.reason)) fault(field + ".reason", "a rule has no reason");
    if (rule.permanent) rule.condition = text(each, "condition");
    const auto known = [&rule](const Finding& finding) { return finding.condition == rule.condition; };
    if (rule.permanent && std::ranges::none_of(out_.defaults, known))
      fault(field + ".condition", "a permanent rule names no condition of the file");
    read_program(each, field, rule);
    rule.timeout = out_.timeout;
    duration(each, "timeout", field + ".timeout", 1ms, out_.timeout, rule.timeout);
    out_.rules.push_back(std::move(rule));
  }

  void read_program(const Struct& each, const std::string& field, PluginRule& rule) {
    std::string path = text(each, "path");
    if (path.empty() || path.size() > 4000) return fault(field + ".path", "a rule names no program");
    if (path.starts_with("./")) path.erase(0, 1);
    rule.arguments.push_back(path.starts_with('/') ? path : "/" + path);
    const Value* arguments = find(each, "args");
    if (arguments == nullptr) return;
    for (const Value& argument : arguments->list_value().values()) {
      const bool fits =
          rule.arguments.size() <= kMostPluginArguments && argument.string_value().size() <= kLongestOutput;
      if (argument.kind_case() != Value::kStringValue || !fits)
        return fault(field + ".args", "they are not at most 64 texts of at most 4096 bytes");
      rule.arguments.push_back(argument.string_value());
    }
  }

  const Struct& file_;
  PluginFile out_;
  std::optional<Error> fault_;
};

// What a rule's program said, in the words of the rule and the file.
struct PluginWords {
  Finding fine;  // what is said while all is well
  std::string reason;
  bool message_updates = false;
  std::string first;  // the message of the fault that lasts; empty: there is none
};

asio::awaitable<Finding> plugin_finding(Look look, std::shared_ptr<PluginWords> words, std::shared_ptr<ProbeRun> run) {
  Finding found = co_await look(std::move(run));
  if (found.verdict == Verdict::good) {
    words->first.clear();
    found.reason = words->fine.reason;
    found.message = words->fine.message;
    co_return found;
  }
  if (found.reason != "NotRun") found.reason = words->reason;
  if (found.verdict == Verdict::unknown) co_return found;
  if (words->first.empty()) words->first = found.message;
  if (!words->message_updates) found.message = words->first;
  co_return found;
}

}  // namespace

std::optional<std::chrono::milliseconds> parse_go_duration(std::string_view text) {
  constexpr std::array<std::pair<std::string_view, double>, 8> kUnits{{{"ns", 1e-6},
                                                                       {"us", 1e-3},
                                                                       {"\xc2\xb5s", 1e-3},
                                                                       {"\xce\xbcs", 1e-3},
                                                                       {"ms", 1},
                                                                       {"s", 1e3},
                                                                       {"m", 6e4},
                                                                       {"h", 3.6e6}}};
  if (text == "0") return 0ms;
  if (text.empty() || text.size() > 64) return std::nullopt;
  double sum = 0;
  while (!text.empty()) {
    const std::size_t digits = std::min(text.find_first_not_of("0123456789."), text.size());
    const std::string_view number = text.substr(0, digits);
    text.remove_prefix(digits);
    const std::string_view unit = text.substr(0, std::min(text.find_first_of("0123456789."), text.size()));
    text.remove_prefix(unit.size());
    const auto* const known = std::ranges::find(kUnits, unit, &std::pair<std::string_view, double>::first);
    double value = 0;
    const auto [end, problem] = std::from_chars(number.data(), number.data() + number.size(), value);
    if (known == kUnits.end() || problem != std::errc{} || end != number.data() + number.size()) return std::nullopt;
    sum += value * known->second;
  }
  if (sum > 1e12) return std::nullopt;
  return std::chrono::milliseconds(static_cast<std::int64_t>(std::ceil(sum)));
}

Result<std::optional<PluginFile>> parse_plugin_file(std::string_view json) {
  google::protobuf::Struct file;
  // What is no JSON is refused by whoever reads the files of the other plugins.
  if (codec::from_json(json, file).has_error()) return std::optional<PluginFile>();
  const auto plugin = file.fields().find("plugin");
  if (plugin == file.fields().end() || plugin->second.string_value() != "custom") return std::optional<PluginFile>();
  Result<PluginFile> out = PluginReader(file).read();
  if (out.has_error()) return std::move(out).error();
  return std::optional<PluginFile>(std::move(*out));
}

Result<std::optional<PluginFile>> load_plugin_file(const std::string& path) {
  const Result<std::string> json = read_file(path);
  if (json.has_error()) return std::optional<PluginFile>();  // as above
  Result<std::optional<PluginFile>> out = parse_plugin_file(*json);
  if (out.has_error()) {
    const std::string where = out.error().field.empty() ? path : path + ": " + out.error().field;
    return std::move(out).error().within(where);
  }
  if (*out) {
    if (Result<> trusted = only_root_writes(path); trusted.has_error())
      return std::move(trusted).error().within("the programs of " + path + " are not run");
  }
  return out;
}

std::vector<Probe> plugin_probes(const PluginFile& file, std::size_t group) {
  std::vector<Probe> out;
  std::map<std::string, int> named;
  for (const PluginRule& rule : file.rules) {
    Probe probe;
    probe.name = fmt::format("{}:{}", file.source, rule.reason);
    if (const int before = named[probe.name]++; before > 0) probe.name += fmt::format("-{}", before + 1);
    probe.condition = rule.condition;
    probe.source = file.source;
    probe.what =
        fmt::format("program {}, each {}", printable(join(rule.arguments, " "), 200), format_duration(file.interval));
    probe.interval = file.interval;
    probe.timeout = rule.timeout;
    probe.hysteresis = {1, 1, 1};
    probe.group = group;
    probe.words_are_news = file.message_updates;
    const auto words = std::make_shared<PluginWords>();
    words->reason = rule.reason;
    words->message_updates = file.message_updates;
    for (const Finding& fine : file.defaults)
      if (fine.condition == rule.condition) words->fine = fine;
    const Look look = command_look({rule.arguments, file.longest, true});
    probe.look = [look, words](std::shared_ptr<ProbeRun> run) { return plugin_finding(look, words, std::move(run)); };
    out.push_back(std::move(probe));
  }
  return out;
}

}  // namespace omnitide::daemon
