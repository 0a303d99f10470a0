#include "agent/daemon/log_sinks.hpp"

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <ctime>

#include "agent/base/fd.hpp"
#include "agent/base/text.hpp"

namespace omnitide::daemon {

namespace {

constexpr std::string_view kIdentifier = "omnitide-agent";
constexpr std::array<std::string_view, 4> kColors{"\x1b[2m", "\x1b[32m", "\x1b[33m", "\x1b[31m"};
constexpr std::array<int, 4> kPriorities{7, 6, 4, 3};  // syslog(3)

std::size_t index_of(log::Level level) { return static_cast<std::size_t>(level); }

std::string sentence(const log::Line& line) {
  std::string out = printable(line.message, kMaxFieldBytes);
  for (const auto& [key, value] : line.fields) {
    const bool spaced = value.empty() || value.find_first_of(" =\"") != std::string::npos;
    const std::string shown = printable(value, kMaxFieldBytes);
    out += spaced ? fmt::format(" {}=\"{}\"", key, shown) : fmt::format(" {}={}", key, shown);
  }
  return out;
}

std::string bounded(std::string line) {
  if (line.size() >= kMaxLineBytes) {
    std::size_t end = kMaxLineBytes - 4;
    while (end > 0 && (static_cast<unsigned char>(line[end]) & 0xC0U) == 0x80U)
      --end;  // not inside a UTF-8 sequence
    line.resize(end);
    line += "...";
  }
  return line + '\n';
}

std::string time_of_day(WallTime now) {
  const std::time_t seconds = std::chrono::floor<std::chrono::seconds>(now).time_since_epoch().count();
  std::tm local{};
  ::localtime_r(&seconds, &local);
  return fmt::format("{:02}:{:02}:{:02}.{:03}", local.tm_hour, local.tm_min, local.tm_sec,
                     now.time_since_epoch().count() % 1000);
}

// A value without a line feed is "NAME=value\n"; any other is "NAME\n", its length as 64 bits little-endian, the bytes,
// "\n".
void append_field(std::string& out, std::string_view name, std::string_view value) {
  if (value.find('\n') == std::string_view::npos) {
    out += fmt::format("{}={}\n", name, value);
    return;
  }
  out += fmt::format("{}\n", name);
  for (unsigned shift = 0; shift < 64; shift += 8)
    out += static_cast<char>((static_cast<std::uint64_t>(value.size()) >> shift) & 0xFFU);
  out += fmt::format("{}\n", value);
}

// Journal field names: A-Z, 0-9 and '_', no '_' or digit in front (those with '_' are the journal's own).
std::string field_name(std::string_view name) {
  std::string out;
  for (const char c : name) {
    const bool digit = c >= '0' && c <= '9';
    if (c >= 'a' && c <= 'z') {
      out += static_cast<char>(c - 'a' + 'A');
    } else if ((c >= 'A' && c <= 'Z') || (!out.empty() && digit)) {
      out += c;
    } else if (!out.empty()) {
      out += '_';
    }
    if (out.size() == 64) break;
  }
  return out;
}

void write_out(int descriptor, std::string_view text) {
  while (!text.empty()) {
    const ssize_t wrote = ::write(descriptor, text.data(), text.size());
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote <= 0) return;  // a log line that cannot be written has nowhere else to go
    text.remove_prefix(static_cast<std::size_t>(wrote));
  }
}

class JournalSocket {
 public:
  explicit JournalSocket(const std::string& path) : fd_(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
    address_.sun_family = AF_UNIX;
    path.copy(address_.sun_path, sizeof address_.sun_path - 1);
  }
  // MSG_DONTWAIT: a journal that hangs must not hang the agent.
  [[nodiscard]] bool send(std::string_view datagram) const {
    const auto* address = reinterpret_cast<const sockaddr*>(&address_);
    return ::sendto(fd_.get(), datagram.data(), datagram.size(), MSG_NOSIGNAL | MSG_DONTWAIT, address,
                    sizeof address_) == static_cast<ssize_t>(datagram.size());
  }

 private:
  UniqueFd fd_;
  sockaddr_un address_{};
};

}  // namespace

void EventRing::add(WallTime now, const log::Line& line) {
  if (line.level < log::Level::info) return;
  Event event{now, line.part, line.level, sentence(line)};
  if (event.message.size() > kMaxFieldBytes) event.message = printable(event.message, kMaxFieldBytes);
  std::shared_ptr<const std::function<void()>> listener;
  {
    const std::lock_guard lock(mutex_);
    event.number = ++number_;
    if (events_.size() == capacity_) events_.pop_front();
    events_.push_back(std::move(event));
    listener = listener_;
  }
  if (listener) (*listener)();
}

std::vector<Event> EventRing::snapshot(std::uint64_t after) const {
  const std::lock_guard lock(mutex_);
  const auto first = std::ranges::upper_bound(events_, after, {}, &Event::number);
  return {first, events_.end()};
}

void EventRing::set_listener(std::function<void()> listener) {
  auto next = listener ? std::make_shared<const std::function<void()>>(std::move(listener)) : nullptr;
  const std::lock_guard lock(mutex_);
  listener_.swap(next);
}

std::string render_text(const log::Line& line, WallTime now, TextStyle style) {
  const std::string_view level = log::name(line.level), part = log::name(line.part);
  if (style == TextStyle::plain)
    return bounded(fmt::format("{} {:<7} {:<12} {}", format_rfc3339(now), level, part, sentence(line)));
  return bounded(fmt::format("{} {}{:<7}\x1b[0m {:<12} {}", time_of_day(now), kColors.at(index_of(line.level)), level,
                             part, sentence(line)));
}

std::string render_json(const log::Line& line, WallTime now) {
  const auto quote = [](std::string_view text) { return json_quote(text.substr(0, kMaxFieldBytes)); };
  std::string out = fmt::format(R"({{"time":"{}","level":"{}","part":"{}","message":{})", format_rfc3339(now),
                                log::name(line.level), log::name(line.part), quote(line.message));
  for (const auto& [key, value] : line.fields) {
    const std::string field = fmt::format(",{}:{}", quote(key), quote(value));
    if (out.size() + field.size() + 20 > kMaxLineBytes) {
      out += R"(,"truncated":true)";
      break;
    }
    out += field;
  }
  return out + "}\n";
}

std::string render_journal(const log::Line& line) {
  std::string out;
  append_field(out, "MESSAGE", printable(line.message, kMaxFieldBytes));
  append_field(out, "PRIORITY", fmt::format("{}", kPriorities.at(index_of(line.level))));
  append_field(out, "SYSLOG_IDENTIFIER", kIdentifier);
  append_field(out, "OMNITIDE_PART", log::name(line.part));
  for (const auto& [key, value] : line.fields) {
    const std::string name = field_name(key);
    if (!name.empty() && out.size() < kMaxLineBytes) append_field(out, name, value.substr(0, kMaxFieldBytes));
  }
  return out;
}

bool is_journal_stream(int descriptor, const char* journal_stream) {
  if (journal_stream == nullptr) return false;
  const std::string_view text = journal_stream;
  const std::size_t colon = text.find(':');
  if (colon == std::string_view::npos) return false;
  struct stat info {};
  return ::fstat(descriptor, &info) == 0 && parse_number<std::uint64_t>(text.substr(0, colon)) == info.st_dev &&
         parse_number<std::uint64_t>(text.substr(colon + 1)) == info.st_ino;
}

log::Sink make_sink(const SinkOptions& options, std::shared_ptr<EventRing> ring) {
  const int descriptor = options.descriptor;
  const bool journal =
      options.format == config::LogFormat::journal ||
      (options.format == config::LogFormat::automatic && is_journal_stream(descriptor, options.journal_stream));
  const TextStyle style = options.colors_wanted && ::isatty(descriptor) == 1 ? TextStyle::colored : TextStyle::plain;
  if (options.format == config::LogFormat::json) {
    return [descriptor, ring](const log::Line& line) {
      const WallTime now = wall_now();
      if (ring) ring->add(now, line);
      write_out(descriptor, render_json(line, now));
    };
  }
  const auto socket = journal ? std::make_shared<const JournalSocket>(options.journal_socket) : nullptr;
  return [descriptor, ring, socket, style](const log::Line& line) {
    const WallTime now = wall_now();
    if (ring) ring->add(now, line);
    if (socket && socket->send(render_journal(line))) return;
    write_out(descriptor, render_text(line, now, style));
  };
}

}  // namespace omnitide::daemon
