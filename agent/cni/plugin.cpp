#include "agent/cni/plugin.hpp"

#include <utility>

namespace omnitide::cni {

namespace {

Failure refusal(const Request& request, ErrorCode code, std::string message, std::string details) {
  return {.code = code, .message = std::move(message), .details = std::move(details), .version = request.version};
}

Sandbox sandbox_of(const Request& request, const Device& device) {
  return {.container = request.container,
          .name_space = request.pod_space,
          .name = request.pod_name,
          .uid = request.pod_uid,
          .device = device.name,
          .ifindex = device.ifindex,
          .addresses = addresses_in(request.previous, request.interface)};
}

// Closed first, and only then is anybody asked: so nothing that goes wrong afterwards lets a packet through.
Outcome<std::string> add(const Request& request, Node& node, std::string& remark) {
  const Settings& settings = request.settings;
  std::string result = request.previous + "\n";
  if (request.pod_name.empty()) return result;  // no pod, and so nothing that policies speak of
  node.sweep(settings.pins);
  const Result<Device> device = node.node_end(request.netns, request.interface);
  if (device.has_error()) {
    remark = device.error().text();
    if (device.error().code == Code::unimplemented) return result;
    return refusal(request, ErrorCode::io_failure, "the pod's link cannot be looked at", remark);
  }
  const Result<> closed = node.close(settings.pins, device->ifindex);
  if (closed.has_error()) {
    node.open(settings.pins, device->ifindex);  // what half of it did
    remark = closed.error().text();
    if (settings.absent_closed)
      return refusal(request, ErrorCode::not_closed, "the pod cannot be closed until it is judged", remark);
  }
  const Result<Answer> answer = node.ask(settings, sandbox_of(request, *device));
  const bool opens =
      answer.has_value() ? answer->state == Answer::State::open : !settings.absent_closed || !node.is_installed();
  if (opens) node.open(settings.pins, device->ifindex);
  if (answer.has_error())
    remark = answer.error().text() + (opens ? "; the pod starts open" : "; the pod starts closed");
  else if (answer->state == Answer::State::waiting)
    remark = "the pod starts closed: " + answer->reason;
  return result;
}

Outcome<std::string> check(const Request& request, Node& node) {
  if (request.pod_name.empty() || !request.settings.absent_closed) return std::string();
  const Result<Device> device = node.node_end(request.netns, request.interface);
  if (device.has_error() && device.error().code == Code::unimplemented) return std::string();
  if (device.has_error())
    return refusal(request, ErrorCode::io_failure, "the pod's link cannot be looked at", device.error().text());
  if (node.is_guarded(request.settings.pins, device->ifindex)) return std::string();
  return refusal(request, ErrorCode::not_closed, "nothing judges the pod's packets", "its device is " + device->name);
}

// Packets of what is on its way out stay judged: the device goes with what is attached to it, by the plugins that made
// it.
std::string del(const Request& request, Node& node) {
  node.sweep(request.settings.pins);
  if (!request.pod_name.empty()) node.tell_gone(request.settings, sandbox_of(request, {}));
  return {};
}

}  // namespace

Outcome<std::string> run(const Request& request, Node& node, std::string& remark) {
  switch (request.command) {
    case Command::add: return add(request, node, remark);
    case Command::check: return check(request, node);
    case Command::del: return del(request, node);
    case Command::gc: node.sweep(request.settings.pins); return std::string();
    case Command::status: return std::string();
    case Command::version: break;
  }
  return version_text(request.version);
}

}  // namespace omnitide::cni
