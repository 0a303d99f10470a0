// The reference control plane: nodes join, renew, say that they live and state their facts; operators decide. HTTPS in
// front, SQLite behind. Runs on the caller's loop; embedded in the agent for `./dev run`, alone as omnitide-registry.
#pragma once

#include <boost/asio/io_context.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "agent/base/clock.hpp"
#include "agent/base/error.hpp"

namespace omnitide::registry {

struct Options {
  std::string dir;                        // database, CA keys, lock; made by init()
  std::string listen = "127.0.0.1:7443";  // port 0: the kernel's choice
  std::string metrics_listen;             // plain HTTP on loopback for /metrics and the probes; empty: none
  std::vector<std::string> server_names;  // DNS names and addresses for the server certificate, beside the listen
                                          // address, the host's name and localhost

  std::chrono::milliseconds certificate_lifetime = std::chrono::hours(24);
  std::chrono::milliseconds rejoin_window = std::chrono::hours(24 * 90);  // after a certificate's end
  std::chrono::milliseconds nonce_lifetime = std::chrono::seconds(60);
  std::chrono::seconds heartbeat_interval{30};
  std::uint32_t heartbeats_per_second = 10'000;  // beyond it the interval grows with the number of nodes
  std::uint32_t renewals_per_second = 50;        // that a CA roll-over asks for

  std::uint32_t reboots_at_once = 1;  // nodes that the registry lets restart at once; 0: none
  std::chrono::milliseconds reboot_lease = std::chrono::minutes(15);  // how long one of them takes its slot

  double stranger_rate = 20, stranger_burst = 100;  // nonce, join, rejoin a second and address (IPv6: /64); 0: no limit
  double node_rate = 1, node_burst = 20;  // nonce and renewal a second and node, by its certificate; 0: no limit
  // After that an idle connection without a certificate ends: longer than a node that waits for approval is silent.
  std::chrono::milliseconds stranger_idle = std::chrono::seconds(15);
  std::size_t connections = 16'384, connections_per_address = 4096;  // IPv6: per /64; 0: no limit of its own
  std::size_t write_queue = 4096;                                    // changes that wait; beyond it 429
  std::size_t restore_limit = 512U << 20U;                           // bytes of a backup sent to /v1/restore
  std::size_t watchers = 64;
  std::size_t event_log = 16'384;  // changes a watch can resume from

  std::function<WallTime()> clock = wall_now;
};

// Makes the folder, the database, the first CA and the first operator's certificate (operator/operator.crt, .key, with
// ca.crt beside them, 0600). already_exists when the folder holds a registry.
struct InitOptions {
  std::string dir;
  std::string operator_name = "admin";
  std::uint32_t operator_days = 365;
  std::function<WallTime()> clock = wall_now;
};
[[nodiscard]] Result<> init(const InitOptions& options);
[[nodiscard]] bool is_initialised(const std::string& dir);
// not_found says how to make one; permission_denied when this user cannot look.
[[nodiscard]] Result<> check_initialised(const std::string& dir);

struct TokenOptions {
  bool manual_approval = false;
  std::uint32_t uses = 1;
  std::chrono::milliseconds lifetime = std::chrono::hours(24);
  std::string comment;
};
// A join token made while the registry is not running: "omt1.<id>.<secret>.<CA pin>".
[[nodiscard]] Result<std::string> create_token(const std::string& dir, const TokenOptions& options);
// Puts a backup in the place of the database while the registry is not running; the old file is kept beside it.
[[nodiscard]] Result<> restore(const std::string& backup_file, const std::string& dir);

class Registry {
 public:
  // Takes the folder's lock (failed_precondition names the holder), opens and checks the store. The loop must outlive
  // the registry.
  [[nodiscard]] static Result<std::unique_ptr<Registry>> open(boost::asio::io_context& loop, Options options);
  ~Registry();
  Registry(const Registry&) = delete;
  Registry& operator=(const Registry&) = delete;

  [[nodiscard]] Result<std::uint16_t> listen();
  // Ends connections and watches, flushes, waits for the writer. Idempotent.
  void stop();
  [[nodiscard]] std::string url() const;          // "https://127.0.0.1:7443", after listen()
  [[nodiscard]] std::string metrics_url() const;  // empty without metrics_listen
  [[nodiscard]] std::size_t nodes() const;
  // A join token, made in the running registry's process: for the agent that embeds it. Blocks for one commit.
  [[nodiscard]] Result<std::string> make_token(const TokenOptions& options);

 private:
  class Impl;
  explicit Registry(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace omnitide::registry
