// The key health.checks: what is taken, the words for what is not, and from whom commands are taken.
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>

#include "agent/config/load.hpp"
#include "agent/config/reload.hpp"
#include "tests/harness/catch.hpp"
#include "tests/harness/fixture.hpp"

namespace omnitide::config {
namespace {

using namespace std::chrono_literals;

Loaded load_checks(const std::string& checks) {
  LoadOptions options;
  options.directory = "/nonexistent";
  options.hostname = "press-7";
  options.environment.emplace_back("OMNITIDE_HEALTH_CHECKS", checks);
  return load(options);
}

Loaded load_file(const std::string& path) {
  LoadOptions options;
  options.directory = "/nonexistent";
  options.file = path;
  return load(options);
}

// Of the only fault of one check.
std::string fault_of(const std::string& check) {
  const Loaded loaded = load_checks("[" + check + "]");
  if (loaded.faults.size() != 1) return fmt::format("{} faults", loaded.faults.size());
  const Fault& fault = loaded.faults.front();
  return fmt::format("{}: {} ({})", fault.field, fault.message, fault.hint);
}

}  // namespace

TEST_CASE("a check has a name, one thing to look at, and defaults for the rest") {
  const Loaded loaded = load_checks(
      "[{name: web-front, http: \"https://[::1]:8443/healthz?deep=1\", status: 204, body: ok, ca_file: /etc/ca.pem}, "
      "{name: db, tcp: \"localhost:5432\", interval: 2s, failures: 1, successes: 2, condition: DatabaseDown, reason: "
      "NoDb, "
      "message: the database is away}, {name: backup, file: /var/backup/last, max_age: 26h}, "
      "{name: orders, grpc: \"unix:/run/orders.sock\", service: acme.Orders}, "
      "{name: bills, grpc: \"h:1\", tls: true, ca_file: /etc/ca.pem, certificate: /etc/me.pem, key_file: /etc/me.key, "
      "server_name: bills.example}]");
  REQUIRE(loaded.valid());
  const std::vector<HealthCheckConfig>& checks = loaded.config.health.checks;
  REQUIRE(checks.size() == 5);
  CHECK_FALSE(checks[3].tls);
  CHECK(checks[4].tls);
  CHECK(checks[4].ca_file == "/etc/ca.pem");
  CHECK(checks[4].certificate == "/etc/me.pem");
  CHECK(checks[4].key_file == "/etc/me.key");
  CHECK(checks[4].server_name == "bills.example");
  CHECK(checks[0].kind == CheckKind::http);
  CHECK(checks[0].target == "https://[::1]:8443/healthz?deep=1");
  CHECK(checks[0].status == 204);
  CHECK(checks[0].body == "ok");
  CHECK(checks[0].ca_file == "/etc/ca.pem");
  CHECK(checks[0].condition == "WebFrontUnhealthy");
  CHECK(checks[0].interval == 30s);
  CHECK(checks[0].timeout == 5s);
  CHECK(checks[0].failures == 3);
  CHECK(checks[0].successes == 1);
  CHECK(checks[1].kind == CheckKind::tcp);
  CHECK(checks[1].timeout == 2s);  // never longer than the interval
  CHECK(checks[1].condition == "DatabaseDown");
  CHECK(checks[1].message == "the database is away");
  CHECK(checks[2].kind == CheckKind::file);
  CHECK(checks[2].max_age == 26h);
  // A reload reads what is shown.
  const Config again = after_reload(loaded.config, Config{});
  REQUIRE(again.health.checks.size() == 5);
  CHECK(again.health.checks[3].target == "unix:/run/orders.sock");
  CHECK(again.health.checks[3].service == "acme.Orders");
  CHECK(again.health.checks[0].target == checks[0].target);
  CHECK(again.health.checks[1].timeout == 2s);
  CHECK(again.health.checks[1].reason == "NoDb");
  CHECK(again.health.checks[2].max_age == 26h);
}

TEST_CASE("a check that cannot be is refused with its place and the reason") {
  CHECK(fault_of("{name: a}") ==
        "health.checks[0]: says not what to look at (one of command, http, tcp, grpc and file)");
  CHECK(fault_of("{name: a, tcp: \"h:1\", file: /a}") ==
        "health.checks[0]: looks at several things (only one of command, http, tcp, grpc and file)");
  CHECK(fault_of("{tcp: \"h:1\"}") == "health.checks[0].name: is missing (give each check a name)");
  CHECK(fault_of("{name: memory, tcp: \"h:1\"}") ==
        "health.checks[0].name: \"memory\" is a check of the agent itself (take another name)");
  CHECK(fault_of("{name: Web, tcp: \"h:1\"}") ==
        "health.checks[0].name: \"Web\" is no name (a-z, 0-9 and '-', beginning with a letter)");
  CHECK(fault_of("{name: a, tcp: h}") ==
        "health.checks[0].tcp: \"h\" is not right (give HOST:PORT, as 127.0.0.1:5432 or [::1]:5432)");
  for (const char* url : {"ftp://h/", "http://", "http://u:p@h/", "http://h:0/", "http://h/a b", "http://h/#x"})
    CHECK(fault_of(fmt::format("{{name: a, http: \"{}\"}}", url)).find("is no URL") != std::string::npos);
  for (const char* address : {"h", "unix:", "unix:rel", "http://h:1", "h:0"})
    CHECK(fault_of(fmt::format("{{name: a, grpc: \"{}\"}}", address)).find("give HOST:PORT or unix:/PATH") !=
          std::string::npos);
  CHECK(fault_of("{name: a, file: rel}") == "health.checks[0].file: \"rel\" is not an absolute path (begin it with /)");
  CHECK(fault_of("{name: a, file: /a, status: 200}") ==
        "health.checks[0]: has keys that belong to http (status and body are of http, service, tls, certificate, "
        "key_file and server_name of grpc, ca_file of both, max_age of file)");
  CHECK(fault_of("{name: a, tcp: \"h:1\", ca_file: /a}").find("has keys that belong to http") != std::string::npos);
  CHECK(fault_of("{name: a, http: \"http://h/\", tls: true}").find("has keys that belong to grpc") !=
        std::string::npos);
  CHECK(fault_of("{name: a, grpc: \"h:1\", server_name: b}") ==
        "health.checks[0]: has keys of TLS without it (add tls: true)");
  CHECK(fault_of("{name: a, grpc: \"h:1\", tls: true, certificate: /a}") ==
        "health.checks[0]: has only one of certificate and key_file (give both, or none)");
  CHECK(fault_of("{name: a, grpc: \"h:1\", tls: true, server_name: \"a b\"}").find("is no host name") !=
        std::string::npos);
  CHECK(fault_of("{name: a, grpc: \"unix:/a\", tls: true}").find("tls: is not there on a unix socket") !=
        std::string::npos);
  CHECK(fault_of("{name: a, file: /a, interval: 5s, timeout: 6s}") ==
        "health.checks[0].timeout: is longer than the interval of 5s (a check ends before its next one begins)");
  CHECK(fault_of("{name: a, file: /a, condition: webDown}") ==
        "health.checks[0].condition: \"webDown\" is not CamelCase (a word such as WebUnhealthy)");
  CHECK(fault_of("{name: a, file: /a, intervall: 5s}").find("did you mean interval?") != std::string::npos);
  CHECK(fault_of("{name: a, file: /a}, {name: a, file: /b}") ==
        "health.checks[1].name: \"a\" is there twice (give each check a name of its own)");
  CHECK(fault_of("7") ==
        "health.checks[0]: is a value, not a check (give one such as {name: web, http: \"http://127.0.0.1/\"})");
  CHECK(fault_of("{name: a, command: [true]}").find("\"true\" is not an absolute path") != std::string::npos);
  std::string many;
  for (int i = 0; i < 65; ++i)
    many += fmt::format("{}{{name: a{}, file: /a}}", i == 0 ? "" : ", ", i);
  CHECK(fault_of(many).find("at most 64") != std::string::npos);
}

TEST_CASE("commands are taken only from files that root owns and nobody else may write") {
  CHECK(fault_of("{name: a, command: [/bin/true]}") ==
        "health.checks: has a command, and stands in no file (commands are taken only from files that root owns and "
        "nobody "
        "else may write)");
  test::TempTree tree;
  tree.file("agent.yaml", "health:\n  checks:\n    - {name: a, command: [/bin/true, -v]}\n");
  const std::string path = tree.path() + "/agent.yaml";
  REQUIRE(::chmod(path.c_str(), 0644) == 0);
  if (::getuid() == 0) {
    const Loaded good = load_file(path);
    REQUIRE(good.valid());
    CHECK(good.config.health.checks.at(0).command == std::vector<std::string>{"/bin/true", "-v"});
    REQUIRE(::chown(path.c_str(), 65534, 0) == 0);
  }
  const Loaded owned = load_file(path);
  REQUIRE(owned.faults.size() == 1);
  CHECK(owned.faults[0].text().find("has a command, and " + path + " belongs to user") != std::string::npos);
  CHECK(owned.config.health.checks.empty());
  // What runs nothing is taken from anywhere.
  tree.file("agent.yaml", "health:\n  checks:\n    - {name: a, file: /bin/true}\n");
  CHECK(load_file(path).valid());
}

}  // namespace omnitide::config
