// What /metrics of the registry says, in the Prometheus text format.
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <iterator>

#include "agent/base/file.hpp"
#include "agent/base/text.hpp"
#include "agent/registry/handlers.hpp"

namespace omnitide::registry {

namespace {

class Text {
 public:
  template <class T>
  void one(const char* name, const char* type, const char* help, T value) {
    head(name, type, help);
    fmt::format_to(std::back_inserter(out_), "omnitide_registry_{} {}\n", name, value);
  }
  void head(const char* name, const char* type, const char* help) {
    fmt::format_to(std::back_inserter(out_), "# HELP omnitide_registry_{0} {1}\n# TYPE omnitide_registry_{0} {2}\n",
                   name, help, type);
  }
  template <class T>
  void labelled(const char* name, const char* label, std::string_view text, T value) {
    fmt::format_to(std::back_inserter(out_), "omnitide_registry_{}{{{}=\"{}\"}} {}\n", name, label, text, value);
  }
  [[nodiscard]] std::string take() { return std::move(out_); }

 private:
  std::string out_;
};

std::uint64_t file_bytes(const std::string& path) {
  struct stat info {};
  return ::stat(path.c_str(), &info) == 0 ? static_cast<std::uint64_t>(info.st_size) : 0;
}

std::uint64_t resident_bytes() {
  const Result<std::string> text = read_file("/proc/self/statm", 4096);
  if (text.has_error()) return 0;
  const std::vector<std::string_view> words = split_words(*text);
  if (words.size() < 2) return 0;
  return parse_number<std::uint64_t>(words[1]).value_or(0) * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
}

}  // namespace

std::string render_metrics(const Context& context, const ServerView& server) {
  Text text;
  text.head("nodes", "gauge", "Nodes by state.");
  text.labelled("nodes", "state", "pending", context.nodes.count(State::pending));
  text.labelled("nodes", "state", "approved", context.nodes.count(State::approved));
  text.labelled("nodes", "state", "quarantined", context.nodes.count(State::quarantined));
  text.labelled("nodes", "state", "banned", context.nodes.count(State::banned));
  const ServiceCounters& counters = context.counters;
  text.head("answers_total", "counter", "Answers by HTTP status.");
  for (const auto& [status, count] : counters.answers) {
    text.labelled("answers_total", "status", fmt::format("{}", status), count);
  }
  text.one("heartbeats_total", "counter", "Heartbeats that came.", counters.heartbeats);
  text.one("joins_total", "counter", "Joins that were answered well.", counters.joins);
  text.one("renewals_total", "counter", "Renewals that were asked for.", counters.renewals);
  text.one("rejoins_total", "counter", "Re-joins that were asked for.", counters.rejoins);
  text.one("puts_total", "counter", "Statements of facts and conditions.", counters.puts);
  text.one("clones_total", "counter", "Identities that were quarantined as cloned.", counters.clones);
  text.one("rate_limited_total", "counter", "Requests refused by the rate limit.", counters.rate_limited);
  text.one("policies", "gauge", "Documents of policy.", context.desired.documents().size());
  text.one("policy_bytes", "gauge", "Their texts.", context.desired.bytes());
  text.one("desired_states_sent_total", "counter", "Desired states that nodes fetched.", counters.desired_fetches);
  text.one("desired_states_unchanged_total", "counter", "Fetches of what the node had already.",
           counters.desired_unchanged);
  text.one("reboot_leases_total", "counter", "Answers to nodes that may restart themselves.", counters.reboots_granted);
  text.one("reboot_leases_refused_total", "counter", "Answers to nodes that may not.", counters.reboots_refused);
  text.one("connections", "gauge", "Open connections.", server.open);
  text.one("connections_total", "counter", "Connections that were accepted.", server.accepted);
  text.one("connections_refused_total", "counter", "Connections beyond the limits.", server.refused_full);
  text.one("handshake_failures_total", "counter", "TLS handshakes that failed.", server.handshake_failures);
  text.one("bad_requests_total", "counter", "Requests that were no good HTTP.", server.bad_requests);
  text.one("timeouts_total", "counter", "Connections ended by a time-out.", server.timeouts);
  text.one("watchers", "gauge", "Open watches.", context.watchers);
  text.one("used_nonces", "gauge", "Used nonces that have not ended yet.", context.nonces.used());
  const WriterCounters writer = context.writer.counters();
  text.one("commits_total", "counter", "Transactions.", writer.commits);
  text.one("commits_failed_total", "counter", "Transactions that failed as a whole.", writer.failed_commits);
  text.one("changes_total", "counter", "Changes in those transactions.", writer.closures);
  text.one("changes_refused_total", "counter", "Changes refused because too many waited.", writer.refused);
  text.one("changes_waiting", "gauge", "Changes that wait for a commit.", writer.queued);
  text.one("commit_seconds_total", "counter", "Time spent in transactions.", writer.commit_seconds);
  text.one("database_bytes", "gauge", "Size of the database file.", file_bytes(context.database_path()));
  text.one("wal_bytes", "gauge", "Size of the write-ahead log.", file_bytes(context.database_path() + "-wal"));
  text.one("resident_bytes", "gauge", "Resident memory of the process.", resident_bytes());
  return text.take();
}

}  // namespace omnitide::registry
