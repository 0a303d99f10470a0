// systemd's manager on the system bus, through libsystemd. It is loaded when it is first needed, since it brings five
// more libraries that most runs of this program never use.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent/base/error.hpp"

namespace omnitide::discovery {

struct SystemdUnit {
  std::string name, load_state, active_state, path;  // path: of the object on the bus
  std::optional<std::uint64_t> restarts{};           // by systemd itself; of services, and of unit() alone
};

// Not for use by two threads at once. Every call ends after a second at the latest.
class SystemdBus {
 public:
  [[nodiscard]] static Result<SystemdBus> open();

  // Calls take(unit) for each unit that systemd has loaded.
  [[nodiscard]] Result<> each_unit(const std::function<void(const SystemdUnit&)>& take);
  // Properties; nullopt when the object has none of that name, or one of another type. Interfaces are "Manager",
  // "Unit", "Service", "Socket", "Timer".
  [[nodiscard]] std::optional<std::string> text(const std::string& path, const char* interface, const char* name);
  [[nodiscard]] std::optional<std::uint64_t> number(const std::string& path, const char* interface, const char* name);

  // One unit, loaded for this where it is not; load_state is "not-found" when there is none of that name.
  [[nodiscard]] Result<SystemdUnit> unit(const std::string& name);
  // From now on changes of these units are among what process() takes.
  [[nodiscard]] Result<> watch(const std::vector<std::string>& units);
  // Readable when something has arrived; owned by the connection.
  [[nodiscard]] Result<int> descriptor();
  // Takes all that has arrived: how many messages. An error: the connection is gone.
  [[nodiscard]] Result<std::size_t> process();
  // Queues a job, as `systemctl --no-block restart` and `start` do; permission_denied where polkit does not allow it.
  [[nodiscard]] Result<> restart(const std::string& unit) { return queue("RestartUnit", "restart", unit); }
  [[nodiscard]] Result<> start(const std::string& unit) { return queue("StartUnit", "start", unit); }

  static constexpr const char* kManagerPath = "/org/freedesktop/systemd1";

 private:
  [[nodiscard]] Result<> queue(const char* method, const char* verb, const std::string& unit);
  struct Connection;
  std::shared_ptr<Connection> connection_;
};

}  // namespace omnitide::discovery
