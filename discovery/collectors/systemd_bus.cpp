#include "discovery/collectors/systemd_bus.hpp"

#include <fmt/format.h>
#include <systemd/sd-bus.h>

#include <cstdlib>

#include "agent/base/shared_library.hpp"

namespace omnitide::discovery {

namespace {

constexpr const char* kService = "org.freedesktop.systemd1";
constexpr std::uint64_t kTimeoutMicroseconds = 1'000'000;
constexpr std::size_t kMaxUnits = 65'536;

struct Library {
  decltype(&::sd_bus_open_system) open = nullptr;
  decltype(&::sd_bus_set_method_call_timeout) set_timeout = nullptr;
  decltype(&::sd_bus_flush_close_unref) close = nullptr;
  decltype(&::sd_bus_call_method) call = nullptr;
  decltype(&::sd_bus_get_property) property = nullptr;
  decltype(&::sd_bus_error_free) free_error = nullptr;
  decltype(&::sd_bus_message_unref) unref = nullptr;
  decltype(&::sd_bus_message_enter_container) enter = nullptr;
  decltype(&::sd_bus_message_read) read = nullptr;
  decltype(&::sd_bus_match_signal) match_signal = nullptr;
  decltype(&::sd_bus_process) process = nullptr;
  decltype(&::sd_bus_get_fd) descriptor = nullptr;
  bool good = false;

  Library() {
    SharedLibrary found(kLibSystemd);
    found.find("sd_bus_open_system", open);
    found.find("sd_bus_set_method_call_timeout", set_timeout);
    found.find("sd_bus_flush_close_unref", close);
    found.find("sd_bus_call_method", call);
    found.find("sd_bus_get_property", property);
    found.find("sd_bus_error_free", free_error);
    found.find("sd_bus_message_unref", unref);
    found.find("sd_bus_message_enter_container", enter);
    found.find("sd_bus_message_read", read);
    found.find("sd_bus_match_signal", match_signal);
    found.find("sd_bus_process", process);
    found.find("sd_bus_get_fd", descriptor);
    good = found.good();
  }
};

const Library& library() {
  static const Library loaded;
  return loaded;
}

struct Message {
  sd_bus_message* value = nullptr;
  Message() = default;
  Message(const Message&) = delete;
  Message& operator=(const Message&) = delete;
  ~Message() { library().unref(value); }
};

struct BusError {
  sd_bus_error value = SD_BUS_ERROR_NULL;
  BusError() = default;
  BusError(const BusError&) = delete;
  BusError& operator=(const BusError&) = delete;
  ~BusError() { library().free_error(&value); }
};

}  // namespace

struct SystemdBus::Connection {
  sd_bus* bus = nullptr;
  Connection() = default;
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;
  ~Connection() { library().close(bus); }

  // The property's message, positioned at its value.
  bool ask(const std::string& path, const char* interface, const char* name, const char* type, Message& out) const {
    BusError error;
    const std::string whole = fmt::format("org.freedesktop.systemd1.{}", interface);
    return library().property(bus, kService, path.c_str(), whole.c_str(), name, &error.value, &out.value, type) >= 0;
  }
};

Result<SystemdBus> SystemdBus::open() {
  if (!library().good) return fail(Code::unavailable, "libsystemd is not installed");
  auto connection = std::make_shared<Connection>();
  if (const int problem = library().open(&connection->bus); problem < 0)
    return fail_errno(-problem, "cannot reach the system bus");
  (void)library().set_timeout(connection->bus, kTimeoutMicroseconds);
  SystemdBus out;
  out.connection_ = std::move(connection);
  return out;
}

Result<> SystemdBus::each_unit(const std::function<void(const SystemdUnit&)>& take) {
  BusError error;
  Message reply;
  int problem = library().call(connection_->bus, kService, kManagerPath, "org.freedesktop.systemd1.Manager",
                               "ListUnits", &error.value, &reply.value, "");
  if (problem < 0) return fail_errno(-problem, "systemd does not list its units");
  problem = library().enter(reply.value, 'a', "(ssssssouso)");
  for (std::size_t i = 0; problem >= 0 && i < kMaxUnits; ++i) {
    const char *name = nullptr, *description = nullptr, *load = nullptr, *active = nullptr, *sub = nullptr,
               *following = nullptr, *path = nullptr, *job_type = nullptr, *job_path = nullptr;
    std::uint32_t job = 0;
    problem = library().read(reply.value, "(ssssssouso)", &name, &description, &load, &active, &sub, &following, &path,
                             &job, &job_type, &job_path);
    if (problem <= 0) break;
    take({name, load, active, path, {}});
  }
  return problem < 0 ? Result<>(fail_errno(-problem, "systemd's list of units is malformed")) : Result<>{};
}

Result<SystemdUnit> SystemdBus::unit(const std::string& name) {
  BusError error;
  Message reply;
  const char* path = nullptr;
  int problem = library().call(connection_->bus, kService, kManagerPath, "org.freedesktop.systemd1.Manager", "LoadUnit",
                               &error.value, &reply.value, "s", name.c_str());
  if (problem >= 0) problem = library().read(reply.value, "o", &path);
  if (problem < 0) return fail_errno(-problem, fmt::format("systemd does not load {}", name));
  SystemdUnit out{name, "", "", path, {}};
  out.load_state = text(out.path, "Unit", "LoadState").value_or("");
  out.active_state = text(out.path, "Unit", "ActiveState").value_or("");
  if (name.ends_with(".service") && out.load_state == "loaded") out.restarts = number(out.path, "Service", "NRestarts");
  return out;
}

Result<> SystemdBus::watch(const std::vector<std::string>& units) {
  BusError error;
  // Without it systemd sends no signals about units.
  int problem = library().call(connection_->bus, kService, kManagerPath, "org.freedesktop.systemd1.Manager",
                               "Subscribe", &error.value, nullptr, "");
  if (problem < 0) return fail_errno(-problem, "systemd does not tell of changes");
  constexpr auto kPass = [](sd_bus_message*, void*, sd_bus_error*) { return 0; };
  for (const std::string& name : units) {
    const Result<SystemdUnit> each = unit(name);
    if (each.has_error()) return each.error();
    problem = library().match_signal(connection_->bus, nullptr, kService, each->path.c_str(),
                                     "org.freedesktop.DBus.Properties", "PropertiesChanged", kPass, nullptr);
    if (problem < 0) return fail_errno(-problem, fmt::format("cannot watch {}", name));
  }
  return {};
}

Result<int> SystemdBus::descriptor() {
  const int fd = library().descriptor(connection_->bus);
  if (fd < 0) return fail_errno(-fd, "the system bus has no descriptor");
  return fd;
}

Result<std::size_t> SystemdBus::process() {
  constexpr std::size_t kMost = 10'000;
  for (std::size_t count = 0; count < kMost; ++count) {
    const int more = library().process(connection_->bus, nullptr);
    if (more < 0) return fail_errno(-more, "the system bus is gone");
    if (more == 0) return count;
  }
  return kMost;
}

Result<> SystemdBus::queue(const char* method, const char* verb, const std::string& unit) {
  BusError error;
  const int problem = library().call(connection_->bus, kService, kManagerPath, "org.freedesktop.systemd1.Manager",
                                     method, &error.value, nullptr, "ss", unit.c_str(), "replace");
  if (problem >= 0) return {};
  const std::string why = error.value.message == nullptr ? "no reason given" : error.value.message;
  return fail_errno(-problem, fmt::format("systemd does not {} {}: {}", verb, unit, why));
}

std::optional<std::string> SystemdBus::text(const std::string& path, const char* interface, const char* name) {
  Message reply;
  const char* value = nullptr;
  if (!connection_->ask(path, interface, name, "s", reply)) return std::nullopt;
  return library().read(reply.value, "s", &value) > 0 ? std::optional<std::string>(value) : std::nullopt;
}

std::optional<std::uint64_t> SystemdBus::number(const std::string& path, const char* interface, const char* name) {
  for (const char* type : {"u", "t"}) {
    Message reply;
    if (!connection_->ask(path, interface, name, type, reply)) continue;
    if (*type == 'u') {
      std::uint32_t value = 0;
      if (library().read(reply.value, type, &value) > 0) return value;
    } else {
      std::uint64_t value = 0;
      if (library().read(reply.value, type, &value) > 0) return value;
    }
  }
  return std::nullopt;
}

}  // namespace omnitide::discovery
