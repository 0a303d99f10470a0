// omnitide-registry: the reference control plane as its own program.
#include <fmt/format.h>
#include <sys/resource.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <exception>
#include <functional>
#include <string>

#include "agent/base/clock.hpp"
#include "agent/base/file.hpp"
#include "agent/base/version.hpp"
#include "agent/registry/registry.hpp"

namespace {

using namespace omnitide;

int failed(const Error& error) {
  fmt::print(stderr, "omnitide-registry: {}\n", error.message);
  if (!error.hint.empty()) fmt::print(stderr, "  {}\n", error.hint);
  return exit_code(error.code);
}

void add_duration(CLI::App& app, const std::string& name, std::chrono::milliseconds& target, const std::string& help) {
  app.add_option_function<std::string>(
         name,
         [&target, name](const std::string& text) {
           const auto parsed = parse_duration(text);
           if (!parsed || parsed->count() == 0)
             throw CLI::ValidationError(name, text + " is not a duration such as 90s, 24h or 7d");
           target = *parsed;
         },
         help)
      ->default_str(format_duration(target));
}

struct InitCommand {
  registry::InitOptions options;
  void add(CLI::App& app) {
    app.add_option("--dir", options.dir, "Folder of the registry, made as needed")->required();
    app.add_option("--operator", options.operator_name, "Name in the first operator's certificate")
        ->capture_default_str();
    app.add_option("--operator-days", options.operator_days, "How long that certificate lasts")->capture_default_str();
    app.footer("Example: omnitide-registry init --dir /var/lib/omnitide-registry");
  }
  int run() const {
    const Result<> done = registry::init(options);
    if (done.has_error()) return failed(done.error());
    fmt::print(
        "Registry made in {0}\n  operator certificate  {0}/operator/operator.crt\n  its key               "
        "{0}/operator/operator.key\n  CA certificate        {0}/ca.crt\n"
        "Keep a copy of {0}/ca: without its keys no backup can be restored.\n"
        "Next: omnitide-registry serve --dir {0}\n",
        options.dir);
    return 0;
  }
};

struct ServeCommand {
  registry::Options options;
  std::chrono::milliseconds interval{options.heartbeat_interval};
  void add(CLI::App& app) {
    app.add_option("--dir", options.dir, "Folder that init made")->required();
    app.add_option("--listen", options.listen, "ADDRESS:PORT for HTTPS")->capture_default_str();
    app.add_option("--metrics-listen", options.metrics_listen,
                   "Loopback ADDRESS:PORT for plain /metrics, /healthz, /readyz");
    app.add_option("--server-name", options.server_names, "DNS name or address that nodes use; may be repeated");
    add_duration(app, "--certificate-lifetime", options.certificate_lifetime, "Of node certificates");
    add_duration(app, "--rejoin-window", options.rejoin_window, "How long after its end a certificate can re-join");
    add_duration(app, "--heartbeat-interval", interval, "That nodes are told; grows with their number");
    app.add_option("--max-heartbeats", options.heartbeats_per_second, "A second, beyond which the interval grows")
        ->capture_default_str();
    app.add_option("--reboots-at-once", options.reboots_at_once, "Nodes that may restart themselves at once; 0: none")
        ->capture_default_str();
    add_duration(app, "--reboot-lease", options.reboot_lease, "How long a node that restarts takes one of these slots");
    app.add_option("--rate-limit", options.stranger_rate, "Joins a second and address, or IPv6 /64; 0: none")
        ->capture_default_str();
    app.add_option("--rate-burst", options.stranger_burst, "Joins at once from an address or IPv6 /64")
        ->capture_default_str();
    app.add_option("--max-connections", options.connections, "Open at once")->capture_default_str();
    app.add_option("--max-connections-per-address", options.connections_per_address,
                   "Open at once from an address or IPv6 /64; 0: no limit of its own")
        ->capture_default_str();
    app.add_option("--max-waiting-changes", options.write_queue, "Beyond it answers are 429")->capture_default_str();
    app.footer(
        "Example: omnitide-registry serve --dir /var/lib/omnitide-registry --listen 0.0.0.0:7443 \\\n"
        "           --server-name registry.example.org");
  }
  int run() {
    options.heartbeat_interval = std::max(std::chrono::ceil<std::chrono::seconds>(interval), std::chrono::seconds(1));
    raise_descriptor_limit();
    boost::asio::io_context loop(1);
    Result<std::unique_ptr<registry::Registry>> opened = registry::Registry::open(loop, options);
    if (opened.has_error()) return failed(opened.error());
    registry::Registry& registry = **opened;
    const Result<std::uint16_t> port = registry.listen();
    if (port.has_error()) return failed(port.error());
    boost::asio::signal_set signals(loop, SIGINT, SIGTERM);
    signals.async_wait([&registry](const boost::system::error_code& error, int /*signal*/) {
      if (!error) registry.stop();
    });
    fmt::print("Listening on {}\n", registry.url());
    if (!registry.metrics_url().empty()) fmt::print("Metrics on {}\n", registry.metrics_url());
    fmt::print("{} nodes known\n", registry.nodes());
    std::fflush(stdout);
    loop.run();
    registry.stop();
    return 0;
  }

 private:
  // Every connection is a descriptor; the hard limit is what we may have.
  static void raise_descriptor_limit() {
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
    limit.rlim_cur = limit.rlim_max;
    (void)::setrlimit(RLIMIT_NOFILE, &limit);
  }
};

struct TokenCommand {
  std::string dir, output;
  registry::TokenOptions options;
  void add(CLI::App& app) {
    app.add_option("--dir", dir, "Folder of the registry, which must not be running")->required();
    app.add_option("-o,--output", output, "File for the token, mode 0600; else it is printed");
    app.add_option("--uses", options.uses, "How many nodes can join by it")->capture_default_str();
    add_duration(app, "--expires", options.lifetime, "From now");
    app.add_flag("--manual", options.manual_approval, "Nodes wait for an operator's approval");
    app.add_option("--comment", options.comment, "For people");
    app.footer(
        "Example: omnitide-registry token --dir /var/lib/omnitide-registry --uses 10 --expires 2h -o join.token");
  }
  int run() const {
    const Result<std::string> token = registry::create_token(dir, options);
    if (token.has_error()) return failed(token.error());
    if (output.empty()) {
      fmt::print("{}\n", *token);
      return 0;
    }
    const Result<> written = write_file_durably(output, *token + "\n", 0600);
    return written.has_error() ? failed(written.error()) : 0;
  }
};

struct RestoreCommand {
  std::string file, dir;
  void add(CLI::App& app) {
    app.add_option("FILE", file, "What GET /v1/backup gave")->required();
    app.add_option("--dir", dir, "Folder of the registry, which must not be running")->required();
    app.footer(
        "Example: omnitide-registry restore backup.db --dir /var/lib/omnitide-registry\n"
        "The keys in DIR/ca are not part of a backup and must be there.");
  }
  int run() const {
    const Result<> done = registry::restore(file, dir);
    if (done.has_error()) return failed(done.error());
    fmt::print("Restored. The database of before is kept beside it in {}.\n", dir);
    return 0;
  }
};

int run(int argc, char** argv) {
  CLI::App app("The Omnitide registry: nodes join it, operators decide about them.", "omnitide-registry");
  app.require_subcommand(1);
  app.footer("Exit codes: 0 good, 1 problem found, 2 usage, 3 already running, 4 not permitted.");
  InitCommand init;
  ServeCommand serve;
  TokenCommand token;
  RestoreCommand restore;
  CLI::App* init_app = app.add_subcommand("init", "Make the CA, the database and the first operator certificate");
  CLI::App* serve_app = app.add_subcommand("serve", "Run the registry");
  CLI::App* token_app = app.add_subcommand("token", "Make a join token while the registry is not running");
  CLI::App* restore_app = app.add_subcommand("restore", "Put a backup in the place of the database");
  CLI::App* version_app = app.add_subcommand("version", "Print the version");
  init.add(*init_app);
  serve.add(*serve_app);
  token.add(*token_app);
  restore.add(*restore_app);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  if (init_app->parsed()) return init.run();
  if (serve_app->parsed()) return serve.run();
  if (token_app->parsed()) return token.run();
  if (restore_app->parsed()) return restore.run();
  if (version_app->parsed()) fmt::print("omnitide-registry {} {}\n", version(), commit());
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);
  try {
    return run(argc, argv);
  } catch (const std::exception& problem) {
    fmt::print(stderr, "omnitide-registry: {}\n", problem.what());
    return 1;
  }
}
