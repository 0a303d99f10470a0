// Loading: layers, faults and their exact words.
#include "agent/config/load.hpp"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cstdlib>

#include "agent/base/file.hpp"
#include "tests/harness/catch.hpp"

namespace omnitide::config {
namespace {

class Folder {
 public:
  Folder() {
    std::array<char, 32> name{"/tmp/omnitide-config-XXXXXX"};
    path_ = ::mkdtemp(name.data());
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  ~Folder() {
    for (auto it = made_.rbegin(); it != made_.rend(); ++it)
      ::remove(it->c_str());
    ::rmdir(path_.c_str());
  }
  void write(const std::string& name, std::string_view text) {
    const std::size_t slash = name.find('/');
    if (slash != std::string::npos) {
      ::mkdir((path_ + "/" + name.substr(0, slash)).c_str(), 0700);
      made_.push_back(path_ + "/" + name.substr(0, slash));
    }
    REQUIRE(write_file_durably(path_ + "/" + name, text).has_value());
    made_.push_back(path_ + "/" + name);
  }
  void fifo(const std::string& name) {
    REQUIRE(::mkfifo((path_ + "/" + name).c_str(), 0600) == 0);
    made_.push_back(path_ + "/" + name);
  }
  [[nodiscard]] LoadOptions options() const {
    LoadOptions options;
    options.directory = path_;
    options.hostname = "press-7";
    return options;
  }
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_;
  std::vector<std::string> made_;
};

// Faults with the folder's name taken away.
std::vector<std::string> texts(const Loaded& loaded, const Folder& folder) {
  std::vector<std::string> out;
  for (const Fault& fault : loaded.faults) {
    std::string text = fault.text();
    const std::size_t at = text.find(folder.path() + "/");
    if (at != std::string::npos) text.erase(at, folder.path().size() + 1);
    out.push_back(std::move(text));
  }
  return out;
}

std::vector<std::string> faults_of(std::string_view text) {
  Folder folder;
  folder.write("agent.yaml", text);
  return texts(load(folder.options()), folder);
}

std::string origin_of(const Loaded& loaded, std::string_view path) {
  for (const Setting& setting : loaded.settings) {
    if (setting.path == path) return setting.origin.text();
  }
  return "absent";
}

}  // namespace

TEST_CASE("an absent configuration gives the defaults") {
  const Folder folder;
  const Loaded loaded = load(folder.options());
  CHECK(loaded.valid());
  CHECK(loaded.config.node.name == "press-7");
  CHECK(loaded.config.http.listen == "127.0.0.1:9797");
  CHECK(loaded.config.registry.dir == "/var/lib/omnitide/registry");
  CHECK(loaded.config.files.empty());
  CHECK(origin_of(loaded, "http.listen") == "default");
}

TEST_CASE("later layers win: file, drop-ins in lexical order, --config, environment, flags") {
  Folder folder;
  folder.write("agent.yaml",
               "node: {labels: {site: a, line: one}}\nlog:\n  level: warning\nhttp:\n  listen: 127.0.0.1:1\n"
               "discovery:\n  refresh_interval: 20m\n");
  folder.write("agent.d/20.yaml", "http:\n  listen: 127.0.0.1:3\ndiscovery: {refresh_interval: 30m}\n");
  folder.write("agent.d/10.yaml", "http:\n  listen: 127.0.0.1:2\nnode: {labels: {site: b}}\n");
  folder.write("agent.d/.hidden.yaml", "nonsense: [");
  folder.write("agent.d/README", "nonsense: [");
  folder.write("given", "log:\n  levels: {discovery: debug}\ndiscovery: {refresh_interval: 40m}\n");
  LoadOptions options = folder.options();
  options.file = folder.path() + "/given";
  options.environment = {{"OMNITIDE_DISCOVERY_REFRESH_INTERVAL", "1h"},
                         {"OMNITIDE_DISCOVERY_EXCLUDE_SOURCES", "[nvme, usb]"},
                         {"OMNITIDE_NODE_LABELS", "{rack: r1}"}};
  options.run_dir = "/run/other";
  const Loaded loaded = load(options);
  CHECK(texts(loaded, folder) == std::vector<std::string>{});
  CHECK(loaded.config.http.listen == "127.0.0.1:3");
  CHECK(loaded.config.discovery.refresh_interval == std::chrono::hours{1});
  CHECK(loaded.config.discovery.exclude_sources == std::vector<std::string>{"nvme", "usb"});
  CHECK(loaded.config.node.labels ==
        std::map<std::string, std::string>{{"site", "b"}, {"line", "one"}, {"rack", "r1"}});
  CHECK(loaded.config.log.levels.at(static_cast<std::size_t>(log::Part::discovery)) == log::Level::debug);
  CHECK(loaded.config.log.levels.at(static_cast<std::size_t>(log::Part::agent)) == log::Level::warning);
  CHECK(loaded.config.paths.run_dir == "/run/other");
  CHECK(loaded.config.files.size() == 4);
  CHECK(origin_of(loaded, "http.listen") == folder.path() + "/agent.d/20.yaml:2");
  CHECK(origin_of(loaded, "node.labels.line") == folder.path() + "/agent.yaml:1");
  CHECK(origin_of(loaded, "node.labels.rack") == "OMNITIDE_NODE_LABELS");
  CHECK(origin_of(loaded, "discovery.refresh_interval") == "OMNITIDE_DISCOVERY_REFRESH_INTERVAL");
  CHECK(origin_of(loaded, "paths.run_dir") == "--run-dir");
}

TEST_CASE("every fault is reported at once, with line, field and what would be right") {
  const std::vector<std::string> expected{
      "agent.yaml:2: node.name: \"-bad name\" is not a host name (letters, digits, '-', '_' and '.', at most 253, "
      "beginning and ending with a letter or digit)",
      "agent.yaml:4: registration.endpont: is not a known key (did you mean registration.endpoint?)",
      "agent.yaml:6: discovery.debounce: \"200\" is not a duration (give a unit: 200s, or ms, m, h, d)",
      "agent.yaml:7: discovery.refresh_interval: 30s is too short (10m to 7d)",
      "agent.yaml:8: discovery.debounce: is set a second time; the first is on line 6 (keep one of the two)",
      "agent.yaml:10: http.enabled: \"yes\" is not a boolean (give true or false, without quotes)",
      "agent.yaml:11: http.listen: \":9797\" has no address (for all addresses write 0.0.0.0 or [::])",
      "agent.yaml:12: logg: is not a known section (did you mean log?)",
      "agent.yaml:13: endpoint: is not a known section (did you mean registration.endpoint?)",
  };
  CHECK(faults_of("node:\n  name: -bad name\nregistration:\n  endpont: https://a\ndiscovery:\n  debounce: 200\n"
                  "  refresh_interval: 30s\n  debounce: 1ms\nhttp:\n  enabled: yes\n  listen: :9797\n"
                  "logg: {}\nendpoint: https://a\n") == expected);
}

TEST_CASE("each type says what is wrong with a value") {
  struct Row {
    std::string_view text, fault;
  };
  const std::vector<Row> rows{
      {"http: {enabled: \"true\"}",
       "agent.yaml:1: http.enabled: \"true\" is not a boolean (give true or false, without quotes)"},
      {"http: {enabled: [true]}", "agent.yaml:1: http.enabled: is a list (give true or false)"},
      {"http:\n  listen:\n",
       "agent.yaml:2: http.listen: has no value (give an address and port such as 127.0.0.1:9797, or take the line "
       "away)"},
      {"http: {listen: example.com:80}",
       "agent.yaml:1: http.listen: \"example.com:80\" has no literal address (an IPv4 address, an IPv6 address in [], "
       "or localhost)"},
      {"http: {listen: \"127.0.0.1:70000\"}",
       "agent.yaml:1: http.listen: \"127.0.0.1:70000\" has a bad port (1 to 65535; 0 lets the kernel choose)"},
      {"http: {listen: \"[::1]\"}",
       "agent.yaml:1: http.listen: \"[::1]\" has no port (ADDRESS:PORT, e.g. 127.0.0.1:9797 or [::1]:9797)"},
      {"http: {allowed_hosts: [a, \"http://b\"]}",
       "agent.yaml:1: http.allowed_hosts[1]: \"http://b\" is not a host name (only the name, without scheme and port)"},
      {"registration: {endpoint: http://a}",
       "agent.yaml:1: registration.endpoint: \"http://a\" is not encrypted: only https:// is accepted (https://HOST or "
       "https://HOST:PORT, e.g. https://registry.example:7443)"},
      {"registration: {endpoint: \"https://u:p@a\"}",
       "agent.yaml:1: registration.endpoint: \"https://u:p@a\" has a user name or password in it (https://HOST or "
       "https://HOST:PORT, e.g. https://registry.example:7443)"},
      {"registration: {endpoint: \"https://a:0\"}",
       "agent.yaml:1: registration.endpoint: \"https://a:0\" has a bad port (https://HOST or https://HOST:PORT, e.g. "
       "https://registry.example:7443)"},
      {"registration: {token_file: token}",
       "agent.yaml:1: registration.token_file: \"token\" is not an absolute path (begin it with /)"},
      {"registration: {backoff_base: 1m, backoff_cap: 2s}",
       "agent.yaml:1: registration.backoff_base: 1m is longer than registration.backoff_cap, 2s (give a base that is "
       "not above the cap)"},
      {"discovery: {exclude_sources: [cpus]}",
       "agent.yaml:1: discovery.exclude_sources[0]: \"cpus\" is not known (did you mean cpu? one of block, nvme, "
       "pci, cpu, network, memory, smbios, edac, system, runtime, filesystem, usb, accelerator, platform, ebpf)"},
      {"discovery: {exclude_sources: cpu}",
       "agent.yaml:1: discovery.exclude_sources: is a value, not a list (give a list such as [block])"},
      {"log: {levels: {discover: debug}}",
       "agent.yaml:1: log.levels.discover: is not a part of the agent (did you mean discovery? one of agent, config, "
       "discovery, registration, registry, http, telemetry, policy, health)"},
      {"log: {level: verbose}",
       "agent.yaml:1: log.level: \"verbose\" is not known (one of debug, info, warning, error)"},
      {"node: {labels: {\"a b\": c}}",
       "agent.yaml:1: node.labels.a b: is not a label key (letters, digits, '-', '_' and '.', at most 63; before a "
       "'/' may stand a lower-case domain)"},
      {"node: {labels: {a: \"b c\"}}",
       "agent.yaml:1: node.labels.a: \"b c\" is not a label value (letters, digits, '-', '_' and '.', at most 63, "
       "beginning and ending with a letter or digit)"},
      {"http: {listen: \"0.0.0.0:9797\"}",
       "agent.yaml:1: http.listen: 0.0.0.0:9797 can be reached from other machines (set http.web_config_file (TLS, "
       "authentication) or http.bearer_token_file)"},
      {"http: yes", "agent.yaml:1: http: is a value, not a section (put its keys below it, indented by two spaces)"},
      {"- a", "agent.yaml:1: holds a list, not a map of sections (begin with a section such as 'node:')"},
      {"node: &a {name: b}", "agent.yaml:1: node: anchors (&name) are not accepted here (write the value itself)"},
      {"node: {name: !!str b}",
       "agent.yaml:1: node.name: the tag tag:yaml.org,2002:str is not accepted here (take "
       "the tag away)"},
      {"node: {name: a}\n---\nnode: {name: b}\n",
       "agent.yaml:2: a second document begins here (keep one document in a file, without '---')"},
  };
  for (const Row& row : rows) {
    CAPTURE(row.text);
    CHECK(faults_of(row.text) == std::vector<std::string>{std::string(row.fault)});
  }
}

TEST_CASE("keys of a group are written below it, or with a dot") {
  Folder folder;
  folder.write("agent.yaml", "policy:\n  limits:\n    connections: 2048\n    deny: 100\n  limits.cidrs: 4096\n");
  const Loaded loaded = load(folder.options());
  CHECK(texts(loaded, folder).empty());
  CHECK(loaded.config.policy.limits.connections == 2048);
  CHECK(loaded.config.policy.limits.deny == 100);
  CHECK(loaded.config.policy.limits.cidrs == 4096);
  folder.write("agent.yaml", "policy:\n  limits:\n    conections: 2048\n    deny: 1\n");
  const Loaded wrong = load(folder.options());
  REQUIRE(wrong.faults.size() == 2);
  CHECK(wrong.faults[0].text().find("agent.yaml:3: policy.limits.conections: is not a known key") != std::string::npos);
  CHECK(wrong.faults[1].text().find("agent.yaml:4: policy.limits.deny: ") != std::string::npos);
}

TEST_CASE("a syntax error has its line") {
  const auto faults = faults_of("node:\n  name: a\n http: {\n");
  REQUIRE(faults.size() == 1);
  CHECK(faults[0].starts_with("agent.yaml:3: is not valid YAML: "));
  const auto tab = faults_of("node:\n\tname: a\n");
  REQUIRE_FALSE(tab.empty());
  CHECK(tab[0].find("indent with spaces, not with tabs") != std::string::npos);
}

TEST_CASE("an empty section and a file of comments are no faults") {
  CHECK(faults_of("# nothing\n").empty());
  CHECK(faults_of("node:\nhttp:\n").empty());
  CHECK(faults_of("").empty());
}

TEST_CASE("hostile files are refused with a clear sentence") {
  CHECK(faults_of(std::string(kMaxFileBytes + 1, '#')) == std::vector<std::string>{"agent.yaml: is longer than 1 MiB"});
  CHECK(faults_of(std::string_view("a\0b", 3)) ==
        std::vector<std::string>{"agent.yaml: is not text: it has a zero byte"});
  const auto deep = faults_of("node: " + std::string(40, '[') + std::string(40, ']'));
  REQUIRE(deep.size() == 2);
  CHECK(deep[0] == "agent.yaml:1: node: nested more than 32 levels deep");
  CHECK_FALSE(faults_of(std::string(200'000, '[')).empty());
  CHECK_FALSE(faults_of(std::string(200'000, '{')).empty());
  const auto bomb = faults_of("a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n");
  REQUIRE_FALSE(bomb.empty());
  CHECK(bomb[0].find("anchors") != std::string::npos);
  std::string many;
  for (int i = 0; i < 5000; ++i)
    many += fmt::format("unknown{}: 1\n", i);
  CHECK(faults_of(many).size() == kMaxFaults);
}

TEST_CASE("what is not a regular file is refused and does not block") {
  Folder folder;
  folder.fifo("agent.yaml");
  CHECK(texts(load(folder.options()), folder) == std::vector<std::string>{"agent.yaml: is not a regular file"});
}

TEST_CASE("a --config file that is absent is a fault") {
  const Folder folder;
  LoadOptions options = folder.options();
  options.file = folder.path() + "/given";
  CHECK(texts(load(options), folder) == std::vector<std::string>{"given: cannot be read: No such file or directory"});
}

TEST_CASE("environment variables are checked like files; unknown ones are told, not refused") {
  const Folder folder;
  LoadOptions options = folder.options();
  options.environment = {{"OMNITIDE_DISCOVERY_ENABLED", "maybe"},
                         {"OMNITIDE_HTTP_LISTN", "x"},
                         {"OMNITIDE_NODE_LABELS", "{a: [b]}"},
                         {"OMNITIDE_REGISTRATION_ENDPOINT", ""}};
  const Loaded loaded = load(options);
  CHECK(texts(loaded, folder) ==
        std::vector<std::string>{
            "OMNITIDE_DISCOVERY_ENABLED: discovery.enabled: \"maybe\" is not a boolean (give true or false, without "
            "quotes)",
            "OMNITIDE_NODE_LABELS: node.labels.a: is a list (give a label value)"});
  CHECK(loaded.warnings ==
        std::vector<std::string>{"OMNITIDE_HTTP_LISTN is not a known variable, ignoring (did you mean "
                                 "OMNITIDE_HTTP_LISTEN?)"});
}

TEST_CASE("only variables with the prefix are taken from the environment") {
  const std::array<const char*, 5> environ{"PATH=/bin", "OMNITIDE_B=2=3", "OMNITIDE_A=", "OMNITIDE_NOEQUALS", nullptr};
  CHECK(environment_of(environ.data()) ==
        std::vector<std::pair<std::string, std::string>>{{"OMNITIDE_A", ""}, {"OMNITIDE_B", "2=3"}});
}

TEST_CASE("keys of a group are below it or have its name in front") {
  Folder folder;
  folder.write("agent.yaml", "policy:\n  limits:\n    rules: 12\n    cidr: 70\n  limits.deny: 99\n");
  const Loaded loaded = load(folder.options());
  CHECK(loaded.config.policy.limits.rules == 12);
  CHECK(loaded.config.policy.limits.deny == 99);
  CHECK(texts(loaded, folder) ==
        std::vector<std::string>{
            "agent.yaml:4: policy.limits.cidr: is not a known key (did you mean policy.limits.cidrs?)"});
}

TEST_CASE("valid values survive beside faults") {
  Folder folder;
  folder.write("agent.yaml", "paths: {run_dir: /run/here}\nhttp: {listen: 1}\n");
  const Loaded loaded = load(folder.options());
  CHECK_FALSE(loaded.valid());
  CHECK(loaded.config.paths.run_dir == "/run/here");
  CHECK(loaded.config.http.listen == "127.0.0.1:9797");
}

}  // namespace omnitide::config
