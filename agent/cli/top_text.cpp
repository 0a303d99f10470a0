#include "agent/cli/top_text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "agent/base/text.hpp"

namespace omnitide::cli {

namespace {

constexpr std::size_t kShownDevices = 4;
constexpr std::size_t kPlainCgroups = 20;
constexpr std::string_view kHeatLevels = " .:-=+*#%@";

// At most `width` columns of `text`; what is cut ends in "~".
std::string cut(std::string_view text, std::size_t width) {
  if (display_width(text) <= width) return std::string(text);
  if (width == 0) return {};
  std::size_t end = text.size();
  while (end > 0 && display_width(text.substr(0, end)) > width - 1) {
    --end;
    while (end > 0 && (text[end] & '\xC0') == '\x80')
      --end;
  }
  return std::string(text.substr(0, end)) + "~";
}

std::string padded(std::string_view text, std::size_t width) {
  std::string out = cut(text, width);
  out.append(width - std::min(width, display_width(out)), ' ');
  return out;
}

std::string percent(double share) { return fmt::format("{:.1f}%", std::max(0.0, share) * 100); }
std::string rate_text(double rate) { return rate > 0 && rate < 0.05 ? "<0.1/s" : count_text(rate) + "/s"; }

std::string bar(double share, std::size_t width) {
  const double clamped = std::isfinite(share) ? std::clamp(share, 0.0, 1.0) : 0;
  const auto full = static_cast<std::size_t>(std::lround(clamped * static_cast<double>(width)));
  return "[" + std::string(full, '#') + std::string(width - full, ' ') + "]";
}

class Screen {
 public:
  Screen(const TopScreen& screen, const Console& console) : screen_(screen), console_(console) {}

  void line(std::string_view label, std::string_view text, Style style = Style::plain) {
    const std::string head = label.empty() ? std::string() : padded(label, kLabel);
    const std::size_t left = screen_.width - std::min(screen_.width, head.size());
    text = text.substr(0, text.find_last_not_of(' ') + 1);
    lines_.push_back(console_.paint(cut(head, screen_.width), Style::bold) + console_.paint(cut(text, left), style));
  }
  void title(std::string_view text) { lines_.push_back(console_.paint(cut(text, screen_.width), Style::dim)); }
  void blank() { lines_.emplace_back(); }
  [[nodiscard]] std::size_t size() const { return lines_.size(); }
  [[nodiscard]] std::size_t width() const { return screen_.width; }

  [[nodiscard]] std::string text(std::string_view last) const {
    std::string out;
    const std::size_t room = screen_.height == 0 ? lines_.size() : screen_.height - (last.empty() ? 0 : 1);
    for (std::size_t i = 0; i < std::min(room, lines_.size()); ++i)
      out += lines_[i] + "\n";
    if (screen_.height == 0 || last.empty()) return out;
    for (std::size_t i = lines_.size(); i < room; ++i)
      out += "\n";
    return out + console_.paint(cut(last, screen_.width), Style::dim) + "\n";
  }

 private:
  static constexpr std::size_t kLabel = 10;
  const TopScreen& screen_;
  const Console& console_;
  std::vector<std::string> lines_;
};

Style by_share(double share) { return share >= 0.9 ? Style::bad : share >= 0.7 ? Style::warning : Style::plain; }

void add_node(Screen& out, const TopView& view) {
  out.line("", fmt::format("omnitide-agent top  {}  load {:.2f} {:.2f} {:.2f}  over {:.1f} s  {}", printable(view.node),
                           view.load[0], view.load[1], view.load[2], view.seconds, view.time));
  std::string modes;
  for (const TopShare& mode : view.modes)
    if (mode.value >= 0.0005) modes += fmt::format("  {} {:.1f}", mode.name, mode.value * 100);
  out.line("CPU", fmt::format("{} {:>6}{}", bar(view.cpu, 20), percent(view.cpu), modes), by_share(view.cpu));
  const double used = view.memory > 0 ? 1 - view.memory_available / view.memory : 0;
  std::string memory = fmt::format("{} {:>6}  {} of {}", bar(used, 20), percent(used),
                                   bytes_text(view.memory - view.memory_available), bytes_text(view.memory));
  if (view.swap > 0)
    memory += fmt::format(", swap {} of {}", bytes_text(view.swap - view.swap_free), bytes_text(view.swap));
  out.line("Memory", memory, by_share(used));
  std::string pressure;
  double worst = 0;
  for (const TopPressure& one : view.pressure) {
    pressure += fmt::format("{}{} {}", pressure.empty() ? "" : "   ", one.name, percent(one.some));
    if (one.all) pressure += fmt::format(" (all {})", percent(*one.all));
    worst = std::max(worst, one.some);
  }
  out.line("Pressure", pressure.empty() ? "this kernel does not tell (CONFIG_PSI, psi=1)" : pressure,
           by_share(worst * 2));
}

// How much of the time goes where, darker for more; each cell is twice as long as the one before.
std::string heat_bar(const TopHeat& heat) {
  const double most = *std::ranges::max_element(heat.cells);
  std::string out;
  for (const double cell : heat.cells) {
    // By the logarithm, so that one in ten thousand can still be seen.
    const double level = cell > 0 && most > 0 ? std::max(1.0, 9 + 2 * std::log10(cell / most)) : 0;
    out += kHeatLevels[static_cast<std::size_t>(level)];
  }
  return out;
}

void add_heat(Screen& out, std::string_view name, const std::optional<TopHeat>& heat, const std::string& without) {
  if (!heat) return out.line(name, without.empty() ? "off" : "off: " + without, Style::dim);
  const auto time = [](const std::optional<double>& value) { return value ? seconds_text(*value) : std::string("-"); };
  out.line(name, fmt::format("|{}| p50 {:<6} p99 {:<6} {}", heat_bar(*heat), time(heat->p50), time(heat->p99),
                             rate_text(heat->rate)));
}

void add_waits(Screen& out, const TopView& view) {
  if (view.run_queue || view.block_io) out.title("           1us       1ms       1s      how long they waited");
  add_heat(out, "Run queue", view.run_queue, view.without);
  add_heat(out, "Block I/O", view.block_io, view.without);
  const TopTcp& tcp = view.tcp;
  out.line(
      "TCP",
      fmt::format("out {}  in {}  failed {}  resets {}  retransmits {}", rate_text(tcp.opened), rate_text(tcp.accepted),
                  rate_text(tcp.failed), rate_text(tcp.resets), rate_text(tcp.retransmits)),
      tcp.retransmits + tcp.failed > 0 ? Style::warning : Style::plain);
  std::string drops;
  for (const TopShare& reason : view.drops)
    drops += fmt::format("{}{} {}", drops.empty() ? "" : "  ", printable(reason.name), rate_text(reason.value));
  if (drops.empty()) drops = view.without.empty() ? "no packets dropped" : "unknown";
  out.line("Drops", drops);
}

std::string disk_row(const TopView& view, std::size_t i) {
  if (i >= view.disks.size()) return {};
  const TopDisk& disk = view.disks[i];
  return fmt::format("{} {:>10} {:>10} {:>4.0f}%", padded(printable(disk.name), 10), bytes_text(disk.read),
                     bytes_text(disk.write), std::min(1.0, disk.busy) * 100);
}

std::string interface_row(const TopView& view, std::size_t i) {
  if (i >= view.interfaces.size()) return {};
  const TopInterface& one = view.interfaces[i];
  return fmt::format("{} {:>10} {:>10} {:>6}", padded(printable(one.name), 10), bytes_text(one.in), bytes_text(one.out),
                     count_text(one.drops + one.errors));
}

void add_devices(Screen& out, const TopView& view) {
  constexpr std::size_t kLeft = 39;
  out.title(padded(fmt::format("{:<10} {:>10} {:>10} {:>5}", "DISK", "READ/s", "WRITE/s", "BUSY"), kLeft) +
            fmt::format("{:<10} {:>10} {:>10} {:>6}", "DEVICE", "IN/s", "OUT/s", "LOST/s"));
  const std::size_t rows = std::min(kShownDevices, std::max(view.disks.size(), view.interfaces.size()));
  for (std::size_t i = 0; i < rows; ++i)
    out.line("", padded(disk_row(view, i), kLeft) + interface_row(view, i));
}

std::string order_name(TopOrder order) {
  switch (order) {
    case TopOrder::waits: return "waits";
    case TopOrder::throttled: return "throttled";
    case TopOrder::retransmits: return "retransmits";
    case TopOrder::latency: break;
  }
  return "latency";
}

void add_cgroups(Screen& out, const TopView& view, const TopScreen& screen) {
  constexpr std::size_t kNumbers = 45;
  const std::size_t name = out.width() > kNumbers + 10 ? out.width() - kNumbers : 10;
  out.title(padded("CGROUP", name) +
            fmt::format("{:>9} {:>7} {:>7} {:>9} {:>9}", "WAITS", "P50", "P99", "THROTTLED", "RETRANS"));
  if (view.cgroups.empty()) return out.line("", view.without.empty() ? "nothing waited" : view.without, Style::dim);
  std::size_t rows = kPlainCgroups;
  if (screen.height > 0) rows = screen.height > out.size() + 1 ? screen.height - out.size() - 1 : 0;
  for (std::size_t i = 0; i < std::min(rows, view.cgroups.size()); ++i) {
    const TopCgroup& row = view.cgroups[i];
    out.line("", padded(printable(row.name), name) + fmt::format("{:>9} {:>7} {:>7} {:>9} {:>9}", rate_text(row.waits),
                                                                 row.p50 ? seconds_text(*row.p50) : "-",
                                                                 row.p99 ? seconds_text(*row.p99) : "-",
                                                                 percent(row.throttled), rate_text(row.retransmits)));
  }
}

}  // namespace

std::string top_text(const TopView& view, const TopScreen& screen, const Console& console) {
  Screen out(screen, console);
  add_node(out, view);
  out.blank();
  add_waits(out, view);
  out.blank();
  add_devices(out, view);
  out.blank();
  add_cgroups(out, view, screen);
  return out.text(fmt::format("q quit   p {}   s order of cgroups: {}   + - interval",
                              screen.paused ? "go on" : "pause", order_name(screen.order)));
}

}  // namespace omnitide::cli
