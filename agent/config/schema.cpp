#include "agent/config/schema.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "agent/base/clock.hpp"
#include "agent/base/text.hpp"
#include "agent/config/render.hpp"
#include "agent/config/telemetry_values.hpp"

namespace omnitide::config {

namespace {

struct Section {
  std::string_view name, help;
};

constexpr std::array<Section, 12> kSections{{
    {"node", "Who this node is."},
    {"paths", "Where the agent keeps its files."},
    {"registration", "Joining and reporting to a control plane."},
    {"discovery", "Finding out what hardware this is."},
    {"http", "The HTTP server for health and metrics."},
    {"metrics", "What the agent measures."},
    {"kubernetes", "The API server of a cluster: network policy from it, this node to it: docs/kubernetes.md."},
    {"policy", "Network policy, enforced with eBPF: docs/policy.md."},
    {"telemetry", "What the node knows, over MQTT: docs/telemetry.md."},
    {"health", "What is wrong with the node, and what may be done about it: docs/health.md."},
    {"registry", "The reference registry, embedded."},
    {"log", "What is logged, and how."},
}};

}  // namespace

const Key* find_key(std::string_view path) {
  const auto found = std::ranges::find(keys(), path, &Key::path);
  return found == keys().end() ? nullptr : &*found;
}

bool is_section(std::string_view path) { return std::ranges::find(kSections, path, &Section::name) != kSections.end(); }

bool is_group(std::string_view path) {
  return std::ranges::any_of(keys(), [path](const Key& key) {
    return key.path.size() > path.size() && key.path.starts_with(path) && key.path[path.size()] == '.';
  });
}

std::string_view section_help(std::string_view section) {
  const auto found = std::ranges::find(kSections, section, &Section::name);
  return found == kSections.end() ? std::string_view{} : found->help;
}

std::string environment_name(const Key& key) {
  std::string out = "OMNITIDE_";
  for (const char c : key.path)
    out += c == '.' ? '_' : c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
  return out;
}

std::string default_text(const Key& key) {
  return key.default_text.empty() ? flow_yaml(key.get(Config{})) : std::string(key.default_text);
}

std::string unknown_key_hint(std::string_view path) {
  const std::string_view section = section_of(path), leaf = leaf_of(path);
  std::vector<std::string> leaves, sections;
  for (const Section& known : kSections)
    sections.emplace_back(known.name);
  if (section == path) {
    // A key of some section that stands at the top, or a mistyped section.
    for (const Key& key : keys()) {
      if (leaf_of(key.path) == leaf) return fmt::format("did you mean {}?", key.path);
    }
    const std::string_view near = nearest(path, sections);
    return near.empty() ? fmt::format("known are {}", join(sections, ", ")) : fmt::format("did you mean {}?", near);
  }
  for (const Key& key : keys()) {
    if (section_of(key.path) == section) leaves.emplace_back(leaf_of(key.path));
  }
  const std::string_view near = nearest(leaf, leaves);
  if (!near.empty()) return fmt::format("did you mean {}.{}?", section, near);
  for (const Key& key : keys()) {
    if (leaf_of(key.path) == leaf) return fmt::format("did you mean {}?", key.path);
  }
  // Many keys of one group are told as one.
  constexpr std::size_t kMany = 20;
  std::vector<std::string> told;
  for (const std::string& each : leaves) {
    const std::size_t dot = leaves.size() > kMany ? each.find('.') : std::string::npos;
    std::string text = dot == std::string::npos ? each : each.substr(0, dot) + ".*";
    if (std::ranges::find(told, text) == told.end()) told.push_back(std::move(text));
  }
  return fmt::format("{} has {}", section, join(told, ", "));
}

void check_together(const Config& config, Problems& problems) {
  if (config.registration.backoff_base > config.registration.backoff_cap) {
    problems.push_back({0, "registration.backoff_base",
                        fmt::format("{} is longer than registration.backoff_cap, {}",
                                    format_duration(config.registration.backoff_base),
                                    format_duration(config.registration.backoff_cap)),
                        "give a base that is not above the cap"});
  }
  if (config.http.enabled && !is_loopback(config.http.listen) && config.http.web_config_file.empty() &&
      config.http.bearer_token_file.empty()) {
    problems.push_back({0, "http.listen", fmt::format("{} can be reached from other machines", config.http.listen),
                        "set http.web_config_file (TLS, authentication) or http.bearer_token_file"});
  }
  if (config.policy.limits.rules > config.policy.limits.total_rules) {
    problems.push_back({0, "policy.limits.rules",
                        fmt::format("{} is more than policy.limits.total_rules, {}", config.policy.limits.rules,
                                    config.policy.limits.total_rules),
                        "give a number that is not above the total"});
  }
  const bool registers = !config.registration.endpoint.empty() || config.registry.embedded;
  check_telemetry(config.telemetry, registers, problems);
  if (config.registry.embedded && config.http.enabled && config.registry.listen == config.http.listen &&
      !config.http.listen.ends_with(":0")) {
    problems.push_back({0, "registry.listen", fmt::format("{} is http.listen too", config.registry.listen),
                        "give one of them another port"});
  }
}

}  // namespace omnitide::config
