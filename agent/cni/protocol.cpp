#include "agent/cni/protocol.hpp"

#include <algorithm>
#include <stdexcept>
#include <utility>

#include "agent/base/address.hpp"
#include "agent/base/text.hpp"
#include "agent/cni/json.hpp"

namespace omnitide::cni {

namespace {

constexpr std::array<std::string_view, 6> kCommands{"ADD", "DEL", "CHECK", "VERSION", "GC", "STATUS"};
constexpr std::uint32_t kLongestTimeout = 60;  // seconds

Failure failure(ErrorCode code, std::string message, std::string details = {}) {
  return {.code = code, .message = std::move(message), .details = std::move(details)};
}

std::string argument(std::string_view arguments, std::string_view name) {
  for (const std::string_view pair : split(arguments, ';')) {
    if (pair.size() > name.size() && pair.starts_with(name) && pair[name.size()] == '=')
      return std::string(pair.substr(name.size() + 1));
  }
  return {};
}

Outcome<Command> parse_command(const std::string& text) {
  const auto found = std::ranges::find(kCommands, text);
  if (found != kCommands.end()) return static_cast<Command>(found - kCommands.begin());
  if (text.empty())
    return failure(ErrorCode::invalid_environment, "CNI_COMMAND is not set",
                   "this is a plugin of container runtimes (CNI), which call it when a pod starts or ends");
  return failure(ErrorCode::invalid_environment, "CNI_COMMAND is " + printable(text, 32));
}

Outcome<Settings> parse_settings(const Json& input) {
  Settings out;
  out.socket = input.text_member("socket");
  out.pins = input.text_member("pins");
  for (const std::string& path : {out.socket, out.pins}) {
    if (!path.starts_with('/'))
      return failure(ErrorCode::invalid_configuration, "socket and pins must be absolute paths");
  }
  const std::string absent = input.text_member("absent");
  if (absent != "closed" && absent != "open")
    return failure(ErrorCode::invalid_configuration, "absent must be closed or open");
  out.absent_closed = absent == "closed";
  const auto timeout = input.find("timeoutSeconds");
  const std::uint32_t seconds = timeout ? timeout->number().value_or(0) : 5;
  if (seconds == 0 || seconds > kLongestTimeout)
    return failure(ErrorCode::invalid_configuration, "timeoutSeconds must be 1 to 60");
  out.timeout = std::chrono::seconds{seconds};
  return out;
}

Outcome<void> check_parameters(const Request& request) {
  const bool adds = request.command == Command::add || request.command == Command::check;
  if (adds && request.netns.empty()) return failure(ErrorCode::invalid_environment, "CNI_NETNS is not set");
  if (adds && request.previous.empty())
    return failure(ErrorCode::invalid_configuration, "there is no prevResult",
                   "the plugin has to stand behind the one that makes the interface");
  const bool about_one = adds || request.command == Command::del;
  if (about_one && (request.container.empty() || request.interface.empty()))
    return failure(ErrorCode::invalid_environment, "CNI_CONTAINERID or CNI_IFNAME is not set");
  return {};
}

// Whether an entry of `ips` is of the container's interface: `interface` is an index into `interfaces`.
bool is_of(const Json& entry, const std::vector<Json>& interfaces, std::string_view name) {
  const auto index = entry.find("interface");
  if (!index || !index->number() || *index->number() >= interfaces.size()) return true;
  const Json& interface = interfaces[*index->number()];
  return interface.text_member("name") == name && !interface.text_member("sandbox").empty();
}

}  // namespace

void throw_exception_from_error(const Failure& failure, const boost::source_location& /*where*/) {
  throw std::logic_error("value of a failed outcome: " + failure.message);
}

Outcome<Request> parse_request(const Environment& environment, std::string_view input) {
  const Outcome<Command> command = parse_command(environment.command);
  if (command.has_error()) return command.error();
  const Result<Json> json = Json::parse(input);
  if (json.has_error() && *command == Command::version) return Request{};
  if (json.has_error())
    return failure(ErrorCode::undecodable, "the network configuration cannot be read", json.error().text());
  Request out{.command = *command,
              .version = json->text_member("cniVersion"),
              .container = environment.container,
              .netns = environment.netns,
              .interface = environment.interface,
              .pod_space = argument(environment.arguments, "K8S_POD_NAMESPACE"),
              .pod_name = argument(environment.arguments, "K8S_POD_NAME"),
              .pod_uid = argument(environment.arguments, "K8S_POD_UID"),
              .previous = {},
              .settings = {}};
  if (out.command == Command::version) return out;
  if (!speaks(out.version))
    return failure(ErrorCode::incompatible_version, "cniVersion " + printable(out.version, 32) + " is not spoken here",
                   "0.3.1, 0.4.0, 1.0.0 and 1.1.0 are");
  const auto in_version = [&out](Failure what) {
    what.version = out.version;
    return what;
  };
  const Outcome<Settings> settings = parse_settings(*json);
  if (settings.has_error()) return in_version(settings.error());
  out.settings = *settings;
  const auto previous = json->find("prevResult");
  if (previous && previous->kind() == Json::Kind::object) out.previous = previous->text();
  const Outcome<void> good = check_parameters(out);
  if (good.has_error()) return in_version(good.error());
  return out;
}

std::vector<std::string> addresses_in(std::string_view result, std::string_view interface) {
  std::vector<std::string> out;
  const Result<Json> json = Json::parse(result);
  if (json.has_error()) return out;
  const auto interfaces = json->find("interfaces");
  const std::vector<Json> known = interfaces ? interfaces->items() : std::vector<Json>();
  const auto ips = json->find("ips");
  std::optional<Address> four, six;
  for (const Json& entry : ips ? ips->items() : std::vector<Json>()) {
    std::string text = entry.text_member("address");
    text.resize(std::min(text.size(), text.find('/')));
    const std::optional<Address> address = parse_address(text);
    if (!address || !is_of(entry, known, interface)) continue;
    std::optional<Address>& first = address->is_v4() ? four : six;
    if (first) continue;
    first = address;
    out.push_back(std::move(text));
  }
  return out;
}

std::string version_text(std::string_view asked) {
  std::string versions;
  for (const std::string_view each : kVersions)
    versions += (versions.empty() ? "" : ",") + json_quote(each);
  return "{\"cniVersion\":" + json_quote(speaks(asked) ? asked : kVersions.back()) + ",\"supportedVersions\":[" +
         versions + "]}\n";
}

std::string failure_text(const Failure& failure) {
  std::string out = "{\"cniVersion\":" + json_quote(failure.version.empty() ? kVersions.back() : failure.version) +
                    ",\"code\":" + std::to_string(static_cast<unsigned>(failure.code)) +
                    ",\"msg\":" + json_quote(failure.message);
  if (!failure.details.empty()) out += ",\"details\":" + json_quote(failure.details);
  return out + "}\n";
}

}  // namespace omnitide::cni
