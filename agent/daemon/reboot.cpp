#include "agent/daemon/reboot.hpp"

#include <systemd/sd-bus.h>

#include <cstdint>
#include <string>

#include "agent/base/shared_library.hpp"

namespace omnitide::daemon {

namespace {

constexpr std::uint64_t kTimeoutMicroseconds = 5'000'000;

struct Library {
  decltype(&::sd_bus_open_system) open = nullptr;
  decltype(&::sd_bus_set_method_call_timeout) set_timeout = nullptr;
  decltype(&::sd_bus_flush_close_unref) close = nullptr;
  decltype(&::sd_bus_call_method) call = nullptr;
  decltype(&::sd_bus_error_free) free_error = nullptr;
  bool good = false;

  Library() {
    SharedLibrary found(kLibSystemd);
    found.find("sd_bus_open_system", open);
    found.find("sd_bus_set_method_call_timeout", set_timeout);
    found.find("sd_bus_flush_close_unref", close);
    found.find("sd_bus_call_method", call);
    found.find("sd_bus_error_free", free_error);
    good = found.good();
  }
};

}  // namespace

Result<> reboot_by_logind() {
  static const Library library;
  if (!library.good) return fail(Code::unavailable, "libsystemd is not installed, so logind cannot be asked");
  sd_bus* bus = nullptr;
  if (const int problem = library.open(&bus); problem < 0) return fail_errno(-problem, "cannot reach the system bus");
  (void)library.set_timeout(bus, kTimeoutMicroseconds);
  sd_bus_error error = SD_BUS_ERROR_NULL;
  constexpr int kInteractive = 0;
  const int asked = library.call(bus, "org.freedesktop.login1", "/org/freedesktop/login1",
                                 "org.freedesktop.login1.Manager", "Reboot", &error, nullptr, "b", kInteractive);
  Result<> out;
  if (asked < 0) {
    const std::string why = error.message == nullptr ? "no reason given" : error.message;
    out = fail_errno(-asked, "logind refuses to reboot: " + why);
  }
  library.free_error(&error);
  library.close(bus);
  return out;
}

}  // namespace omnitide::daemon
