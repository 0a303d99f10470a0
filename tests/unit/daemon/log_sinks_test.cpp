#include "agent/daemon/log_sinks.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <thread>

#include "agent/base/fd.hpp"
#include "tests/harness/catch.hpp"

namespace omnitide::daemon {
namespace {

const WallTime kNoon{std::chrono::milliseconds{1'767'268'800'042}};  // 2026-01-01T12:00:00.042Z

std::string read_pipe(int fd) {
  std::array<char, 16384> buffer{};
  const ssize_t got = ::read(fd, buffer.data(), buffer.size());
  return got > 0 ? std::string(buffer.data(), static_cast<std::size_t>(got)) : std::string{};
}

}  // namespace

TEST_CASE("a readable line has time, level, part, sentence and fields") {
  const log::Line line{log::Level::warning,
                       log::Part::discovery,
                       "source failed, skipping",
                       {{"source", "block"}, {"error", "no such file"}}};
  CHECK(render_text(line, kNoon, TextStyle::plain) ==
        "2026-01-01T12:00:00.042Z warning discovery    source failed, skipping source=block error=\"no such file\"\n");
  CHECK(render_text(line, kNoon, TextStyle::colored).find("\x1b[33mwarning\x1b[0m") != std::string::npos);
}

TEST_CASE("what came from outside can neither forge a line nor move the cursor") {
  const log::Line line{log::Level::info, log::Part::http, "bad\nname", {{"host", "a\x1b[2J\nerror"}}};
  const std::string text = render_text(line, kNoon, TextStyle::plain);
  CHECK(text.find('\n') == text.size() - 1);
  CHECK(text.find('\x1b') == std::string::npos);
  const std::string json = render_json(line, kNoon);
  CHECK(json ==
        "{\"time\":\"2026-01-01T12:00:00.042Z\",\"level\":\"info\",\"part\":\"http\",\"message\":\"bad\\nname\","
        "\"host\":\"a\\u001b[2J\\nerror\"}\n");
}

TEST_CASE("no line is longer than its bound") {
  const std::string long_text(100'000, 'x');
  const log::Line line{log::Level::error,
                       log::Part::agent,
                       long_text,
                       {{"a", long_text}, {"b", long_text}, {"c", long_text}, {"d", long_text}, {"e", long_text}}};
  CHECK(render_text(line, kNoon, TextStyle::plain).size() <= kMaxLineBytes);
  CHECK(render_json(line, kNoon).size() <= kMaxLineBytes);
  CHECK(render_json(line, kNoon).ends_with("}\n"));
  CHECK(render_journal(line).size() <= kMaxLineBytes + kMaxFieldBytes + 100);
}

TEST_CASE("the journal gets priority, part and a field for each of ours") {
  const log::Line line{log::Level::error, log::Part::registration, "refused", {{"node_id", "n-1"}, {"_x", "a\nb"}}};
  using namespace std::string_literals;
  CHECK(render_journal(line) ==
        "MESSAGE=refused\nPRIORITY=3\nSYSLOG_IDENTIFIER=omnitide-agent\n"
        "OMNITIDE_PART=registration\nNODE_ID=n-1\nX\n\3\0\0\0\0\0\0\0a\nb\n"s);
}

TEST_CASE("JOURNAL_STREAM counts only when it names the descriptor") {
  std::array<int, 2> ends{};
  REQUIRE(::pipe2(ends.data(), O_CLOEXEC) == 0);
  const UniqueFd reader(ends[0]), writer(ends[1]);
  struct stat info {};
  REQUIRE(::fstat(writer.get(), &info) == 0);
  const std::string stream = fmt::format("{}:{}", info.st_dev, info.st_ino);
  CHECK(is_journal_stream(writer.get(), stream.c_str()));
  CHECK_FALSE(is_journal_stream(writer.get(), "1:2"));
  CHECK_FALSE(is_journal_stream(writer.get(), "nonsense"));
  CHECK_FALSE(is_journal_stream(writer.get(), nullptr));
}

TEST_CASE("a line goes to the journal's socket, and to the descriptor when there is none") {
  std::array<int, 2> ends{};
  REQUIRE(::pipe2(ends.data(), O_CLOEXEC) == 0);
  const UniqueFd reader(ends[0]), writer(ends[1]);
  const std::string path = fmt::format("/tmp/omnitide-journal-{}", ::getpid());
  UniqueFd journal(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  REQUIRE(::bind(journal.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  SinkOptions options;
  options.format = config::LogFormat::journal;
  options.descriptor = writer.get();
  options.journal_socket = path;
  const auto ring = std::make_shared<EventRing>();
  const log::Sink sink = make_sink(options, ring);
  sink(log::Line{log::Level::info, log::Part::agent, "first", {}});
  CHECK(read_pipe(journal.get()).starts_with("MESSAGE=first\nPRIORITY=6\n"));
  journal.reset();
  ::unlink(path.c_str());
  sink(log::Line{log::Level::info, log::Part::agent, "second", {}});
  CHECK(read_pipe(reader.get()).ends_with("agent        second\n"));
  CHECK(ring->snapshot().size() == 2);
}

TEST_CASE("the ring keeps the last events at info and above") {
  EventRing ring(3);
  for (int i = 0; i < 5; ++i)
    ring.add(kNoon, log::Line{log::Level::info, log::Part::agent, "line", {{"i", fmt::format("{}", i)}}});
  ring.add(kNoon, log::Line{log::Level::debug, log::Part::agent, "detail", {}});
  const std::vector<Event> events = ring.snapshot();
  REQUIRE(events.size() == 3);
  CHECK(events.front().message == "line i=2");
  CHECK(events.back().message == "line i=4");
}

TEST_CASE("events are numbered, told once they are there, and can be taken from where one stopped") {
  EventRing ring(3);
  std::vector<std::size_t> seen;
  ring.set_listener([&ring, &seen] { seen.push_back(ring.snapshot().back().number); });
  for (int i = 0; i < 5; ++i)
    ring.add(kNoon, log::Line{log::Level::info, log::Part::agent, "line", {}});
  ring.add(kNoon, log::Line{log::Level::debug, log::Part::agent, "detail", {}});
  CHECK(seen == std::vector<std::size_t>{1, 2, 3, 4, 5});
  CHECK(ring.snapshot(1).front().number == 3);  // 2 came too long ago
  REQUIRE(ring.snapshot(4).size() == 1);
  CHECK(ring.snapshot(4).front().number == 5);
  CHECK(ring.snapshot(5).empty());
  ring.set_listener({});
  ring.add(kNoon, log::Line{log::Level::info, log::Part::agent, "line", {}});
  CHECK(seen.size() == 5);
}

TEST_CASE("the ring is safe from several threads") {
  EventRing ring(16);
  std::vector<std::thread> writers;
  for (int t = 0; t < 4; ++t) {
    writers.emplace_back([&ring] {
      for (int i = 0; i < 500; ++i)
        ring.add(kNoon, log::Line{log::Level::info, log::Part::agent, "line", {}});
    });
  }
  for (std::thread& writer : writers)
    writer.join();
  CHECK(ring.snapshot().size() == 16);
}

}  // namespace omnitide::daemon
