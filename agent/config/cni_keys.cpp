#include "agent/config/cni_keys.hpp"

#include <string>

#include "agent/config/values.hpp"

namespace omnitide::config {

namespace {

using namespace std::chrono_literals;

const std::vector<std::string>& absent_names() {
  static const std::vector<std::string> names{"closed", "open"};
  return names;
}

void set_absent(Config& config, const Value& value, Problems& problems) {
  std::size_t index = config.kubernetes.cni.absent_open ? 1 : 0;
  read_choice(value, absent_names(), index, problems);
  config.kubernetes.cni.absent_open = index == 1;
}

}  // namespace

const std::vector<Key>& cni_keys() {
  static const std::vector<Key> keys{
      Key{"kubernetes.cni.enabled", "boolean",
          "Chain omnitide-cni into the node's network configuration, so that a new pod is judged before its first "
          "packet. Only while policy.mode is enforce; false takes it out again.",
          "", "", false, false,
          [](Config& c, const Value& v, Problems& p) { read_boolean(v, c.kubernetes.cni.enabled, p); },
          [](const Config& c) { return show(c.kubernetes.cni.enabled); }},
      Key{"kubernetes.cni.conf_dir", "absolute path", "Where the container runtime finds its network configuration.",
          "", "", false, false,
          [](Config& c, const Value& v, Problems& p) {
            read_path(v, false, kLongestPath, c.kubernetes.cni.conf_dir, p);
          },
          [](const Config& c) { return show(c.kubernetes.cni.conf_dir); }},
      Key{"kubernetes.cni.bin_dir", "absolute path", "Where the container runtime finds its plugins.", "", "", false,
          false,
          [](Config& c, const Value& v, Problems& p) {
            read_path(v, false, kLongestPath, c.kubernetes.cni.bin_dir, p);
          },
          [](const Config& c) { return show(c.kubernetes.cni.bin_dir); }},
      Key{"kubernetes.cni.absent", "closed or open", "How a pod starts that no agent on the node can judge.", "closed",
          "", false, false, set_absent,
          [](const Config& c) { return Value::scalar(absent_names().at(c.kubernetes.cni.absent_open ? 1 : 0)); }},
      Key{"kubernetes.cni.timeout", "duration, 1s to 1m",
          "How long the start of a pod waits until it is judged. Then it starts closed, and is opened when it is.", "",
          "", false, false,
          [](Config& c, const Value& v, Problems& p) { read_duration(v, 1s, 1min, c.kubernetes.cni.timeout, p); },
          [](const Config& c) { return show(c.kubernetes.cni.timeout); }},
      Key{"kubernetes.cni.node_state_dir", "absolute path or empty",
          "paths.state_dir as the node sees it, for an agent in a container. Empty: it is the same.", "",
          "/var/lib/omnitide", false, false,
          [](Config& c, const Value& v, Problems& p) {
            read_path(v, true, kLongestPath, c.kubernetes.cni.node_state_dir, p);
          },
          [](const Config& c) { return show(c.kubernetes.cni.node_state_dir); }},
      Key{"kubernetes.cni.node_pin_dir", "absolute path or empty",
          "policy.pin_dir as the node sees it, for an agent in a container. Empty: it is the same.", "",
          "/sys/fs/bpf/omnitide", false, false,
          [](Config& c, const Value& v, Problems& p) {
            read_path(v, true, kLongestPath, c.kubernetes.cni.node_pin_dir, p);
          },
          [](const Config& c) { return show(c.kubernetes.cni.node_pin_dir); }}};
  return keys;
}

}  // namespace omnitide::config
