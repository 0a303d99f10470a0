// Random work against a plain queue in memory that does the same.
#include <cstdlib>
#include <deque>
#include <map>
#include <random>

#include "agent/base/random.hpp"
#include "agent/telemetry/spool.hpp"
#include "tests/harness/spool_folder.hpp"

using namespace omnitide;
using namespace omnitide::telemetry;
using namespace omnitide::test;

namespace {

struct Model {
  std::deque<Record> records;
  RecordNumber next = 1;
  std::uint64_t confirmed = 0, refused = 0, evicted = 0, aged = 0;
};

class Run {
 public:
  Run(const std::string& folder, std::uint64_t seed) : folder_(folder), random_(seed) {
    limits_.bytes = 30'000 + random_() % 200'000;
    limits_.segment_bytes = 2'000 + random_() % 20'000;
    limits_.age = std::chrono::seconds(200);
    limits_.eviction = random_() % 2 == 0 ? Eviction::priority : Eviction::oldest_first;
    spool_ = open_spool(folder_, limits_, now_);
  }

  void step() {
    now_ += std::chrono::milliseconds(random_() % 1000);
    const auto stream = static_cast<Stream>(random_() % 3 * 2);
    switch (random_() % 16) {
      case 0: REQUIRE(spool_->write()); break;
      case 1: sync(*spool_); break;
      case 2: confirm(stream); break;
      case 3: refuse(stream); break;
      case 4: expire(); break;
      case 5: check(stream); break;
      case 6:
        if (random_() % 8 == 0) reopen();
        break;
      default:
        for (std::uint64_t i = random_() % 20; i > 0; --i)
          append(stream);
    }
  }
  void check_all() {
    for (std::size_t i = 0; i < kStreams; ++i)
      check(static_cast<Stream>(i));
  }

 private:
  Model& model(Stream stream) { return models_[stream]; }

  void append(Stream stream) {
    const std::string payload = payload_of(model(stream).next, random_() % 600);
    const auto number = spool_->append(stream, now_, payload, now_);
    follow_evictions();
    if (number.has_error()) {
      REQUIRE(number.error().code == Code::resource_exhausted);
      ++model(stream).evicted;
      return;
    }
    REQUIRE(*number == model(stream).next++);
    model(stream).records.push_back({*number, now_, payload});
  }
  // The size bound takes whole segments: which ones, the spool says; that they are the oldest is held against the
  // model.
  void follow_evictions() {
    for (auto& [stream, own] : models_) {
      const StreamStatus status = status_of(*spool_, stream);
      std::uint64_t gone = status.dropped[static_cast<std::size_t>(DropCause::size)] - own.evicted;
      const std::uint64_t before = own.evicted;
      for (; gone > 0 && !own.records.empty() &&
             own.records.front().number < (status.first == 0 ? own.next : status.first);
           --gone) {
        own.records.pop_front();
        ++own.evicted;
      }
      if (limits_.eviction == Eviction::priority && own.evicted > before) nothing_less_important_than(stream);
    }
    REQUIRE(spool_->status().disk_bytes <= limits_.bytes);
  }
  void nothing_less_important_than(Stream stream) const {
    for (const auto& [other, own] : models_)
      if (other > stream) REQUIRE(status_of(*spool_, other).records == 0);
  }
  RecordNumber some_number(Stream stream) {
    const Model& own = model(stream);
    return own.records.empty() ? own.next
                               : own.records[random_() % std::min<std::size_t>(own.records.size(), 60)].number;
  }
  void confirm(Stream stream) {
    const RecordNumber through = some_number(stream);
    spool_->confirm(stream, through);
    Model& own = model(stream);
    for (; !own.records.empty() && own.records.front().number <= through; own.records.pop_front())
      ++own.confirmed;
  }
  void refuse(Stream stream) {
    const RecordNumber number = some_number(stream);
    Model& own = model(stream);
    // In the middle it would come again after a restart; the model keeps to the front, others have their own test.
    if (own.records.empty() || own.records.front().number != number) return;
    spool_->refuse(stream, number);
    own.records.pop_front();
    ++own.refused;
  }
  void expire() {
    spool_->expire(now_);
    for (auto& [stream, own] : models_) {
      for (; !own.records.empty() && own.records.front().time < now_ - limits_.age; own.records.pop_front())
        ++own.aged;
    }
  }
  void reopen() {
    spool_ = nullptr;
    spool_ = open_spool(folder_, limits_, now_);
    expire();
    for (auto& [stream, own] : models_)
      own.confirmed = 0;
  }
  void check(Stream stream) {
    const Model& own = model(stream);
    const StreamStatus status = status_of(*spool_, stream);
    REQUIRE(status.records == own.records.size());
    REQUIRE(status.next == own.next);
    REQUIRE(status.first == (own.records.empty() ? 0 : own.records.front().number));
    REQUIRE(status.oldest == (own.records.empty() ? WallTime{} : own.records.front().time));
    REQUIRE(status.confirmed == own.confirmed);
    const auto dropped = [&status](DropCause cause) { return status.dropped[static_cast<std::size_t>(cause)]; };
    REQUIRE(dropped(DropCause::size) == own.evicted);
    REQUIRE(dropped(DropCause::age) == own.aged);
    REQUIRE(dropped(DropCause::refused) == own.refused);
    REQUIRE(dropped(DropCause::corrupt) == 0);
    const std::size_t skip = own.records.empty() ? 0 : random_() % own.records.size();
    const RecordNumber after = own.records.empty() ? 0 : own.records[skip].number - 1;
    const std::vector<Record> got = read_all(*spool_, stream, after, 1 + random_() % 50);
    REQUIRE(got.size() == own.records.size() - skip);
    for (std::size_t i = 0; i < got.size(); ++i) {
      REQUIRE(got[i].number == own.records[i + skip].number);
      REQUIRE(got[i].time == own.records[i + skip].time);
      REQUIRE(got[i].payload == own.records[i + skip].payload);
    }
  }

  std::string folder_;
  std::mt19937_64 random_;
  SpoolLimits limits_;
  WallTime now_ = kNow;
  std::unique_ptr<Spool> spool_;
  std::map<Stream, Model> models_;
};

}  // namespace

TEST_CASE("the spool does what a plain queue does, over evictions, confirmations and restarts") {
  const char* const wished = std::getenv("OMNITIDE_SPOOL_RUNS");
  const int runs = wished != nullptr ? std::atoi(wished) : 60;
  const std::uint64_t begin = random_u64();
  for (int i = 0; i < runs; ++i) {
    const std::uint64_t seed = begin + static_cast<std::uint64_t>(i);
    INFO("seed " << seed);
    const QuickFolder tree;
    Run run(tree.path(), seed);
    for (int step = 0; step < 1500; ++step)
      run.step();
    run.check_all();
  }
}
