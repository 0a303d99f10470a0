#include "agent/daemon/health_rules.hpp"

#include <fmt/format.h>
#include <google/protobuf/struct.pb.h>

#include <algorithm>
#include <cmath>

#include "agent/base/characters.hpp"
#include "agent/base/clock.hpp"
#include "agent/base/file.hpp"
#include "agent/base/log.hpp"
#include "agent/base/text.hpp"
#include "agent/codec/json.hpp"

namespace omnitide::daemon {

namespace {

using google::protobuf::Struct;
using google::protobuf::Value;

constexpr std::size_t kMostConditions = 32, kLongestWord = 128, kLongestMessage = 512;
constexpr std::chrono::milliseconds kMostLookBack = std::chrono::hours(24);

Error fault(std::string field, std::string message) {
  return {.code = Code::invalid_argument, .message = std::move(message), .field = std::move(field), .hint = {}};
}

std::string text(const Struct& object, const std::string& key) {
  const auto found = object.fields().find(key);
  return found != object.fields().end() && found->second.kind_case() == Value::kStringValue
             ? found->second.string_value()
             : std::string();
}

const google::protobuf::ListValue* list(const Struct& object, const std::string& key) {
  const auto found = object.fields().find(key);
  return found != object.fields().end() && found->second.kind_case() == Value::kListValue ? &found->second.list_value()
                                                                                          : nullptr;
}

// A CamelCase word, as conditions and reasons are.
bool is_word(std::string_view word) {
  return !word.empty() && word.size() <= kLongestWord &&
         std::ranges::all_of(word, [](char c) { return is_alphanumeric(c) || c == '_' || c == '-'; });
}

// Where the lines come from: "plugin", "pluginConfig", "logPath" and "lookback".
Result<> add_origin(const Struct& file, health::LogOrigin& out) {
  const std::string plugin = text(file, "plugin"), path = text(file, "logPath"), back = text(file, "lookback");
  const auto found = file.fields().find("pluginConfig");
  const Struct config = found == file.fields().end() ? Struct() : found->second.struct_value();
  if (const auto look_back = back.empty() ? std::chrono::milliseconds{0} : parse_duration(back))
    out.look_back = std::min(*look_back, kMostLookBack);
  else
    return fault("lookback", fmt::format("\"{}\" is no duration, as 5m", printable(back, 40)));
  if (plugin == "kmsg") return {};
  if (plugin == "journald") {
    out.plugin = health::LogPlugin::journald;
    out.identifier = text(config, "source");
    if (out.identifier.empty() || out.identifier.size() > kLongestWord)
      return fault("pluginConfig.source", "it names no SYSLOG_IDENTIFIER, as kubelet");
    const bool usual = path == "/var/log/journal" || path == "/run/log/journal";
    out.path = usual ? std::string() : path;
    if (!out.path.empty() && !out.path.starts_with('/')) return fault("logPath", "it is no absolute path");
    return {};
  }
  if (plugin == "filelog") {
    out.plugin = health::LogPlugin::filelog;
    out.path = path;
    if (!path.starts_with('/') || path.ends_with('/')) return fault("logPath", "it is no absolute path of a file");
    Result<health::LogLineForm> form =
        health::LogLineForm::make(text(config, "timestamp"), text(config, "message"), text(config, "timestampFormat"));
    if (form.has_error()) {
      Error error = std::move(form).error();
      error.field = "pluginConfig." + error.field;
      return error;
    }
    out.form = std::move(*form);
    return {};
  }
  Error error = fault("plugin", fmt::format("the plugin \"{}\" is not known here", printable(plugin, 40)));
  error.hint = "rules for kmsg, journald and filelog are, as in kernel-monitor.json";
  return error;
}

Result<> add_conditions(const Struct& file, health::LogRules& out) {
  const auto* conditions = list(file, "conditions");
  if (conditions == nullptr) return {};
  for (int i = 0; i < conditions->values_size(); ++i) {
    const std::string field = fmt::format("conditions[{}]", i);
    const Struct& each = conditions->values(i).struct_value();
    health::Finding finding;
    finding.condition = text(each, "type");
    finding.reason = text(each, "reason");
    finding.message = printable(text(each, "message"), kLongestMessage);
    finding.verdict = health::Verdict::good;
    if (!is_word(finding.condition)) return fault(field + ".type", "a condition has no type");
    if (!is_word(finding.reason)) return fault(field + ".reason", "a condition has no reason");
    if (out.defaults.size() >= kMostConditions) return fault("conditions", "there are more than 32 conditions");
    out.defaults.push_back(std::move(finding));
  }
  return {};
}

Result<health::LogRule> rule_of(const Struct& each, const std::string& field, const health::LogRules& file) {
  const std::string type = text(each, "type");
  if (type != "temporary" && type != "permanent")
    return fault(field + ".type", fmt::format("\"{}\" is neither temporary nor permanent", printable(type, 40)));
  std::string reason = text(each, "reason"), condition = text(each, "condition"), pattern = text(each, "pattern");
  if (!is_word(reason)) return fault(field + ".reason", "a rule has no reason");
  const bool permanent = type == "permanent";
  if (permanent && std::ranges::find(file.defaults, condition, &health::Finding::condition) == file.defaults.end())
    return fault(field + ".condition", "a permanent rule names no condition of the file");
  if (Result<> valid = health::LogPattern::check(pattern); valid.has_error()) {
    Error error = std::move(valid).error();
    error.field = field + ".pattern";
    return error;
  }
  return health::LogRule{permanent, permanent ? std::move(condition) : std::string(), std::move(reason),
                         health::LogPattern(std::move(pattern))};
}

Result<> add_rules(const Struct& file, health::LogRules& out) {
  const auto* rules = list(file, "rules");
  if (rules == nullptr || rules->values_size() == 0) return fault("rules", "the file has no rules");
  if (static_cast<std::size_t>(rules->values_size()) > health::kMostLogRules)
    return fault("rules", fmt::format("there are more than {} rules", health::kMostLogRules));
  for (int i = 0; i < rules->values_size(); ++i) {
    Result<health::LogRule> rule = rule_of(rules->values(i).struct_value(), fmt::format("rules[{}]", i), out);
    if (rule.has_error()) return std::move(rule).error();
    out.rules.push_back(std::move(*rule));
  }
  return {};
}

}  // namespace

Result<health::LogRules> parse_log_rules(std::string_view json) {
  Struct file;
  if (Result<> parsed = codec::from_json(json, file); parsed.has_error()) return std::move(parsed).error();
  health::LogRules out;
  if (Result<> added = add_origin(file, out.origin); added.has_error()) return std::move(added).error();
  out.source = text(file, "source");
  if (!is_word(out.source)) return fault("source", "the file names no source");
  if (const auto lines = file.fields().find("bufferSize"); lines != file.fields().end()) {
    const double count = lines->second.number_value();
    if (!(count >= 1) || count > static_cast<double>(health::kMostBufferLines) || std::floor(count) != count)
      return fault("bufferSize", fmt::format("it is not between 1 and {}", health::kMostBufferLines));
    out.buffer_lines = static_cast<std::size_t>(count);
  }
  if (Result<> added = add_conditions(file, out); added.has_error()) return std::move(added).error();
  if (Result<> added = add_rules(file, out); added.has_error()) return std::move(added).error();
  return out;
}

LoadedLogRules load_all_log_rules(const std::vector<std::string>& paths) {
  LoadedLogRules out;
  for (const std::string& path : paths) {
    Result<health::LogRules> loaded = load_log_rules(path);
    if (loaded.has_value()) {
      out.rules.push_back(std::move(*loaded));
      continue;
    }
    log::error(log::Part::health, "a rule file is refused, going on without it", {{"reason", loaded.error().text()}});
    out.refused.push_back(loaded.error().text());
  }
  return out;
}

Result<health::LogRules> load_log_rules(const std::string& path) {
  const Result<std::string> json = read_file(path);
  if (json.has_error()) return json.error();
  Result<health::LogRules> out = parse_log_rules(*json);
  if (out.has_value()) return out;
  const std::string where = out.error().field.empty() ? path : path + ": " + out.error().field;
  return std::move(out).error().within(where);
}

}  // namespace omnitide::daemon
