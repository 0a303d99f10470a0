// The real agent where the machine around it is ill or large: a filesystem that does not answer, thousands of network
// devices, many scrapers at once. Each scene lives in namespaces of its own (unshare(1), so as root), in a second run
// of this program; nothing is left behind when it ends.
#include <fcntl.h>
#include <linux/fuse.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstring>
#include <set>
#include <sstream>
#include <thread>

#include "tests/harness/catch.hpp"
#include "tests/harness/exposition.hpp"
#include "tests/harness/fixture.hpp"
#include "tests/harness/running_agent.hpp"

using namespace omnitide;
using namespace omnitide::test;
using Clock = std::chrono::steady_clock;

namespace {

// Runs the hidden test case of a tag of this program in new namespaces.
void run_inside(const std::vector<std::string>& namespaces, const std::string& tag) {
  TempTree files;
  std::array<char, 4096> self{};
  REQUIRE(::readlink("/proc/self/exe", self.data(), self.size() - 1) > 0);
  std::vector<std::string> words{"unshare", "--fork", "--kill-child"};
  words.insert(words.end(), namespaces.begin(), namespaces.end());
  words.insert(words.end(), {"--", self.data(), tag});
  const Answer answer = answer_of(words, files.path() + "/inside.txt");
  INFO(answer.text);
  CHECK(answer.code == 0);
  CHECK(answer.text.find("All tests passed") != std::string::npos);
}

// A FUSE filesystem whose server answers nothing but the first greeting.
class SilentMount {
 public:
  explicit SilentMount(std::string at) : at_(std::move(at)), fd_(::open("/dev/fuse", O_RDWR | O_CLOEXEC)) {
    REQUIRE(fd_);
    const std::string options = "fd=" + std::to_string(fd_.get()) + ",rootmode=40000,user_id=0,group_id=0";
    REQUIRE(::mount("silent", at_.c_str(), "fuse.silent", MS_NOSUID | MS_NODEV, options.c_str()) == 0);
    greet();
  }
  ~SilentMount() {
    fd_.reset();  // ends what waits for an answer
    (void)::umount2(at_.c_str(), MNT_DETACH);
  }
  SilentMount(const SilentMount&) = delete;
  SilentMount& operator=(const SilentMount&) = delete;

 private:
  void greet() const {
    std::array<char, 1 << 17> request{};
    REQUIRE(::read(fd_.get(), request.data(), request.size()) > 0);
    fuse_in_header asked{};
    std::memcpy(&asked, request.data(), sizeof asked);
    REQUIRE(asked.opcode == FUSE_INIT);
    struct {
      fuse_out_header header;
      fuse_init_out init;
    } answer{};
    answer.header.len = sizeof answer;
    answer.header.unique = asked.unique;
    answer.init.major = FUSE_KERNEL_VERSION;
    answer.init.minor = FUSE_KERNEL_MINOR_VERSION;
    answer.init.max_write = 4096;
    REQUIRE(::write(fd_.get(), &answer, sizeof answer) == static_cast<ssize_t>(sizeof answer));
  }

  std::string at_;
  UniqueFd fd_;
};

double value_of(const Scrape& scrape, const std::string& family, const std::string& labels = {}) {
  REQUIRE(scrape.contains(family));
  REQUIRE(scrape.at(family).series.contains(family + labels));
  return scrape.at(family).series.at(family + labels);
}

}  // namespace

TEST_CASE("a filesystem that does not answer costs its own family, and that only while it is silent") {
  run_inside({"--mount", "--pid", "--mount-proc"}, "[silent-mount]");
}

TEST_CASE("inside: a silent mount", "[.silent-mount]") {
  TempTree files;
  const std::string at = files.path() + "/silent";
  REQUIRE(::mkdir(at.c_str(), 0755) == 0);
  const std::string filesystem = "{collector=\"filesystem\"}";
  const RunningAgent agent(files.path(), "");
  CHECK(value_of(parse_scrape(agent.text()), "node_scrape_collector_success", filesystem) == 1);
  {
    const SilentMount mount(at);
    for (int round = 0; round < 4; ++round) {
      CAPTURE(round);
      const auto begin = Clock::now();
      const Scrape got = parse_scrape(agent.text());
      const auto took = Clock::now() - begin;
      CHECK(took < std::chrono::seconds(round == 0 ? 4 : 1));
      CHECK(value_of(got, "node_scrape_collector_success", filesystem) == 0);
      CHECK_FALSE(got.contains("node_filesystem_size_bytes"));
      CHECK(value_of(got, "node_scrape_collector_success", "{collector=\"textfile\"}") == 1);
      CHECK(value_of(got, "node_scrape_collector_success", "{collector=\"cpu\"}") == 1);
      CHECK(got.contains("node_memory_MemTotal_bytes"));
      CHECK(value_of(got, "omnitide_agent_stuck_workers") <= 2);  // discovery asks for the same mount
    }
  }
  Scrape after;
  for (int i = 0; i < 600; ++i) {
    after = parse_scrape(agent.text());
    if (value_of(after, "node_scrape_collector_success", filesystem) == 1) break;
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  CHECK(value_of(after, "node_scrape_collector_success", filesystem) == 1);
  CHECK(after.contains("node_filesystem_size_bytes"));
}

TEST_CASE("two thousand network devices are told in bounded time and memory") {
  run_inside({"--net", "--mount"}, "[many-devices]");
}

TEST_CASE("inside: many devices", "[.many-devices]") {
  constexpr int kPairs = 1000;
  REQUIRE(::mount("sysfs", "/sys", "sysfs", 0, nullptr) == 0);  // the devices of this namespace
  TempTree files;
  std::ostringstream commands;
  commands << "link set lo up\n";
  for (int i = 0; i < kPairs; ++i)
    commands << "link add a" << i << " up type veth peer name b" << i << "\n";
  files.file("links", commands.str());
  REQUIRE(answer_of({"ip", "-batch", files.path() + "/links"}, files.path() + "/ip.txt").code == 0);
  const RunningAgent agent(files.path(), "");
  std::uint64_t settled = 0;
  for (int round = 0; round < 12; ++round) {
    CAPTURE(round);
    const auto begin = Clock::now();
    const Scrape got = parse_scrape(agent.text());
    const auto took = Clock::now() - begin;
    CHECK(took < std::chrono::seconds(15));
    CHECK(got.at("node_network_up").series.size() == 2 * kPairs + 1);
    CHECK(got.at("node_network_receive_bytes_total").series.size() == 2 * kPairs);
    CHECK(got.at("node_network_speed_bytes").series.size() == kPairs);  // of those that are up
    if (round == 5) settled = agent.pss();
  }
  CHECK(agent.pss() < settled + 2048);
}

TEST_CASE("a hundred scrapers at once get whole answers, from a few collections") {
  TempTree files;
  const RunningAgent agent(files.path(), "");
  std::ostringstream list;
  for (int i = 0; i < 100; ++i)
    list << "url = \"" << agent.url() << "\"\noutput = \"" << files.path() << "/answer-" << i << "\"\n";
  files.file("list", list.str());
  const Answer answer = answer_of({"curl", "-sS", "--max-time", "20", "--parallel", "--parallel-immediate",
                                   "--parallel-max", "100", "--config", files.path() + "/list"},
                                  files.path() + "/curl.txt");
  INFO(answer.text);
  REQUIRE(answer.code == 0);
  std::set<double> times;
  for (int i = 0; i < 100; ++i) {
    const Scrape got = parse_scrape(read_text(files.path() + "/answer-" + std::to_string(i)));
    CHECK(got.contains("node_vmstat_pgfault"));
    times.insert(value_of(got, "node_time_seconds"));
  }
  CHECK(times.size() < 90);
}
