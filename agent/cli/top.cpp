// `top`: a live view of the node, out of two collections of the running agent; one plain snapshot when piped.
#include <fmt/format.h>
#include <unistd.h>

#include <memory>
#include <thread>

#include "agent/base/clock.hpp"
#include "agent/base/text.hpp"
#include "agent/cli/commands.hpp"
#include "agent/cli/metric_set.hpp"
#include "agent/cli/terminal.hpp"
#include "agent/cli/top_bpf.hpp"
#include "agent/cli/top_text.hpp"
#include "omnitide/node/v1/local.pb.h"

namespace omnitide::cli {

namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr milliseconds kShortest{500}, kLongest{60'000};

struct TopOptions {
  milliseconds interval{2'000};
  bool once = false;
  bool bpf = false;
};

// Two collections, and what the agent says of itself.
class Watch {
 public:
  explicit Watch(const Session& session) : session_(session) {}

  Result<> refresh() {
    Result<MetricSet> got = ask_metrics(session_);
    if (got.has_error()) return std::move(got).error();
    before_ = std::move(now_);
    taken_before_ = taken_;
    now_ = std::move(*got);
    taken_ = Clock::now();
    return {};
  }
  // Who the node is, and why a part that top wants is off.
  Result<> introduce() {
    node::v1::Status status;
    if (Result<> got = session_.agent_status(status); got.has_error()) return got;
    node_ = status.hostname();
    for (const node::v1::PartStatus& part : status.parts()) {
      if (part.state() == node::v1::PART_STATE_ON || part.reason().empty()) continue;
      if (part.name() == "metrics" || part.name().find("bpf") != std::string::npos ||
          part.name().find("BPF") != std::string::npos)
        reason_ = part.reason();
    }
    return {};
  }
  [[nodiscard]] TopView view(TopOrder order) const {
    const double seconds = std::chrono::duration<double>(taken_ - taken_before_).count();
    TopView out = make_top_view(before_, now_, seconds, order);
    out.node = node_;
    out.time = format_rfc3339(wall_now()).substr(11, 8) + " UTC";
    if (!out.without.empty() && !reason_.empty()) out.without = reason_;
    return out;
  }

 private:
  const Session& session_;
  MetricSet before_, now_;
  Clock::time_point taken_{}, taken_before_{};
  std::string node_, reason_;
};

// True when the key asks for the end.
bool react(char key, TopScreen& screen, milliseconds& interval) {
  if (key == 'p' || key == ' ') screen.paused = !screen.paused;
  if (key == 's')
    screen.order = screen.order == TopOrder::retransmits
                       ? TopOrder::latency
                       : static_cast<TopOrder>(static_cast<std::uint8_t>(screen.order) + 1);
  if (key == '+') interval = std::min(interval * 2, kLongest);
  if (key == '-') interval = std::max(interval / 2, kShortest);
  return key == 'q' || key == 'Q';
}

int watch_live(const Session& session, Watch& watch, milliseconds interval) {
  Result<> fresh;
  {
    Terminal terminal;
    TopScreen screen;
    Clock::time_point next = Clock::now() + std::min(interval, milliseconds(1000));
    bool first = true;
    while (fresh.has_value()) {
      const auto left = std::chrono::ceil<milliseconds>(next - Clock::now());
      const std::optional<char> key = terminal.key(std::max(left, milliseconds(0)));
      if (!key || react(*key, screen, interval)) break;
      if (!screen.paused && Clock::now() >= next) {
        next = Clock::now() + interval;
        fresh = watch.refresh();
        first = false;
      }
      const Terminal::Size size = terminal.size();
      screen.width = size.width;
      screen.height = size.height;
      if (fresh.has_value() && !first) terminal.show(top_text(watch.view(screen.order), screen, session.console()));
      if (first) terminal.show("omnitide-agent top: measuring ...   q quit\n");
      if (screen.paused) next = Clock::now() + interval;
    }
  }
  return fresh.has_error() ? session.failed(fresh.error()) : 0;
}

int show_top(const Session& session, const TopOptions& options) {
  if (options.interval < kShortest || options.interval > kLongest)
    return session.failed(Error{.code = Code::invalid_argument,
                                .message = "an interval is from 500ms to 1m",
                                .field = "--interval",
                                .hint = {}});
  if (options.bpf) return show_bpf(session, options.interval);
  Watch watch(session);
  Result<> ready = watch.introduce();
  if (ready.has_value()) ready = watch.refresh();
  if (ready.has_error()) return session.failed(ready.error());
  if (!options.once && ::isatty(STDOUT_FILENO) != 0) return watch_live(session, watch, options.interval);
  std::this_thread::sleep_for(std::min(options.interval, milliseconds(1000)));
  if (ready = watch.refresh(); ready.has_error()) return session.failed(ready.error());
  TopScreen screen;
  screen.width = session.console().width > 0 ? session.console().width : 100;
  return session.print(top_text(watch.view(screen.order), screen, session.console()));
}

}  // namespace

void add_top(Command& root, Session& session) {
  const auto options = std::make_shared<TopOptions>();
  Command command = root.add("top", "Live view of the node: CPU, memory, pressure, disks, network, waits, cgroups");
  session.add_location(command);
  command.duration("--interval", options->interval, "Between two looks, 500ms to 1m (2s)")
      .flag("--once", options->once, "One look as plain text, as when it is piped")
      .flag("--bpf", options->bpf, "What each eBPF program costs in that time; slows them all meanwhile; root")
      .example("omnitide-agent top\nomnitide-agent top --once | mail -s \"$(hostname)\" ops")
      .footnote("Keys: q quit, p pause, s order of cgroups, + and - interval.")
      .action([&session, options] { return show_top(session, *options); });
}

}  // namespace omnitide::cli
