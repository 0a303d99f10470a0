#include "agent/cli/doctor.hpp"

#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>

#include "agent/base/fd.hpp"
#include "tests/harness/catch.hpp"
#include "tests/harness/fixture.hpp"

namespace omnitide::cli {
namespace {

constexpr std::string_view kMounts =
    "22 1 0:20 / /sys/fs/bpf rw - bpf bpf rw\n"
    "23 1 0:21 / /sys/kernel/tracing rw - tracefs tracefs rw\n"
    "24 1 0:22 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n";

MachineState good_state() {
  MachineState state;
  state.capabilities = ~std::uint64_t{0};
  state.kernel_release = "6.1.0-13-amd64";
  state.clock_synchronised = true;
  state.built = WallTime{std::chrono::hours{1}};
  state.now = WallTime{std::chrono::hours{2}};
  return state;
}

Check find(const Checks& checks, std::string_view name) {
  const auto found = std::ranges::find(checks, name, &Check::name);
  REQUIRE(found != checks.end());
  return *found;
}

config::Loaded configured(const test::TempTree& tree) {
  config::LoadOptions options;
  options.directory = "/nonexistent";
  options.state_dir = tree.path();
  options.hostname = "node";
  return config::load(options);
}

}  // namespace

TEST_CASE("a machine with everything has no warnings") {
  test::TempTree tree;
  tree.file("sys/kernel/btf/vmlinux", "x").file("proc/self/mountinfo", kMounts).folder("run/systemd/system");
  const Checks checks = check_machine(Root::open(tree.path()).value(), good_state());
  for (const Check& check : checks) {
    CAPTURE(check.name, check.finding);
    CHECK(check.outcome == Outcome::ok);
    CHECK(check.advice.empty());
  }
}

TEST_CASE("what is missing is a warning with advice") {
  test::TempTree tree;
  tree.file("proc/self/mountinfo", "22 1 0:20 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n");
  MachineState state = good_state();
  state.capabilities = 0;
  state.uid = 1000;
  state.kernel_release = "4.19.0";
  state.memlock_limit = 65536;
  state.clock_synchronised = false;
  const Checks checks = check_machine(Root::open(tree.path()).value(), state);
  for (const char* name :
       {"privileges", "kernel", "BTF", "bpffs", "tracefs", "cgroups", "memlock", "systemd", "time synchronisation"}) {
    CAPTURE(name);
    CHECK(find(checks, name).outcome == Outcome::warning);
    CHECK_FALSE(find(checks, name).advice.empty());
  }
}

TEST_CASE("a clock before the build of the program is a problem") {
  const test::TempTree tree;
  MachineState state = good_state();
  state.now = WallTime{};
  const Check check = find(check_machine(Root::open(tree.path()).value(), state), "clock");
  CHECK(check.outcome == Outcome::problem);
  CHECK(check.finding.starts_with("says 1970-01-01T00:00:00.000Z, which is before this program was built"));
}

TEST_CASE("another policy engine is found by its CNI configuration and by its pins") {
  test::TempTree tree;
  tree.file("etc/cni/net.d/05-cilium.conflist", R"({"plugins": [{"type": "cilium-cni"}]})")
      .folder("sys/fs/bpf/calico")
      .file("etc/cni/net.d/notes.txt", "antrea");
  const Check check = find(check_machine(Root::open(tree.path()).value(), good_state()), "policy engines");
  CHECK(check.outcome == Outcome::warning);
  CHECK(check.finding == "Calico (/sys/fs/bpf/calico), Cilium (/etc/cni/net.d/05-cilium.conflist)");
}

TEST_CASE("a key or token that others can read is a problem") {
  test::TempTree tree;
  tree.file("identity/node.key", "k");
  const std::string key = tree.path() + "/identity/node.key";
  REQUIRE(::chmod(key.c_str(), 0644) == 0);
  Check check = find(check_configuration(configured(tree)), "identity key");
  CHECK(check.outcome == Outcome::problem);
  CHECK(check.advice == "chmod 0600 " + key);
  REQUIRE(::chmod(key.c_str(), 0600) == 0);
  check = find(check_configuration(configured(tree)), "identity key");
  CHECK(check.outcome == Outcome::ok);
}

TEST_CASE("a taken port is found before the agent starts") {
  const UniqueFd holder(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  REQUIRE(::bind(holder.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  REQUIRE(::listen(holder.get(), 1) == 0);
  socklen_t size = sizeof address;
  REQUIRE(::getsockname(holder.get(), reinterpret_cast<sockaddr*>(&address), &size) == 0);
  config::Config config;
  config.http.listen = "127.0.0.1:" + std::to_string(ntohs(address.sin_port));
  CHECK(check_ports(config).front().outcome == Outcome::problem);
  config.http.listen = "127.0.0.1:0";
  CHECK(check_ports(config).front().outcome == Outcome::ok);
  CHECK(try_connect("127.0.0.1", std::to_string(ntohs(address.sin_port)), std::chrono::seconds(2)).has_value());
}

TEST_CASE("a registry that refuses connections is a problem with advice") {
  const test::TempTree tree;
  config::Loaded loaded = configured(tree);
  loaded.config.registration.endpoint = "https://127.0.0.1:1";
  const Check check = find(check_configuration(loaded), "registry");
  CHECK(check.outcome == Outcome::problem);
  CHECK(check.finding.starts_with("https://127.0.0.1:1: "));
}

TEST_CASE("a broken configuration is a problem that points to config check") {
  const test::TempTree tree;
  config::Loaded loaded = configured(tree);
  loaded.faults.push_back({"agent.yaml", 3, "http.listen", "is bad", ""});
  const Check check = find(check_configuration(loaded), "configuration");
  CHECK(check.outcome == Outcome::problem);
  CHECK(check.finding == "1 faults, first: agent.yaml:3: http.listen: is bad");
}

TEST_CASE("the report counts, and shows advice below its finding") {
  CHECK(doctor_text({{"a", Outcome::ok, "good", ""}, {"b", Outcome::problem, "bad", "mend it"}}, Console{}) ==
        "         CHECK  FINDING\n"
        "ok       a      good\n"
        "problem  b      bad\n"
        "                -> mend it\n"
        "\n1 ok, 0 warnings, 1 problem\n");
}

}  // namespace omnitide::cli
