// Records come one by one, no faster than allowed; what is missing between two is counted. A socket that keeps the
// bounds of messages stands for /dev/kmsg.
#include "agent/daemon/kernel_log_reader.hpp"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <boost/asio/detached.hpp>

#include "tests/harness/catch.hpp"
#include "tests/harness/loop.hpp"

namespace omnitide::daemon {
namespace {

using namespace std::chrono_literals;

struct Kernel {
  std::array<int, 2> ends{-1, -1};
  Kernel() { REQUIRE(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends.data()) == 0); }
  ~Kernel() { ::close(ends[1]); }
  void say(std::uint64_t sequence, const std::string& text) const {
    const std::string record = "6," + std::to_string(sequence) + ",1000,-;" + text + "\n";
    REQUIRE(::send(ends[1], record.data(), record.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(record.size()));
  }
};

struct Heard {
  std::vector<std::string> texts;
  std::uint64_t lost = 0;
  KernelLogReader::OnRecord take() {
    return [this](const health::KernelRecord& record, std::uint64_t missing) {
      texts.push_back(record.text);
      lost += missing;
    };
  }
};

}  // namespace

TEST_CASE("reading goes on behind what an earlier run saw, and counts what is missing") {
  test::Loop loop;
  const Kernel kernel;
  Heard heard;
  KernelLogReader reader(loop.context, UniqueFd(kernel.ends[0]), 1000, 12, heard.take());
  boost::asio::co_spawn(loop.context, reader.run(), boost::asio::detached);
  for (const std::uint64_t sequence : {10U, 11U, 12U, 13U, 20U})
    kernel.say(sequence, "line " + std::to_string(sequence));
  REQUIRE(loop.until([&heard] { return heard.texts.size() == 3; }, 20s));
  REQUIRE(heard.texts == std::vector<std::string>{"line 12", "line 13", "line 20"});
  REQUIRE(heard.lost == 6);
  REQUIRE(reader.lost() == 6);
  REQUIRE(reader.next_sequence() == 21);
  kernel.say(21, "later");
  REQUIRE(loop.until([&heard] { return heard.texts.size() == 4; }, 20s));
  reader.stop();
  loop.run_for(50ms);
}

TEST_CASE("a flood is read no faster than allowed") {
  test::Loop loop;
  const Kernel kernel;
  Heard heard;
  KernelLogReader reader(loop.context, UniqueFd(kernel.ends[0]), 20, 0, heard.take());
  for (std::uint64_t sequence = 1; sequence <= 100; ++sequence)
    kernel.say(sequence, "flood");
  const auto start = std::chrono::steady_clock::now();
  boost::asio::co_spawn(loop.context, reader.run(), boost::asio::detached);
  REQUIRE(loop.until([&heard] { return heard.texts.size() >= 20; }, 30s));
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  // Two at once, and twenty a second after that.
  REQUIRE(static_cast<double>(heard.texts.size()) <= 3 + 20 * took.count());
  REQUIRE(took > 800ms);
  reader.stop();
  loop.run_for(50ms);
}

}  // namespace omnitide::daemon
