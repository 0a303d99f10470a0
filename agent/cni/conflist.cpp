#include "agent/cni/conflist.hpp"

#include <algorithm>
#include <iterator>
#include <optional>

#include "agent/base/text.hpp"
#include "agent/cni/json.hpp"

namespace omnitide::cni {

namespace {

bool is_ours(const Json& plugin) { return plugin.text_member("type") == kPluginType; }

std::string quoted(std::string_view text) { return "\"" + printable(text, 64) + "\""; }

std::size_t begin_of(std::string_view text, const Json& part) {
  return static_cast<std::size_t>(part.text().data() - text.data());
}
std::size_t end_of(std::string_view text, const Json& part) { return begin_of(text, part) + part.text().size(); }

// libcni 1.2 takes the newest of `cniVersions` that it knows itself.
Result<> check_versions(const Json& list) {
  const auto refuse = [](std::string_view version) {
    return fail(Code::unimplemented, "has the version " + quoted(version) + ", which the plugin does not speak")
        .with_hint("it speaks 0.3.1, 0.4.0, 1.0.0 and 1.1.0");
  };
  const std::string version = list.text_member("cniVersion");
  const std::optional<Json> versions = list.find("cniVersions");
  if (!speaks(version) && (!versions || !version.empty())) return refuse(version);
  if (!versions) return {};
  for (const Json& each : versions->items()) {
    const std::string offered = each.string().value_or("");
    if (!speaks(offered)) return refuse(offered);
  }
  return {};
}

Result<std::vector<Json>> plugins_of(std::string_view text) {
  const Result<Json> list = Json::parse(text);
  if (list.has_error()) return list.error();
  const std::optional<Json> plugins = list->find("plugins");
  if (!plugins || plugins->kind() != Json::Kind::array)
    return fail(Code::invalid_argument, "has no list of plugins")
        .with_hint("a single plugin's configuration cannot be chained to: make it a .conflist");
  std::vector<Json> out = plugins->items();
  if (out.empty()) return fail(Code::invalid_argument, "has an empty list of plugins");
  for (const Json& each : out) {
    if (each.text_member("type").empty()) return fail(Code::invalid_argument, "has a plugin without a type");
  }
  return out;
}

std::string replaced(std::string_view text, std::size_t begin, std::size_t end, std::string_view by) {
  std::string out(text.substr(0, begin));
  out += by;
  out += text.substr(end);
  return out;
}

// What stands between the plugins: as between the last two, or as before the only one.
std::string separator(std::string_view text, const std::vector<Json>& plugins) {
  const std::size_t last = begin_of(text, plugins.back());
  if (plugins.size() > 1) {
    const std::size_t before = end_of(text, plugins[plugins.size() - 2]);
    return std::string(text.substr(before, last - before));
  }
  const std::size_t bracket = text.rfind('[', last);
  return "," + std::string(text.substr(bracket + 1, last - bracket - 1));
}

// Without the plugin at that place and what separates it from its neighbour.
std::string without(std::string_view text, const std::vector<Json>& plugins, std::size_t place) {
  if (place > 0) return replaced(text, end_of(text, plugins[place - 1]), end_of(text, plugins[place]), {});
  return replaced(text, begin_of(text, plugins[0]), begin_of(text, plugins[1]), {});
}

}  // namespace

bool speaks(std::string_view version) { return std::ranges::find(kVersions, version) != kVersions.end(); }

std::string entry_of(const Settings& settings) {
  return "{\"type\":" + json_quote(kPluginType) + ",\"socket\":" + json_quote(settings.socket) +
         ",\"pins\":" + json_quote(settings.pins) +
         ",\"absent\":" + (settings.absent_closed ? "\"closed\"" : "\"open\"") +
         ",\"timeoutSeconds\":" + std::to_string(settings.timeout.count()) + "}";
}

Result<std::string> chain(std::string_view list, std::string_view entry) {
  const Result<std::vector<Json>> plugins = plugins_of(list);
  if (plugins.has_error()) return plugins.error();
  if (const Result<> good = check_versions(*Json::parse(list)); good.has_error()) return good.error();
  const auto ours = std::ranges::find_if(*plugins, is_ours);
  if (ours == plugins->begin()) {
    // Whoever comes first has to make the interface.
    const Result<std::string> rest = unchain(list);
    return rest.has_error() ? rest : chain(*rest, entry);
  }
  if (ours != plugins->end()) return replaced(list, begin_of(list, *ours), end_of(list, *ours), entry);
  const std::size_t end = end_of(list, plugins->back());
  return replaced(list, end, end, separator(list, *plugins) + std::string(entry));
}

Result<std::string> unchain(std::string_view list) {
  std::string out(list);
  while (true) {
    const Result<std::vector<Json>> plugins = plugins_of(out);
    if (plugins.has_error()) return plugins.error();
    const auto ours = std::ranges::find_if(*plugins, is_ours);
    if (ours == plugins->end()) return out;
    if (plugins->size() == 1) return fail(Code::failed_precondition, "has no plugin beside ours");
    out = without(out, *plugins, static_cast<std::size_t>(std::distance(plugins->begin(), ours)));
  }
}

std::vector<std::string> plugin_types(std::string_view text) {
  std::vector<std::string> out;
  const Result<Json> whole = Json::parse(text);
  if (whole.has_error()) return out;
  const std::optional<Json> plugins = whole->find("plugins");
  if (!plugins) {
    if (std::string type = whole->text_member("type"); !type.empty()) out.push_back(std::move(type));
    return out;
  }
  for (const Json& each : plugins->items())
    out.push_back(each.text_member("type"));
  return out;
}

}  // namespace omnitide::cni
