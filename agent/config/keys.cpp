// The table of keys. `log.level` stands before `log.levels`, since setters run in this order.
#include <fmt/format.h>

#include <array>

#include "agent/base/clock.hpp"
#include "agent/config/cni_keys.hpp"
#include "agent/config/collector_keys.hpp"
#include "agent/config/ebpf_keys.hpp"
#include "agent/config/health_keys.hpp"
#include "agent/config/schema.hpp"
#include "agent/config/telemetry_keys.hpp"
#include "agent/config/values.hpp"

namespace omnitide::config {

namespace {

using namespace std::chrono_literals;
using std::chrono::milliseconds;

// The socket's path, RUN_DIR/agent.sock, must fit into sockaddr_un (108 bytes with its end).
constexpr std::size_t kLongestRunDir = 96;

const std::vector<std::string>& format_names() {
  static const std::vector<std::string> names{"auto", "journal", "text", "json"};
  return names;
}

// The names of discovery/sources/catalogue.hpp and that of discovery/inventory/ebpf_source.hpp; a unit test of the
// daemon holds them against those.
const std::vector<std::string>& source_names() {
  static const std::vector<std::string> names{"block",      "nvme",   "pci",         "cpu",      "network",
                                              "memory",     "smbios", "edac",        "system",   "runtime",
                                              "filesystem", "usb",    "accelerator", "platform", "ebpf"};
  return names;
}

using config::show;  // beside those of this file
Value show(log::Level value) { return Value::scalar(std::string(log::name(value))); }
Value show(const std::map<std::string, std::string>& values) {
  Value out;
  out.kind = Value::Kind::map;
  for (const auto& [key, value] : values)
    out.entries.push_back({key, 0, show(value)});
  return out;
}

Value show_levels(const Config& config) {
  Value out;
  out.kind = Value::Kind::map;
  for (std::size_t i = 0; i < log::kParts; ++i) {
    if (config.log.levels.at(i) == config.log.level) continue;
    out.entries.push_back({std::string(log::name(static_cast<log::Part>(i))), 0, show(config.log.levels.at(i))});
  }
  return out;
}

void set_format(Config& config, const Value& value, Problems& problems) {
  auto index = static_cast<std::size_t>(config.log.format);
  read_choice(value, format_names(), index, problems);
  config.log.format = static_cast<LogFormat>(index);
}

const std::vector<std::string>& mode_names() {
  static const std::vector<std::string> names{"off", "audit", "enforce"};
  return names;
}

const std::vector<std::string>& start_names() {
  static const std::vector<std::string> names{"closed", "open"};
  return names;
}

const std::vector<std::string>& label_place_names() {
  static const std::vector<std::string> names{"off", "auto", "node", "node-feature"};
  return names;
}

void set_kubernetes_labels(Config& config, const Value& value, Problems& problems) {
  auto index = static_cast<std::size_t>(config.kubernetes.labels);
  read_choice(value, label_place_names(), index, problems);
  config.kubernetes.labels = static_cast<KubernetesLabels>(index);
}

void set_policy_mode(Config& config, const Value& value, Problems& problems) {
  auto index = static_cast<std::size_t>(config.policy.mode);
  read_choice(value, mode_names(), index, problems);
  config.policy.mode = static_cast<PolicyMode>(index);
}

void set_policy_start(Config& config, const Value& value, Problems& problems) {
  std::size_t index = config.policy.interfaces_start_open ? 1 : 0;
  read_choice(value, start_names(), index, problems);
  config.policy.interfaces_start_open = index == 1;
}

void set_daemon_set(Config& config, const Value& value, Problems& problems) {
  const auto text = scalar(value, "a namespace and a name", problems);
  if (!text) return;
  const std::size_t slash = text->find('/');
  const bool good = slash != std::string::npos && slash > 0 && slash + 1 < text->size() &&
                    text->find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-./") == std::string::npos &&
                    text->find('/', slash + 1) == std::string::npos;
  if (!good && !text->empty())
    return add(problems, value, "", fmt::format("{} names no DaemonSet", quote(*text)),
               "NAMESPACE/NAME, e.g. omnitide-system/omnitide-agent");
  config.kubernetes.daemon_set = *text;
}

void set_level(Config& config, const Value& value, Problems& problems) {
  auto index = static_cast<std::size_t>(config.log.level);
  read_choice(value, level_names(), index, problems);
  config.log.level = static_cast<log::Level>(index);
  config.log.levels.fill(config.log.level);
}

void set_levels(Config& config, const Value& value, Problems& problems) {
  std::map<log::Part, log::Level> read;
  read_levels(value, read, problems);
  for (const auto& [part, level] : read)
    config.log.levels.at(static_cast<std::size_t>(part)) = level;
}

constexpr std::string_view kPath = "absolute path";
constexpr std::string_view kPathOrEmpty = "absolute path or empty";

constexpr std::array kKeys{
    Key{"node.name", "host name", "What people call this node. It is shown, never used as identity.", "the host name",
        "\"press-7\"", false, false, [](Config& c, const Value& v, Problems& p) { read_node_name(v, c.node.name, p); },
        [](const Config& c) { return show(c.node.name); }},
    Key{"node.labels", "map of labels", "Labels of this node, in Kubernetes label syntax. The registry's labels win.",
        "{}", "{site: hall-3, omnitide.io/line: \"7\"}", true, true,
        [](Config& c, const Value& v, Problems& p) { read_labels(v, c.node.labels, p); },
        [](const Config& c) { return show(c.node.labels); }},
    Key{"paths.state_dir", kPath, "Identity, certificates and the last accepted state. Must survive a reboot.", "", "",
        false, false,
        [](Config& c, const Value& v, Problems& p) { read_path(v, false, kLongestPath, c.paths.state_dir, p); },
        [](const Config& c) { return show(c.paths.state_dir); }},
    Key{"paths.run_dir", kPath, "The local socket (agent.sock) and the lock. At most 96 bytes.", "", "", false, false,
        [](Config& c, const Value& v, Problems& p) { read_path(v, false, kLongestRunDir, c.paths.run_dir, p); },
        [](const Config& c) { return show(c.paths.run_dir); }},
    Key{"paths.host_root", kPath,
        "Where the node's file tree is seen. In a container the node's root is mounted there, with its /proc, /sys and "
        "/dev.",
        "", "/host", false, false,
        [](Config& c, const Value& v, Problems& p) { read_path(v, false, kLongestPath, c.paths.host_root, p); },
        [](const Config& c) { return show(c.paths.host_root); }},
    Key{"registration.endpoint", "https URL or empty", "The registry to register with. Empty: registration is off.", "",
        "https://registry.example:7443", false, false,
        [](Config& c, const Value& v, Problems& p) { read_endpoint(v, c.registration.endpoint, p); },
        [](const Config& c) { return show(c.registration.endpoint); }},
    Key{"registration.token_file", kPathOrEmpty,
        "File with the join token, mode 0600. It is needed only until the node has joined.", "",
        "/etc/omnitide/join-token", true, false,
        [](Config& c, const Value& v, Problems& p) { read_path(v, true, kLongestPath, c.registration.token_file, p); },
        [](const Config& c) { return show(c.registration.token_file); }},
    Key{"registration.request_timeout", "duration, 1s to 5m", "How long one request to the registry may take.", "", "",
        true, false,
        [](Config& c, const Value& v, Problems& p) { read_duration(v, 1s, 5min, c.registration.request_timeout, p); },
        [](const Config& c) { return show(c.registration.request_timeout); }},
    Key{"registration.backoff_base", "duration, 100ms to 1m",
        "Ceiling of the first wait after a failed request; it doubles with each failure. Waits have full jitter.", "",
        "", true, false,
        [](Config& c, const Value& v, Problems& p) { read_duration(v, 100ms, 1min, c.registration.backoff_base, p); },
        [](const Config& c) { return show(c.registration.backoff_base); }},
    Key{"registration.backoff_cap", "duration, 1s to 1h", "The longest wait after a failed request.", "", "", true,
        false, [](Config& c, const Value& v, Problems& p) { read_duration(v, 1s, 1h, c.registration.backoff_cap, p); },
        [](const Config& c) { return show(c.registration.backoff_cap); }},
    Key{"registration.start_jitter", "duration, 0s to 10m",
        "The first request after a start waits a random time up to this, so that a fleet that starts together does not "
        "knock together. An embedded registry is asked at once.",
        "", "", false, false,
        [](Config& c, const Value& v, Problems& p) { read_duration(v, 0ms, 10min, c.registration.start_jitter, p); },
        [](const Config& c) { return show(c.registration.start_jitter); }},
    Key{"discovery.enabled", "boolean", "Hardware discovery.", "", "", false, false,
        [](Config& c, const Value& v, Problems& p) { read_boolean(v, c.discovery.enabled, p); },
        [](const Config& c) { return show(c.discovery.enabled); }},
    Key{"discovery.refresh_interval", "duration, 10m to 7d",
        "How often everything is read again. Changes are seen at once by kernel events, without this.", "", "1h", true,
        false,
        [](Config& c, const Value& v, Problems& p) { read_duration(v, 10min, kWeek, c.discovery.refresh_interval, p); },
        [](const Config& c) { return show(c.discovery.refresh_interval); }},
    Key{"discovery.debounce", "duration, 10ms to 800ms", "How long to gather kernel events before reading.", "", "",
        true, false,
        [](Config& c, const Value& v, Problems& p) { read_duration(v, 10ms, 800ms, c.discovery.debounce, p); },
        [](const Config& c) { return show(c.discovery.debounce); }},
    Key{"discovery.exclude_sources", "list of source names",
        "Sources that are not read: cpu, memory, smbios, edac, system, runtime, block, nvme, filesystem, network, pci, "
        "usb, accelerator, platform, ebpf.",
        "[]", "[nvme, smbios]", false, false,
        [](Config& c, const Value& v, Problems& p) { read_words(v, source_names(), c.discovery.exclude_sources, p); },
        [](const Config& c) { return show(c.discovery.exclude_sources); }},
    Key{"http.enabled", "boolean", "/healthz, /readyz and /metrics over HTTP.", "", "", false, false,
        [](Config& c, const Value& v, Problems& p) { read_boolean(v, c.http.enabled, p); },
        [](const Config& c) { return show(c.http.enabled); }},
    Key{"http.listen", "ADDRESS:PORT",
        "Where to listen. An address that others can reach needs http.web_config_file or http.bearer_token_file.", "",
        "", false, false, [](Config& c, const Value& v, Problems& p) { read_listen(v, c.http.listen, p); },
        [](const Config& c) { return show(c.http.listen); }},
    Key{"http.web_config_file", kPathOrEmpty,
        "node_exporter's web configuration file: TLS, client CA, basic authentication.", "", "/etc/omnitide/web.yaml",
        false, false,
        [](Config& c, const Value& v, Problems& p) { read_path(v, true, kLongestPath, c.http.web_config_file, p); },
        [](const Config& c) { return show(c.http.web_config_file); }},
    Key{"http.bearer_token_file", kPathOrEmpty, "File with a bearer token, mode 0600, that every request must carry.",
        "", "/etc/omnitide/scrape-token", false, false,
        [](Config& c, const Value& v, Problems& p) { read_path(v, true, kLongestPath, c.http.bearer_token_file, p); },
        [](const Config& c) { return show(c.http.bearer_token_file); }},
    Key{"http.open_health", "boolean",
        "Answer /healthz and /readyz without authentication, with yes or no alone: for probes that hold no secret.", "",
        "", false, false, [](Config& c, const Value& v, Problems& p) { read_boolean(v, c.http.open_health, p); },
        [](const Config& c) { return show(c.http.open_health); }},
    Key{"http.page", "boolean",
        "The web page at /: hardware, parts of the agent, live charts and recent flows, for browsers.", "", "", false,
        false, [](Config& c, const Value& v, Problems& p) { read_boolean(v, c.http.page, p); },
        [](const Config& c) { return show(c.http.page); }},
    Key{"http.allowed_hosts", "list of host names",
        "Host names that a request may name, beside literal addresses and localhost (against DNS rebinding).", "[]",
        "[press-7.example]", false, false,
        [](Config& c, const Value& v, Problems& p) { read_host_names(v, c.http.allowed_hosts, p); },
        [](const Config& c) { return show(c.http.allowed_hosts); }},
    Key{"metrics.enabled", "boolean", "Metrics at /metrics.", "", "", false, false,
        [](Config& c, const Value& v, Problems& p) { read_boolean(v, c.metrics.enabled, p); },
        [](const Config& c) { return show(c.metrics.enabled); }},
    Key{"kubernetes.enabled", "boolean",
        "Follow namespaces, pods, nodes and policies of the cluster that this node belongs to; node.name is the Node's "
        "name.",
        "", "", false, false, [](Config& c, const Value& v, Problems& p) { read_boolean(v, c.kubernetes.enabled, p); },
        [](const Config& c) { return show(c.kubernetes.enabled); }},
    Key{"kubernetes.kubeconfig", kPathOrEmpty,
        "How to reach the API server outside of a pod. Empty: by the pod's own service account.", "",
        "/etc/omnitide/kubeconfig", false, false,
        [](Config& c, const Value& v, Problems& p) { read_path(v, true, kLongestPath, c.kubernetes.kubeconfig, p); },
        [](const Config& c) { return show(c.kubernetes.kubeconfig); }},
    Key{"kubernetes.daemon_set", "NAMESPACE/NAME or empty",
        "The DaemonSet that runs this agent. When it is deleted, what is enforced goes with the agent; in a roll-out "
        "it stays.",
        "", "omnitide-system/omnitide-agent", false, false, set_daemon_set,
        [](const Config& c) { return show(c.kubernetes.daemon_set); }},
    Key{"kubernetes.lease", "boolean", "A Lease in the agent's namespace as the heartbeat of this node.", "", "", false,
        false, [](Config& c, const Value& v, Problems& p) { read_boolean(v, c.kubernetes.lease, p); },
        [](const Config& c) { return show(c.kubernetes.lease); }},
    Key{"kubernetes.lease_duration", "duration, 15s to 1h",
        "After this time without a heartbeat the agent counts as gone. It is renewed within a third of it.", "", "",
        false, false,
        [](Config& c, const Value& v, Problems& p) { read_duration(v, 15s, 1h, c.kubernetes.lease_duration, p); },
        [](const Config& c) { return show(c.kubernetes.lease_duration); }},
    Key{"kubernetes.inventory", "boolean", "The facts of this node as a NodeInventory: `kubectl get nodeinventories`.", "",
        "", false, false, [](Config& c, const Value& v, Problems& p) { read_boolean(v, c.kubernetes.inventory, p); },
        [](const Config& c) { return show(c.kubernetes.inventory); }},
    Key{"kubernetes.labels", "off, auto, node or node-feature",
        "Where the labels of docs/labels.md go: to the Node itself, or by a NodeFeature object to Node Feature "
        "Discovery's master. auto: by NodeFeature where such a master runs.",
        "", "", false, false, set_kubernetes_labels,
        [](const Config& c) {
          return Value::scalar(label_place_names().at(static_cast<std::size_t>(c.kubernetes.labels)),
                               c.kubernetes.labels == KubernetesLabels::off);
        }},
    Key{"kubernetes.conditions", "boolean",
        "Write the conditions of health to the status of the Node, and nothing that another one writes there.", "", "",
        false, false,
        [](Config& c, const Value& v, Problems& p) { read_boolean(v, c.kubernetes.conditions, p); },
        [](const Config& c) { return show(c.kubernetes.conditions); }},
    Key{"kubernetes.events", "boolean", "Tell what health sees and does as Events about the Node.", "", "", false, false,
        [](Config& c, const Value& v, Problems& p) { read_boolean(v, c.kubernetes.events, p); },
        [](const Config& c) { return show(c.kubernetes.events); }},
    Key{"policy.mode", "off, audit or enforce",
        "audit judges and reports and drops nothing. off leaves what is enforced as it is: `omnitide-agent policy "
        "detach` takes it away.",
        "\"off\"", "enforce", false, false, set_policy_mode,
        [](const Config& c) { return Value::scalar(mode_names().at(static_cast<std::size_t>(c.policy.mode)), true); }},
    Key{"policy.directory", kPathOrEmpty, "Files of Kubernetes objects and HostPolicy, YAML or JSON; watched.", "", "",
        false, false,
        [](Config& c, const Value& v, Problems& p) { read_path(v, true, kLongestPath, c.policy.directory, p); },
        [](const Config& c) { return show(c.policy.directory); }},
    Key{"policy.interfaces", "list of device names, with * and ?",
        "Devices that are judged from their first packet on, before a pod is known on them.", "[]", "[cali*, lxc*]",
        false, false, [](Config& c, const Value& v, Problems& p) { read_device_names(v, c.policy.interfaces, p); },
        [](const Config& c) { return show(c.policy.interfaces); }},
    Key{"policy.interfaces_start", "closed or open", "What happens on such a device until a pod is known on it.",
        "closed", "", false, false, set_policy_start,
        [](const Config& c) { return Value::scalar(start_names().at(c.policy.interfaces_start_open ? 1 : 0)); }},
    Key{"policy.pin_dir", kPath, "Where the policy in the kernel is pinned, so that it outlives the agent; in a bpffs.",
        "", "", false, false,
        [](Config& c, const Value& v, Problems& p) { read_path(v, false, kLongestPath, c.policy.pin_dir, p); },
        [](const Config& c) { return show(c.policy.pin_dir); }},
    Key{"policy.cgroup_root", kPathOrEmpty, "The root of cgroup v2, or a folder that has it as unified. Empty: found among the mounts.", "",
        "/sys/fs/cgroup", false, false,
        [](Config& c, const Value& v, Problems& p) { read_path(v, true, kLongestPath, c.policy.cgroup_root, p); },
        [](const Config& c) { return show(c.policy.cgroup_root); }},
    Key{"policy.mark_mask", "hexadecimal mask",
        "Bits of a packet's mark that may be used between a pod's device and address translation.", "\"0x3fff0000\"",
        "", false, false, [](Config& c, const Value& v, Problems& p) { read_mark_mask(v, c.policy.mark_mask, p); },
        [](const Config& c) { return Value::scalar(fmt::format("{:#x}", c.policy.mark_mask), true); }},
    Key{"policy.xdp_deny", "boolean",
        "Drop the HostPolicies' deny lists by XDP on the devices that they name. Attaching resets some network cards.",
        "", "", false, false, [](Config& c, const Value& v, Problems& p) { read_boolean(v, c.policy.xdp_deny, p); },
        [](const Config& c) { return show(c.policy.xdp_deny); }},
    Key{"policy.limits.connections", "1024 to 16777216", "Connections that are remembered; about 130 bytes each.", "",
        "", false, false,
        [](Config& c, const Value& v, Problems& p) { read_count(v, 1024, 16777216, c.policy.limits.connections, p); },
        [](const Config& c) { return show(c.policy.limits.connections); }},
    Key{"policy.limits.rules", "1 to 16384", "Rules of one pod and direction.", "", "", false, false,
        [](Config& c, const Value& v, Problems& p) { read_count(v, 1, 16384, c.policy.limits.rules, p); },
        [](const Config& c) { return show(c.policy.limits.rules); }},
    Key{"policy.limits.total_rules", "64 to 4194304", "Rules of all pods of the node together.", "", "", false, false,
        [](Config& c, const Value& v, Problems& p) { read_count(v, 64, 4194304, c.policy.limits.total_rules, p); },
        [](const Config& c) { return show(c.policy.limits.total_rules); }},
    Key{"policy.limits.identities", "64 to 1048576", "Different kinds of peers, which the selectors and CIDRs of the policies in use tell apart; and addresses of pods and nodes.",
        "", "", false, false,
        [](Config& c, const Value& v, Problems& p) { read_count(v, 64, 1048576, c.policy.limits.identities, p); },
        [](const Config& c) { return show(c.policy.limits.identities); }},
    Key{"policy.limits.cidrs", "64 to 1048576", "Different CIDRs in policies.", "", "", false, false,
        [](Config& c, const Value& v, Problems& p) { read_count(v, 64, 1048576, c.policy.limits.cidrs, p); },
        [](const Config& c) { return show(c.policy.limits.cidrs); }},
    Key{"policy.limits.deny", "64 to 4194304", "CIDRs in the deny lists of HostPolicies.", "", "", false, false,
        [](Config& c, const Value& v, Problems& p) { read_count(v, 64, 4194304, c.policy.limits.deny, p); },
        [](const Config& c) { return show(c.policy.limits.deny); }},
    Key{"policy.limits.connection_rate", "10 to 10000000",
        "New connections a second that one pod may open or get; three seconds' worth at once.", "", "", false, false,
        [](Config& c, const Value& v, Problems& p) { read_count(v, 10, 10000000, c.policy.limits.connection_rate, p); },
        [](const Config& c) { return show(c.policy.limits.connection_rate); }},
    Key{"registry.embedded", "boolean", "The reference registry inside the agent: for trials and single nodes.", "", "",
        false, false, [](Config& c, const Value& v, Problems& p) { read_boolean(v, c.registry.embedded, p); },
        [](const Config& c) { return show(c.registry.embedded); }},
    Key{"registry.listen", "ADDRESS:PORT", "Where the embedded registry listens, by mutual TLS.", "", "", false, false,
        [](Config& c, const Value& v, Problems& p) { read_listen(v, c.registry.listen, p); },
        [](const Config& c) { return show(c.registry.listen); }},
    Key{"registry.dir", kPathOrEmpty, "State of the embedded registry.", "STATE_DIR/registry",
        "/var/lib/omnitide/registry", false, false,
        [](Config& c, const Value& v, Problems& p) { read_path(v, true, kLongestPath, c.registry.dir, p); },
        [](const Config& c) { return show(c.registry.dir); }},
    Key{"log.format", "auto, journal, text or json",
        "auto: journal fields when systemd reads our output, readable lines otherwise.", "auto", "", false, false,
        set_format,
        [](const Config& c) { return Value::scalar(format_names().at(static_cast<std::size_t>(c.log.format))); }},
    Key{"log.level", "debug, info, warning or error", "The level of every part that has none of its own.", "", "", true,
        false, set_level, [](const Config& c) { return show(c.log.level); }},
    Key{"log.levels", "map of part to level",
        "Levels of single parts: agent, config, discovery, registration, registry, http, telemetry, policy, health.",
        "{}", "{registration: debug}", true, true, set_levels, show_levels},
};

}  // namespace

std::span<const Key> keys() {
  // Keys of a section stand together: those of the collectors and of eBPF behind metrics.enabled, those of CNI before
  // policy's, those of telemetry and health before the registry's.
  static const std::vector<Key> all = [] {
    std::vector<Key> out;
    for (const Key& key : kKeys) {
      if (key.path == "registry.embedded") {
        out.insert(out.end(), telemetry_keys().begin(), telemetry_keys().end());
        out.insert(out.end(), health_keys().begin(), health_keys().end());
      }
      if (key.path == "policy.mode") out.insert(out.end(), cni_keys().begin(), cni_keys().end());
      out.push_back(key);
      if (key.path != "metrics.enabled") continue;
      out.insert(out.end(), collector_keys().begin(), collector_keys().end());
      out.insert(out.end(), ebpf_keys().begin(), ebpf_keys().end());
    }
    return out;
  }();
  return all;
}

}  // namespace omnitide::config
