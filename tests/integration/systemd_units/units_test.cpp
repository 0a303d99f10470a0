// The collector of systemd's units against a bus of its own, where this test answers in systemd's place, with its
// interfaces as org.freedesktop.systemd1(5) has them: the real bus, libsystemd and wire format, without being PID 1.
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <systemd/sd-bus.h>

#include <array>
#include <atomic>
#include <cstring>
#include <map>
#include <thread>

#include "discovery/collectors/catalogue.hpp"
#include "discovery/collectors/systemd_bus.hpp"
#include "tests/harness/batches.hpp"
#include "tests/harness/catch.hpp"
#include "tests/harness/child.hpp"
#include "tests/harness/fixture.hpp"

using namespace omnitide;
using namespace omnitide::test;

namespace {

struct Unit {
  const char *name, *load, *active, *path;
};
constexpr std::array kUnits{Unit{"nginx.service", "loaded", "active", "/org/freedesktop/systemd1/unit/nginx"},
                            Unit{"broken.service", "loaded", "failed", "/org/freedesktop/systemd1/unit/broken"},
                            Unit{"gone.service", "not-found", "inactive", "/org/freedesktop/systemd1/unit/gone"},
                            Unit{"backup.timer", "loaded", "active", "/org/freedesktop/systemd1/unit/backup"},
                            Unit{"ssh.socket", "loaded", "active", "/org/freedesktop/systemd1/unit/ssh"},
                            Unit{"dev-sda.device", "loaded", "active", "/org/freedesktop/systemd1/unit/sda"}};

// Numbers of units by path and property; what is not here is 0.
const std::map<std::pair<std::string, std::string>, std::uint64_t> kNumbers{
    {{"/org/freedesktop/systemd1/unit/nginx", "NRestarts"}, 3},
    {{"/org/freedesktop/systemd1/unit/nginx", "TasksCurrent"}, 5},
    {{"/org/freedesktop/systemd1/unit/nginx", "TasksMax"}, UINT64_MAX},
    {{"/org/freedesktop/systemd1/unit/nginx", "ActiveEnterTimestamp"}, 1'700'000'000'500'000},
    {{"/org/freedesktop/systemd1/unit/backup", "LastTriggerUSec"}, 1'700'000'001'000'000},
    {{"/org/freedesktop/systemd1/unit/ssh", "NAccepted"}, 16},
    {{"/org/freedesktop/systemd1/unit/ssh", "NConnections"}, 2},
    {{"/org/freedesktop/systemd1/unit/ssh", "NRefused"}, 1}};

// Restarts of nginx.service by systemd itself beyond those of the table.
std::atomic<std::uint64_t> nginx_restarts{0};
std::atomic<bool> crash_nginx{false};

int get_number(sd_bus*, const char* path, const char*, const char* property, sd_bus_message* reply, void*,
               sd_bus_error*) {
  const auto known = kNumbers.find({path, property});
  std::uint64_t value = known == kNumbers.end() ? 0 : known->second;
  if (property == std::string_view("NRestarts") && std::string_view(path).ends_with("/nginx")) value += nginx_restarts;
  const bool is_short = property[0] == 'N';  // counts are of 32 bits, times and tasks of 64
  return is_short ? sd_bus_message_append(reply, "u", static_cast<std::uint32_t>(value))
                  : sd_bus_message_append(reply, "t", value);
}

int get_text(sd_bus*, const char*, const char*, const char* property, sd_bus_message* reply, void*, sd_bus_error*) {
  const std::string name = property;
  const char* text = name == "Version" ? "252.22-1~deb12u1" : name == "SystemState" ? "degraded" : "notify";
  return sd_bus_message_append(reply, "s", text);
}

// The state of nginx.service, which can fail and be restarted; the other units are as the table has them.
std::atomic<bool> nginx_failed{false}, fail_nginx{false};

int get_state(sd_bus*, const char* path, const char*, const char* property, sd_bus_message* reply, void*,
              sd_bus_error*) {
  for (const Unit& unit : kUnits) {
    if (unit.path != std::string_view(path)) continue;
    const bool load = property == std::string_view("LoadState");
    const bool failed = nginx_failed && unit.name == std::string_view("nginx.service");
    return sd_bus_message_append(reply, "s", load ? unit.load : failed ? "failed" : unit.active);
  }
  return sd_bus_message_append(reply, "s", "");
}

int load_unit(sd_bus_message* call, void*, sd_bus_error* error) {
  const char* name = nullptr;
  if (sd_bus_message_read(call, "s", &name) < 0) return -EINVAL;
  for (const Unit& unit : kUnits)
    if (unit.name == std::string_view(name)) return sd_bus_reply_method_return(call, "o", unit.path);
  return sd_bus_error_set(error, "org.freedesktop.systemd1.NoSuchUnit", "there is none");
}

int subscribe(sd_bus_message* call, void*, sd_bus_error*) { return sd_bus_reply_method_return(call, ""); }

void tell(sd_bus* bus) {
  sd_bus_emit_properties_changed(bus, "/org/freedesktop/systemd1/unit/nginx", "org.freedesktop.systemd1.Unit",
                                 "ActiveState", nullptr);
}

int restart_unit(sd_bus_message* call, void*, sd_bus_error* error) {
  const char *name = nullptr, *mode = nullptr;
  if (sd_bus_message_read(call, "ss", &name, &mode) < 0 || mode != std::string_view("replace")) return -EINVAL;
  if (name != std::string_view("nginx.service"))
    return sd_bus_error_set(error, "org.freedesktop.DBus.Error.AccessDenied", "polkit says no");
  nginx_failed = false;
  tell(sd_bus_message_get_bus(call));
  return sd_bus_reply_method_return(call, "o", "/org/freedesktop/systemd1/job/1");
}

int list_units(sd_bus_message* call, void*, sd_bus_error*) {
  sd_bus_message* reply = nullptr;
  sd_bus_message_new_method_return(call, &reply);
  sd_bus_message_open_container(reply, 'a', "(ssssssouso)");
  for (const Unit& unit : kUnits)
    sd_bus_message_append(reply, "(ssssssouso)", unit.name, "text", unit.load, unit.active, "sub", "", unit.path, 0U,
                          "", "/");
  sd_bus_message_close_container(reply);
  const int sent = sd_bus_send(nullptr, reply, nullptr);
  sd_bus_message_unref(reply);
  return sent;
}

const sd_bus_vtable kManager[] = {
    SD_BUS_VTABLE_START(0),
    SD_BUS_METHOD("ListUnits", "", "a(ssssssouso)", list_units, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD("LoadUnit", "s", "o", load_unit, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD("Subscribe", "", "", subscribe, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD("RestartUnit", "ss", "o", restart_unit, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_PROPERTY("Version", "s", get_text, 0, 0),
    SD_BUS_PROPERTY("SystemState", "s", get_text, 0, 0),
    SD_BUS_VTABLE_END};
const sd_bus_vtable kService[] = {SD_BUS_VTABLE_START(0),
                                  SD_BUS_PROPERTY("Type", "s", get_text, 0, 0),
                                  SD_BUS_PROPERTY("NRestarts", "u", get_number, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
                                  SD_BUS_PROPERTY("TasksCurrent", "t", get_number, 0, 0),
                                  SD_BUS_PROPERTY("TasksMax", "t", get_number, 0, 0),
                                  SD_BUS_VTABLE_END};
const sd_bus_vtable kUnit[] = {SD_BUS_VTABLE_START(0), SD_BUS_PROPERTY("ActiveEnterTimestamp", "t", get_number, 0, 0),
                               SD_BUS_PROPERTY("LoadState", "s", get_state, 0, 0),
                               SD_BUS_PROPERTY("ActiveState", "s", get_state, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
                               SD_BUS_VTABLE_END};
const sd_bus_vtable kTimer[] = {SD_BUS_VTABLE_START(0), SD_BUS_PROPERTY("LastTriggerUSec", "t", get_number, 0, 0),
                                SD_BUS_VTABLE_END};
const sd_bus_vtable kSocket[] = {SD_BUS_VTABLE_START(0), SD_BUS_PROPERTY("NAccepted", "u", get_number, 0, 0),
                                 SD_BUS_PROPERTY("NConnections", "u", get_number, 0, 0),
                                 SD_BUS_PROPERTY("NRefused", "u", get_number, 0, 0), SD_BUS_VTABLE_END};

// Answers on the bus until its end.
class Manager {
 public:
  explicit Manager(const std::string& address) {
    REQUIRE(sd_bus_new(&bus_) >= 0);
    REQUIRE(sd_bus_set_address(bus_, address.c_str()) >= 0);
    REQUIRE(sd_bus_set_bus_client(bus_, 1) >= 0);
    REQUIRE(sd_bus_start(bus_) >= 0);
    add("/org/freedesktop/systemd1", "Manager", kManager);
    for (const Unit& unit : kUnits) {
      const std::string_view name = unit.name;
      add(unit.path, "Unit", kUnit);
      if (name.ends_with(".service")) add(unit.path, "Service", kService);
      if (name.ends_with(".timer")) add(unit.path, "Timer", kTimer);
      if (name.ends_with(".socket")) add(unit.path, "Socket", kSocket);
    }
    REQUIRE(sd_bus_request_name(bus_, "org.freedesktop.systemd1", 0) >= 0);
    thread_ = std::thread([this] {
      while (!ends_) {
        if (fail_nginx.exchange(false)) {
          nginx_failed = true;
          tell(bus_);
        }
        if (crash_nginx.exchange(false)) {
          ++nginx_restarts;
          sd_bus_emit_properties_changed(bus_, "/org/freedesktop/systemd1/unit/nginx",
                                         "org.freedesktop.systemd1.Service", "NRestarts", nullptr);
        }
        if (sd_bus_process(bus_, nullptr) == 0) sd_bus_wait(bus_, 20'000);
      }
    });
  }
  ~Manager() {
    ends_ = true;
    thread_.join();
    sd_bus_flush_close_unref(bus_);
  }
  Manager(const Manager&) = delete;
  Manager& operator=(const Manager&) = delete;

 private:
  void add(const char* path, const std::string& interface, const sd_bus_vtable* table) {
    REQUIRE(sd_bus_add_object_vtable(bus_, nullptr, path, ("org.freedesktop.systemd1." + interface).c_str(), table,
                                     nullptr) >= 0);
  }
  sd_bus* bus_ = nullptr;
  std::atomic<bool> ends_{false};
  std::thread thread_;
};

class Bus {
 public:
  explicit Bus(TempTree& files) : address_("unix:path=" + files.path() + "/bus") {
    files.file(
        "bus.conf",
        "<!DOCTYPE busconfig PUBLIC \"-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN\"\n"
        " \"http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd\">\n<busconfig><type>system</type><listen>" +
            address_ +
            "</listen><policy context=\"default\"><allow user=\"*\"/><allow own=\"*\"/><allow send_type=\"*\"/>"
            "<allow receive_type=\"*\"/></policy></busconfig>\n");
    process_.emplace(std::vector<std::string>{"dbus-daemon", "--nofork", "--config-file=" + files.path() + "/bus.conf"},
                     files.path() + "/bus.log");
    for (int i = 0; i < 500 && ::access((files.path() + "/bus").c_str(), F_OK) != 0; ++i)
      if (process_->wait_for(std::chrono::milliseconds(10)))
        throw std::runtime_error(read_text(files.path() + "/bus.log"));
    ::setenv("DBUS_SYSTEM_BUS_ADDRESS", address_.c_str(), 1);
  }
  ~Bus() { (void)process_->end(SIGTERM); }
  Bus(const Bus&) = delete;
  Bus& operator=(const Bus&) = delete;
  [[nodiscard]] const std::string& address() const { return address_; }

 private:
  std::string address_;
  std::optional<Process> process_;
};

model::Collector systemd_with(bool everything) {
  model::CollectorSettings settings;
  settings.on.fill(true);
  for (std::size_t i = 0; everything && i < settings.values.size(); ++i)
    if (model::kCollectorFlags.at(i).name.starts_with("systemd.enable")) settings.values.at(i) = "true";
  std::vector<model::Collector> all = discovery::node_collectors(*Root::open("/"), settings);
  std::erase_if(all, [](const model::Collector& each) { return each.name != "systemd"; });
  return all.at(0);
}

double at(const Scrape& scrape, const std::string& series) {
  INFO(series);
  const std::string family = series.substr(0, series.find('{'));
  REQUIRE(scrape.contains(family));
  REQUIRE(scrape.at(family).series.contains(series));
  return scrape.at(family).series.at(series);
}

}  // namespace

TEST_CASE("units, timers, sockets and the manager are told as systemd tells them") {
  TempTree files;
  Bus bus(files);
  const Manager manager(bus.address());
  const Scrape got = collect_all({systemd_with(true)});
  CHECK(at(got, "node_systemd_unit_state{name=\"nginx.service\",state=\"active\",type=\"notify\"}") == 1);
  CHECK(at(got, "node_systemd_unit_state{name=\"nginx.service\",state=\"failed\",type=\"notify\"}") == 0);
  CHECK(at(got, "node_systemd_unit_state{name=\"broken.service\",state=\"failed\",type=\"notify\"}") == 1);
  CHECK(at(got, "node_systemd_units{state=\"active\"}") == 4);
  CHECK(at(got, "node_systemd_units{state=\"inactive\"}") == 1);
  CHECK(at(got, "node_systemd_version{version=\"252.22-1~deb12u1\"}") == 252.22);
  CHECK(at(got, "node_systemd_system_running") == 0);
  CHECK(at(got, "node_systemd_timer_last_trigger_seconds{name=\"backup.timer\"}") == 1'700'000'001);
  CHECK(at(got, "node_systemd_socket_accepted_connections_total{name=\"ssh.socket\"}") == 16);
  CHECK(at(got, "node_systemd_socket_current_connections{name=\"ssh.socket\"}") == 2);
  CHECK(at(got, "node_systemd_socket_refused_connections_total{name=\"ssh.socket\"}") == 1);
  CHECK(at(got, "node_systemd_service_restart_total{name=\"nginx.service\"}") == 3);
  CHECK(at(got, "node_systemd_unit_start_time_seconds{name=\"nginx.service\"}") == 1'700'000'000.5);
  CHECK(at(got, "node_systemd_unit_start_time_seconds{name=\"broken.service\"}") == 0);
  CHECK(at(got, "node_systemd_unit_tasks_current{name=\"nginx.service\"}") == 5);
  // No limit is no number.
  CHECK_FALSE(
      got.at("node_systemd_unit_tasks_max").series.contains("node_systemd_unit_tasks_max{name=\"nginx.service\"}"));
  for (const auto& [series, value] : got.at("node_systemd_unit_state").series) {
    CHECK(series.find("dev-sda.device") == std::string::npos);  // excluded by default
    CHECK(series.find("gone.service") == std::string::npos);    // not loaded
  }
}

TEST_CASE("what is off by default is not asked for; a bus that goes and comes back is found again") {
  TempTree files;
  const model::Collector collector = systemd_with(false);
  model::SampleBatch batch;
  {
    Bus bus(files);
    const Manager manager(bus.address());
    REQUIRE(collector.collect(batch));
    Scrape got;
    add_batch(batch, got);
    CHECK(got.contains("node_systemd_unit_state"));
    CHECK_FALSE(got.contains("node_systemd_service_restart_total"));
    CHECK_FALSE(got.contains("node_systemd_unit_tasks_current"));
  }
  batch.clear();
  CHECK(collector.collect(batch).has_error());
  files.remove("bus");
  Bus again(files);
  const Manager manager(again.address());
  batch.clear();
  CHECK(collector.collect(batch));
}

TEST_CASE("a unit that fails is told by a signal, and restarted") {
  TempTree files;
  const Bus bus(files);
  const Manager manager(bus.address());
  nginx_failed = false;
  Result<discovery::SystemdBus> watching = discovery::SystemdBus::open();
  REQUIRE(watching);
  REQUIRE(watching->watch({"nginx.service", "broken.service"}));
  REQUIRE(watching->unit("nginx.service")->active_state == "active");
  REQUIRE(watching->unit("broken.service")->active_state == "failed");
  REQUIRE(watching->unit("gone.service")->load_state == "not-found");
  REQUIRE(watching->unit("nothing.service").has_error());
  REQUIRE(watching->process());

  const auto wait = [&watching] {
    pollfd ready{*watching->descriptor(), POLLIN, 0};
    return ::poll(&ready, 1, 20'000) == 1 && watching->process().has_value();
  };
  fail_nginx = true;
  REQUIRE(wait());
  while (watching->unit("nginx.service")->active_state != "failed")
    REQUIRE(wait());

  Result<discovery::SystemdBus> asking = discovery::SystemdBus::open();
  REQUIRE(asking->restart("nginx.service"));
  REQUIRE(wait());
  REQUIRE(watching->unit("nginx.service")->active_state == "active");
  const Result<> refused = asking->restart("broken.service");
  REQUIRE(refused.error().code == Code::permission_denied);
  REQUIRE(refused.error().message.find("polkit says no") != std::string::npos);
}

TEST_CASE("restarts by systemd itself are told by a signal, of services alone") {
  TempTree files;
  const Bus bus(files);
  const Manager manager(bus.address());
  nginx_failed = false;
  nginx_restarts = 0;
  Result<discovery::SystemdBus> watching = discovery::SystemdBus::open();
  REQUIRE(watching);
  REQUIRE(watching->watch({"nginx.service"}));
  REQUIRE(watching->unit("nginx.service")->restarts == 3U);
  REQUIRE_FALSE(watching->unit("gone.service")->restarts);
  REQUIRE_FALSE(watching->unit("backup.timer")->restarts);
  REQUIRE(watching->process());
  crash_nginx = true;
  while (watching->unit("nginx.service")->restarts != 4U) {
    pollfd ready{*watching->descriptor(), POLLIN, 0};
    REQUIRE(::poll(&ready, 1, 20'000) == 1);
    REQUIRE(watching->process());
  }
}
