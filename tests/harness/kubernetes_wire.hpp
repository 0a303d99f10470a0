// Kubernetes' protobuf as a server writes it: envelopes, lists, frames of a watch.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "agent/base/wire.hpp"
#include "omnitide/peer/v1/kubernetes.pb.h"

namespace omnitide::test {

namespace kube = omnitide::peer::v1::kubernetes;

// "k8s\0" and runtime.Unknown around a message, with a TypeMeta before it and an (empty) content type behind it.
inline std::string enveloped(std::string_view message) {
  std::string type, out;
  put_field(type, 1, std::string_view("v1"));
  put_field(type, 2, std::string_view("Thing"));
  put_field(out, 1, std::string_view(type));
  put_field(out, 2, message);
  put_field(out, 4, std::string_view());
  return std::string("k8s\0", 4) + out;
}

inline std::string listed(const std::vector<std::string>& items, std::string_view version,
                          std::string_view continuation = {}) {
  kube::ListMeta meta;
  meta.set_resource_version(std::string(version));
  meta.set_continue_(std::string(continuation));
  std::string list;
  put_field(list, 1, std::string_view(meta.SerializeAsString()));
  for (const std::string& item : items)
    put_field(list, 2, std::string_view(item));
  return enveloped(list);
}

inline std::string framed_event(std::string_view type, std::string_view object) {
  std::string raw, event;
  put_field(raw, 1, object);
  put_field(event, 1, type);
  put_field(event, 2, std::string_view(raw));
  std::string out;
  for (int shift = 24; shift >= 0; shift -= 8)
    out += static_cast<char>((event.size() >> static_cast<unsigned>(shift)) & 0xffU);
  return out + event;
}

inline std::string pod_message(const std::string& space, const std::string& name, const std::string& version,
                               const std::string& ip = "10.0.0.1") {
  kube::Pod pod;
  pod.mutable_metadata()->set_namespace_(space);
  pod.mutable_metadata()->set_name(name);
  pod.mutable_metadata()->set_resource_version(version);
  (*pod.mutable_metadata()->mutable_labels())["app"] = name;
  pod.mutable_status()->add_pod_ips()->set_ip(ip);
  return pod.SerializeAsString();
}

inline std::string pod_event(std::string_view type, const std::string& name, const std::string& version) {
  return framed_event(type, enveloped(pod_message("default", name, version)));
}

inline std::string bookmark_event(const std::string& version, bool initial_end) {
  kube::Pod pod;
  pod.mutable_metadata()->set_resource_version(version);
  if (initial_end) (*pod.mutable_metadata()->mutable_annotations())["k8s.io/initial-events-end"] = "true";
  return framed_event("BOOKMARK", enveloped(pod.SerializeAsString()));
}

inline std::string status_message(int code, const std::string& reason, int retry_after = 0) {
  kube::Status status;
  status.set_status("Failure");
  status.set_code(code);
  status.set_reason(reason);
  status.set_message("said: " + reason);
  if (retry_after != 0) status.mutable_details()->set_retry_after_seconds(retry_after);
  return enveloped(status.SerializeAsString());
}

}  // namespace omnitide::test
