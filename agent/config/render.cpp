#include "agent/config/render.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "agent/base/text.hpp"
#include "agent/config/schema.hpp"

namespace omnitide::config {

namespace {

constexpr std::size_t kCommentWidth = 76;

// Safe without quotes in block and flow form: begins with a letter, then word characters, and is no reserved word.
bool is_plain(std::string_view text) {
  constexpr std::array<std::string_view, 9> kReserved{"true", "false", "null", "yes", "no", "on", "off", "y", "n"};
  const auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); };
  const auto inner = [letter](char c) {
    return letter(c) || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.' || c == '/';
  };
  return !text.empty() && letter(text.front()) && std::ranges::all_of(text, inner) &&
         std::ranges::find(kReserved, to_lower(text)) == kReserved.end();
}

std::string scalar_yaml(const Value& value) {
  if (!value.quoted || is_plain(value.text)) return value.text;
  return json_quote(value.text);
}

std::string json(const Value& value) {
  switch (value.kind) {
    case Value::Kind::null: return "null";
    case Value::Kind::scalar:
      return !value.quoted && (value.text == "true" || value.text == "false") ? value.text : json_quote(value.text);
    case Value::Kind::list: {
      std::vector<std::string> items;
      for (const Value& item : value.items)
        items.push_back(json(item));
      return fmt::format("[{}]", fmt::join(items, ", "));
    }
    case Value::Kind::map: break;
  }
  std::vector<std::string> entries;
  for (const Entry& entry : value.entries)
    entries.push_back(fmt::format("{}: {}", json_quote(entry.key), json(entry.value)));
  return fmt::format("{{{}}}", fmt::join(entries, ", "));
}

// A bar would end the cell of a table, also in code.
std::string cell(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '|') out += '\\';
    out += c;
  }
  return out;
}

std::string comment(std::string_view text, std::string_view prefix) {
  std::string out, line;
  for (const std::string_view word : split_words(text)) {
    if (!line.empty() && line.size() + 1 + word.size() > kCommentWidth) {
      out += fmt::format("{}{}\n", prefix, line);
      line.clear();
    }
    if (!line.empty()) line += ' ';
    line += word;
  }
  return out + fmt::format("{}{}\n", prefix, line);
}

constexpr std::string_view kShippedHead =
    R"(# Configuration of omnitide-agent. Every line here is a comment: the defaults are compiled in.
# To change a value, uncomment its section and its line, or put a file with only your values into agent.d/NAME.yaml
# beside this file. Later ones win: this file, agent.d/*.yaml in lexical order, --config FILE, environment variables.
#
# Check:  omnitide-agent config check
# Show:   omnitide-agent config show      (each value with where it comes from)
# Apply:  systemctl reload omnitide-agent  (values marked "restart" need systemctl restart)
)";

constexpr std::string_view kDocumentationHead = R"(# Configuration

<!-- Generated: omnitide-agent config docs > docs/config.md -->

Everything has a default; an empty configuration is a good one. Values come from these places, and later ones win:

1. the defaults below,
2. `/etc/omnitide/agent.yaml` (shipped as comments only),
3. `/etc/omnitide/agent.d/*.yaml` in lexical order,
4. `--config FILE`,
5. environment variables: `OMNITIDE_` and the key in upper case with `_`, e.g. `OMNITIDE_DISCOVERY_REFRESH_INTERVAL=1h`;
   lists and maps as YAML: `OMNITIDE_NODE_LABELS='{site: hall-3}'`,
6. `--state-dir` and `--run-dir`.

A list replaces the one before it; the entries of a map are put together. Durations are numbers with a unit: `250ms`,
`90s`, `10m`, `1h30m`, `7d`.

`omnitide-agent config check` reports every fault at once, each with file, line, key and what would be right, and exits
with 2 when there is one. Unknown keys, keys given twice, anchors, aliases, tags, files over 1 MiB and nesting over 32
levels are faults. `omnitide-agent config show` prints every effective value and where it comes from. No value is a
secret: tokens, keys and passwords stand in files of their own, and the configuration holds their paths.

On SIGHUP (`systemctl reload omnitide-agent`) the agent reads everything again. A configuration with a fault changes
nothing. Keys marked "reload" take effect at once; the log names changed keys that need a restart.
)";

}  // namespace

std::string flow_yaml(const Value& value) {
  switch (value.kind) {
    case Value::Kind::null: return "null";
    case Value::Kind::scalar: return scalar_yaml(value);
    case Value::Kind::list: {
      std::vector<std::string> items;
      for (const Value& item : value.items)
        items.push_back(flow_yaml(item));
      return fmt::format("[{}]", fmt::join(items, ", "));
    }
    case Value::Kind::map: break;
  }
  std::vector<std::string> entries;
  for (const Entry& entry : value.entries) {
    const std::string key = is_plain(entry.key) ? entry.key : json_quote(entry.key);
    entries.push_back(fmt::format("{}: {}", key, flow_yaml(entry.value)));
  }
  return fmt::format("{{{}}}", fmt::join(entries, ", "));
}

std::string shipped_file() {
  std::string out(kShippedHead), section;
  for (const Key& key : keys()) {
    if (section != section_of(key.path)) {
      section = section_of(key.path);
      out += fmt::format("\n# {}\n#{}:\n", section_help(section), section);
    }
    out += comment(fmt::format("{} Type: {}. Default: {}. Change by: {}.", key.help, key.type, default_text(key),
                               key.reloadable ? "reload" : "restart"),
                   "#  # ");
    const std::string example = key.example.empty() ? default_text(key) : std::string(key.example);
    out += fmt::format("#  {}: {}\n", leaf_of(key.path), example);
  }
  return out;
}

std::string documentation() {
  std::string out(kDocumentationHead), section;
  for (const Key& key : keys()) {
    if (section != section_of(key.path)) {
      section = section_of(key.path);
      out += fmt::format("\n## {}\n\n{}\n\n| key | type | default | change by | what |\n|---|---|---|---|---|\n",
                         section, section_help(section));
    }
    out += fmt::format("| `{}` | {} | `{}` | {} | {} |\n", key.path, key.type, cell(default_text(key)),
                       key.reloadable ? "reload" : "restart", key.help);
  }
  return out;
}

std::string show_yaml(const Loaded& loaded) {
  std::string out, section, map;
  for (const Setting& setting : loaded.settings) {
    if (section != section_of(setting.path)) {
      section = section_of(setting.path);
      out += fmt::format("{}:\n", section);
    }
    std::string leaf(leaf_of(setting.path)), indent = "  ";
    if (find_key(setting.path) == nullptr) {
      // An entry of a map: its key may itself have dots.
      const std::size_t dot = leaf.find('.');
      const std::string of_map = fmt::format("{}.{}", section, leaf.substr(0, dot));
      if (map != of_map) out += fmt::format("  {}:\n", leaf.substr(0, dot));
      map = of_map;
      leaf = leaf.substr(dot + 1);
      if (!is_plain(leaf)) leaf = json_quote(leaf);
      indent = "    ";
    }
    out += fmt::format("{}{:<48} # {}\n", indent, fmt::format("{}: {}", leaf, flow_yaml(setting.value)),
                       setting.origin.text());
  }
  return out;
}

std::string show_json(const Loaded& loaded) {
  std::vector<std::string> items, files;
  for (const Setting& setting : loaded.settings) {
    items.push_back(fmt::format("    {{\"key\": {}, \"value\": {}, \"origin\": {}}}", json_quote(setting.path),
                                json(setting.value), json_quote(setting.origin.text())));
  }
  for (const std::string& file : loaded.config.files)
    files.push_back(json_quote(file));
  return fmt::format("{{\n  \"items\": [\n{}\n  ],\n  \"files\": [{}]\n}}\n", fmt::join(items, ",\n"),
                     fmt::join(files, ", "));
}

}  // namespace omnitide::config
