// omnitide-registry as an operator runs it, and the registry on a disk that is full.
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include <thread>

#include "registry_process.hpp"
#include "tests/harness/catch.hpp"

using namespace omnitide;
using namespace omnitide::test;
using namespace std::chrono_literals;

namespace {

Ended run(const std::vector<std::string>& arguments) { return Child(arguments).wait(); }
bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }
unsigned mode_of(const std::string& path) {
  struct stat info {};
  return ::stat(path.c_str(), &info) == 0 ? info.st_mode & 0777U : 0;
}

// On a thread of its own in a private mount namespace, which goes with the thread.
template <class Body>
void in_mount_namespace(Body body) {
  std::exception_ptr thrown;
  std::thread thread([&body, &thrown] {
    try {
      if (::unshare(CLONE_NEWNS) != 0 || ::mount("", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) {
        throw std::runtime_error("cannot make a mount namespace (root is needed)");
      }
      body();
    } catch (...) {
      thrown = std::current_exception();
    }
  });
  thread.join();
  if (thrown) std::rethrow_exception(thrown);
}

}  // namespace

TEST_CASE("init, token, serve, restore: each says what it did, and ends with its documented code") {
  const Folder folder;
  const std::string dir = folder.path + "/registry";
  CHECK(run({"serve", "--dir", dir}).status == 1);
  const Ended made = run({"init", "--dir", dir});
  CHECK(made.status == 0);
  CHECK(has(made.output, dir + "/operator/operator.crt"));
  CHECK(mode_of(dir) == 0700);
  for (const char* secret : {"/operator/operator.key", "/registry.db"})
    CHECK(mode_of(dir + secret) == 0600);
  CHECK(run({"init", "--dir", dir}).status == 1);
  CHECK(run({"token", "--dir", dir, "-o", folder.path + "/token", "--uses", "3", "--expires", "2h"}).status == 0);
  CHECK(must(read_file(folder.path + "/token")).starts_with("omt1."));
  CHECK(mode_of(folder.path + "/token") == 0600);
  CHECK(run({"token", "--dir", dir, "--expires", "tomorrow"}).status == 2);
  const Ended nonsense = run({"serve", "--dir", dir, "--listen", "nonsense"});
  CHECK(nonsense.status == 2);
  CHECK(has(nonsense.output, "such as 127.0.0.1:"));
  const Ended foreign = run({"serve", "--dir", dir, "--listen", "192.0.2.1:0"});
  CHECK(foreign.status == 2);
  CHECK(has(foreign.output, "name an address that this machine has"));
  CHECK(run({"serve", "--dir", dir, "--metrics-listen", "0.0.0.0:0", "--listen", "127.0.0.1:0"}).status == 2);
  CHECK(run({}).status == 2);
  CHECK(run({"version"}).output.starts_with("omnitide-registry "));
  for (const char* command : {"init", "token", "serve", "restore"}) {
    const Ended help = run({command, "--help"});
    CHECK(help.status == 0);
    CHECK(has(help.output, "Example: omnitide-registry"));
  }

  Child serving({"serve", "--dir", dir, "--listen", "127.0.0.1:0", "--metrics-listen", "127.0.0.1:0"});
  CHECK(serving.line_after("Listening on ").starts_with("https://127.0.0.1:"));
  const std::string metrics = serving.line_after("Metrics on ");
  io::ClientOptions plain;
  plain.endpoint = metrics.substr(0, metrics.rfind('/'));
  io::HttpRequest scrape;
  scrape.path = "/metrics";
  CHECK(has(must(io::send_blocking(plain, scrape)).body, "omnitide_registry_nodes"));
  const Ended second = run({"serve", "--dir", dir, "--listen", "127.0.0.1:0"});
  CHECK(second.status == 3);
  CHECK(has(second.output, "in use by process"));
  CHECK(run({"token", "--dir", dir}).status == 3);
  CHECK(serving.end(SIGINT).status == 0);

  must(write_file_durably(folder.path + "/garbage", std::string(8192, 'g')));
  const Ended garbage = run({"restore", folder.path + "/garbage", "--dir", dir});
  CHECK(garbage.status == 1);
  CHECK(has(garbage.output, "a sound one comes from: omnitide-agent registry backup"));
  const Ended nothing = run({"restore", folder.path + "/nothing", "--dir", dir});
  CHECK(nothing.status == 1);
  CHECK(has(nothing.output, "cannot read " + folder.path + "/nothing: No such file"));
  CHECK(run({"restore", dir + "/registry.db", "--dir", dir}).status == 0);
}

TEST_CASE("a corrupt database stops the start with its name and the way out; a backup puts it right") {
  ProcessPlane plane;
  plane.start();
  Device device(plane);
  device.join(plane.token());
  must(write_file_durably(plane.folder.path + "/saved", plane.admin().call("GET", "/v1/backup").http.body));
  CHECK(plane.end(SIGTERM).status == 0);
  const std::string database = plane.folder.path + "/registry.db";
  std::string bytes = must(read_file(database, 64U << 20U));
  bytes.replace(4096, 8192, std::string(8192, '\x5a'));
  must(write_file_durably(database, bytes, 0600));
  const Ended refused = run({"serve", "--dir", plane.folder.path, "--listen", "127.0.0.1:0"});
  CHECK(refused.status == 1);
  CHECK(has(refused.output, database));
  CHECK(has(refused.output, "omnitide-registry restore"));
  CHECK(run({"restore", plane.folder.path + "/saved", "--dir", plane.folder.path}).status == 0);
  plane.start();
  device.reconnect();
  CHECK(device.heartbeat().status() == 200);
  CHECK(plane.end(SIGTERM).status == 0);
}

TEST_CASE("on a full disk changes are refused clearly, reading and heartbeats go on, and nothing is lost") {
  in_mount_namespace([] {
    ControlPlane plane({}, [](const std::string& path) {
      if (::mount("tmpfs", path.c_str(), "tmpfs", 0, "size=4m") != 0) throw std::runtime_error("cannot mount a tmpfs");
    });
    Device device(plane);
    const std::string token = plane.token();
    device.join(token);
    std::map<std::uint64_t, std::string> accepted;
    unsigned status = 200;
    Error refusal;
    for (device.generation = 1; device.generation < 200; ++device.generation) {
      const std::string facts(64U << 10U, static_cast<char>('a' + device.generation % 26));
      Device other(plane);
      const Reply joined = other.try_join(token);
      status = joined.status();
      if (status == 200) {
        const Reply put = other.put(other.put_request(facts));
        status = put.status();
        refusal = status == 200 ? refusal : put.error();
        if (status == 200) accepted[accepted.size()] = other.id;
      } else {
        refusal = joined.error();
      }
      if (status != 200) break;
    }
    CHECK(status == 503);
    CHECK(has(refusal.message, "no space left"));
    CHECK(accepted.size() > 5);
    // Reading and heartbeats.
    device.generation = 1;
    CHECK(device.heartbeat().status() == 200);
    for (const auto& [number, id] : accepted) {
      CHECK(plane.admin().call("GET", "/v1/nodes/" + id).as<v1::Node>().facts_sha256().size() == 32);
    }
    // With space again it goes on by itself, and over a restart all is there.
    CHECK(::mount("tmpfs", plane.folder.path.c_str(), nullptr, MS_REMOUNT, "size=32m") == 0);
    CHECK(device.put(device.put_request(std::string(64U << 10U, 'z'))).status() == 200);
    plane.restart();
    for (const auto& [number, id] : accepted)
      CHECK(plane.admin().call("GET", "/v1/nodes/" + id).status() == 200);
    plane.stop();
    (void)::umount2(plane.folder.path.c_str(), MNT_DETACH);
  });
}
