// Documents of policy through a registry: as operators put them, as nodes fetch them and speak of them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "omnitide/node/v1/policy.pb.h"
#include "tests/harness/catch.hpp"
#include "tests/harness/registry.hpp"

namespace omnitide::test {

// One NetworkPolicy; `port` makes texts differ.
inline std::string policy(const std::string& name, int port = 80) {
  return "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: " + name +
         ", namespace: shop}\nspec:\n  podSelector: {}\n  ingress:\n  - ports:\n    - port: " + std::to_string(port) +
         "\n";
}

// Lines of a comment make it as long as wanted.
inline std::string long_policy(const std::string& name, std::size_t bytes) {
  std::string out = policy(name);
  while (out.size() < bytes)
    out += "# " + std::string(97, 'x') + "\n";
  return out;
}

inline v1::PutPolicyRequest text_of(std::string text, std::optional<std::string> selector = {}) {
  v1::PutPolicyRequest out;
  out.set_text(std::move(text));
  if (selector) out.set_node_selector(*selector);
  return out;
}

inline Reply put(Plane& plane, const std::string& name, const v1::PutPolicyRequest& request) {
  return plane.admin().call("PUT", "/v1/policies/" + name, &request);
}
inline v1::PolicyDocument put(Plane& plane, const std::string& name, std::string text,
                              std::optional<std::string> selector = {}) {
  return put(plane, name, text_of(std::move(text), std::move(selector))).as<v1::PolicyDocument>();
}

inline Reply fetch(Device& device, const std::string& etag = {}) {
  io::HttpRequest request = Caller::request("GET", "/v1/nodes/" + device.id + "/desired-state");
  if (!etag.empty()) request.headers.emplace_back("if-none-match", etag);
  return device.connection().send(std::move(request));
}

inline std::vector<std::string> names(const v1::DesiredState& state) {
  std::vector<std::string> out;
  for (const v1::DesiredDocument& document : state.documents())
    out.push_back(document.name());
  return out;
}

inline std::string digest_of(const v1::DesiredState& state) {
  std::string digests;
  for (const v1::DesiredDocument& document : state.documents())
    digests += io::sha256(document.name()) + io::sha256(document.text());
  return io::sha256(digests);
}

inline void label(Plane& plane, const std::string& id, const std::string& key, const std::string& value) {
  v1::LabelsRequest request;
  (*request.mutable_set())[key] = value;
  CHECK(plane.admin().call("POST", "/v1/nodes/" + id + ":labels", &request).status() == 200);
}

inline v1::NodeAck report(Device& device, const v1::DesiredStateReport& said) {
  v1::HeartbeatRequest request;
  request.set_boot_id(device.boot);
  request.set_start_id(device.start);
  request.set_generation(device.generation);
  *request.mutable_desired() = said;
  return device.connection().call("POST", "/v1/nodes/" + device.id + "/heartbeat", &request).as<v1::NodeAck>();
}

inline v1::DesiredStateReport applied(const v1::DesiredState& state, std::uint32_t faults = 0) {
  v1::DesiredStateReport out;
  out.set_held_version(state.version());
  out.set_held_sha256(state.sha256());
  out.set_applied_version(state.version());
  out.set_applied_sha256(state.sha256());
  out.set_faults(faults);
  if (faults > 0) out.set_first_fault("web: no room");
  return out;
}

inline v1::DesiredStateVersionList roll_out(Plane& plane, bool all = false) {
  return plane.admin()
      .call("GET", all ? "/v1/desired-states?all=true" : "/v1/desired-states")
      .as<v1::DesiredStateVersionList>();
}

}  // namespace omnitide::test
