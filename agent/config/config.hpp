// The agent's configuration: one immutable, fully validated value. Made by load() in load.hpp.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "agent/base/log.hpp"
#include "agent/config/health_config.hpp"
#include "agent/config/telemetry_config.hpp"
#include "agent/model/collector_settings.hpp"

namespace omnitide::config {

enum class LogFormat : std::uint8_t { automatic, journal, text, json };

struct NodeConfig {
  std::string name;                           // default: the host name
  std::map<std::string, std::string> labels;  // the registry's labels win over these
};

struct PathConfig {
  std::string state_dir = "/var/lib/omnitide";  // identity, certificates, last accepted state
  std::string run_dir = "/run/omnitide";        // socket and lock
  std::string host_root = "/";                  // the node's file tree; "/host" or the like in a container
};

struct RegistrationConfig {
  std::string endpoint;    // "https://registry.example:7443"; empty: off
  std::string token_file;  // join token; needed only until the node has joined
  std::chrono::milliseconds request_timeout{10'000};
  std::chrono::milliseconds backoff_base{1'000};
  std::chrono::milliseconds backoff_cap{300'000};
  std::chrono::milliseconds start_jitter{5'000};  // the first request waits up to this; none for an embedded registry
};

struct DiscoveryConfig {
  bool enabled = true;
  std::chrono::milliseconds refresh_interval{600'000};  // full scan; at least 10 minutes
  std::chrono::milliseconds debounce{200};
  std::vector<std::string> exclude_sources;
};

struct HttpConfig {
  bool enabled = true;
  std::string listen = "127.0.0.1:9797";
  std::string web_config_file;             // node_exporter's web config: TLS, client CA, basic authentication
  std::string bearer_token_file;           // beside or instead of the web config file
  bool page = true;                        // the web page at "/", for browsers
  bool open_health = false;                // /healthz and /readyz without authentication
  std::vector<std::string> allowed_hosts;  // Host names beside literal addresses and localhost (DNS rebinding)
};

struct EbpfMetricsConfig {
  bool enabled = true;
  std::uint32_t cgroups = 50;
  std::vector<std::string> exclude;
};

struct MetricsConfig {
  bool enabled = true;
  EbpfMetricsConfig ebpf;
  model::CollectorSettings collectors;
};

// The plugin omnitide-cni in the node's container runtime.
struct CniConfig {
  bool enabled = false;
  std::string conf_dir = "/etc/cni/net.d", bin_dir = "/opt/cni/bin";
  bool absent_open = false;  // a pod that no agent can judge starts open
  std::chrono::milliseconds timeout{5'000};
  std::string node_state_dir, node_pin_dir;  // as the node sees them; empty: as this process does
};

enum class PolicyMode : std::uint8_t { off, audit, enforce };

// Where the labels of the node go: to the Node, or by a NodeFeature object where Node Feature Discovery's master runs.
enum class KubernetesLabels : std::uint8_t { off, automatic, node, node_feature };

struct KubernetesConfig {
  bool enabled = false;
  bool lease = true;                                 // a heartbeat
  std::chrono::milliseconds lease_duration{60'000};  // after which without one the agent counts as gone
  bool inventory = true;                             // facts as a NodeInventory
  KubernetesLabels labels = KubernetesLabels::automatic;
  std::string kubeconfig;  // empty: the pod's own service account
  std::string daemon_set;  // "NAMESPACE/NAME" of the one that runs this agent; empty: none
  bool conditions = true;  // of health, on the Node's status
  bool events = true;      // about the Node
  CniConfig cni;
};

// Elements that the tables of network policy may hold; a policy that needs more is refused, and the last one stays.
struct PolicyLimits {
  std::uint32_t connections = 65'536;
  std::uint32_t rules = 16'384;        // of one endpoint and direction
  std::uint32_t total_rules = 65'536;  // of all endpoints together
  std::uint32_t identities = 65'536;
  std::uint32_t cidrs = 65'536;
  std::uint32_t deny = 131'072;
  std::uint32_t connection_rate = 20'000;  // new connections a second and pod
};

struct PolicyConfig {
  PolicyMode mode = PolicyMode::off;
  std::string directory = "/etc/omnitide/policy.d";
  std::vector<std::string> interfaces;  // globs: closed from their first packet until a pod is found on them
  bool interfaces_start_open = false;
  std::string pin_dir = "/sys/fs/bpf/omnitide";
  std::string cgroup_root;  // empty: found
  std::uint32_t mark_mask = 0x3fff0000;
  bool xdp_deny = false;
  PolicyLimits limits;
};

// The reference registry inside the agent's process: for `./dev run` and single nodes.
struct RegistryConfig {
  bool embedded = false;
  std::string listen = "127.0.0.1:7443";
  std::string dir;  // default: STATE_DIR/registry
};

struct LogConfig {
  LogFormat format = LogFormat::automatic;
  log::Level level = log::Level::info;         // of every part that has none of its own
  std::array<log::Level, log::kParts> levels;  // every part
  LogConfig() { levels.fill(log::Level::info); }
};

struct Config {
  NodeConfig node;
  PathConfig paths;
  RegistrationConfig registration;
  DiscoveryConfig discovery;
  HttpConfig http;
  MetricsConfig metrics;
  KubernetesConfig kubernetes;
  PolicyConfig policy;
  TelemetryConfig telemetry;
  HealthConfig health;
  RegistryConfig registry;
  LogConfig log;
  std::vector<std::string> files;  // what was read, in order
};

}  // namespace omnitide::config
