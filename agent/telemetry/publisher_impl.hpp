// The inside of Publisher. For publisher*.cpp only.
#pragma once

#include <atomic>
#include <boost/asio/steady_timer.hpp>
#include <deque>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "agent/base/backoff.hpp"
#include "agent/base/log.hpp"
#include "agent/base/token_bucket.hpp"
#include "agent/telemetry/delivery.hpp"
#include "agent/telemetry/publisher.hpp"
#include "agent/telemetry/report.hpp"

namespace omnitide::telemetry {

// publisher_link.cpp connects and connects again; publisher_send.cpp decides what goes out next; publisher_answers.cpp
// hears what became of it; publisher_store.cpp keeps the spool and the small files.
class Publisher::Impl : public std::enable_shared_from_this<Impl> {
 public:
  using Self = std::shared_ptr<Impl>;
  Impl(boost::asio::io_context& context, io::WorkerPool& pool, PublisherOptions options, Handlers handlers);

  [[nodiscard]] Result<> start();
  [[nodiscard]] static boost::asio::awaitable<void> stop(Self self, std::chrono::milliseconds patience);
  [[nodiscard]] Result<RecordNumber> record(Stream stream, WallTime time, std::string payload);
  void metrics(std::vector<NamedMetric> all, WallTime time);
  void rebirth();
  void setting(std::string_view command, std::string value);
  void set_dead_bands(std::vector<std::pair<std::string, std::string>> dead_bands);
  [[nodiscard]] PublisherStatus status() const;
  void append_report(const Report& report);
  void forget_names();
  void abandon();  // the owner is gone: nothing more happens

 private:
  using Link = PublisherStatus::Link;
  struct Lane {
    Delivery delivery;
    std::deque<Record> history, late;        // read ahead, of either front
    std::optional<SteadyTime> paused_until;  // the broker refused a record for now
    std::optional<Backoff> refusals;
    std::uint64_t published = 0, confirmed = 0, republished = 0, historical = 0;
  };
  struct OnItsWay {  // a record of QoS 1
    io::MqttNumber number = 0;
    Stream stream{};
    RecordNumber record = 0;
  };
  struct Range {  // of records of Stream::sparkplug that one or more messages carry
    RecordNumber first = 0, last = 0;
    std::size_t count = 0;
  };
  struct Outgoing {  // Sparkplug's messages keep their order, so they wait in one queue
    SparkplugMessage message;
    std::optional<Range> ends;  // the last message of these
  };
  struct Unfenced {
    io::MqttNumber number = 0;
    Range range;
  };
  enum class Sent : std::uint8_t { yes, no_room, never, lost };
  enum class Ending : std::uint8_t { failed, short_lived, lived, told };
  // Runs a job that must have been run before the next, however long that takes.
  struct SyncRun {
    std::function<Result<>()> job;
    std::optional<Result<>> result;
    std::atomic<int> step{0};  // 1: begun, 2: ended
  };

  [[nodiscard]] static boost::asio::awaitable<void> close_folder(Self self, SteadyTime deadline);

  // publisher_link.cpp
  [[nodiscard]] static boost::asio::awaitable<void> run(Self self);
  [[nodiscard]] static boost::asio::awaitable<Ending> one_connection(Self self);
  [[nodiscard]] static boost::asio::awaitable<Result<>> open(Self self);
  [[nodiscard]] static boost::asio::awaitable<void> leave(Self self, SteadyTime deadline);
  [[nodiscard]] static boost::asio::awaitable<void> pause(Self self, SteadyTime deadline);
  [[nodiscard]] io::MqttOptions options_now();
  [[nodiscard]] io::MqttConnection::Handlers connection_handlers();
  void went_online();
  void went_offline();
  [[nodiscard]] std::chrono::milliseconds next_wait(Ending ending);
  void set_link(Link link);
  void wake() { waker_.cancel(); }

  // publisher_send.cpp
  void pump_soon();
  void pump();
  [[nodiscard]] bool flush_outbox();
  void send_live(Stream stream);
  [[nodiscard]] bool send_history(std::size_t& budget);
  [[nodiscard]] std::optional<Stream> oldest_history();
  [[nodiscard]] bool may_send(Stream stream, bool historical) const;
  [[nodiscard]] bool fill(Stream stream, bool historical);
  [[nodiscard]] Sent send_record(Stream stream, RecordNumber number, std::string_view payload, bool historical);
  std::size_t send_reports(std::deque<Record>& records, std::size_t most, bool historical);
  [[nodiscard]] bool all_born(const Report& report) const;
  void queue_reports(std::span<const Report> reports, Range range, bool historical);
  void count_sent(Stream stream, Range range, bool historical);
  [[nodiscard]] Result<io::MqttNumber> put(std::string_view topic, std::string_view payload, std::uint8_t qos,
                                           bool retain);
  void drain_later();
  void act();  // does what the session wants
  void show_metrics();
  void want_births(const Report& report);
  void look_after_births();
  void do_action(SparkplugAction& action);
  void fence_when_due();

  // publisher_answers.cpp
  void on_answer(const io::MqttAnswer& answer);
  void on_message(const io::MqttMessage& message);
  void refused(Stream stream, RecordNumber record, std::uint8_t reason);
  void pause_stream(Stream stream);
  void resume_streams(SteadyTime now);
  void confirm();

  // publisher_store.cpp
  [[nodiscard]] Result<> open_folder();
  [[nodiscard]] Result<> open_session();
  [[nodiscard]] Result<RecordNumber> append(Stream stream, WallTime time, std::string_view payload);
  void write_soon(bool sync_at_once);
  void sync_soon(bool at_once);
  [[nodiscard]] static boost::asio::awaitable<void> sync(Self self);
  [[nodiscard]] static boost::asio::awaitable<void> save_state(Self self);
  void save_state_soon();
  void housekeeping();
  void tick();
  void note_problem(std::string what, const Error& error);

  void left(Stream stream, Range range);  // confirmed
  [[nodiscard]] Lane& lane(Stream stream) { return lanes_[static_cast<std::size_t>(stream)]; }
  [[nodiscard]] bool is_up() const { return connection_ && connection_->connected(); }
  [[nodiscard]] const std::string& topic(Stream stream) const {
    return options_.plain.topics[static_cast<std::size_t>(stream)];
  }
  [[nodiscard]] bool is_published(Stream stream) const;

  boost::asio::io_context& context_;
  io::WorkerPool& pool_;
  PublisherOptions options_;
  Handlers handlers_;
  bool running_ = false, stopping_ = false, run_ended_ = true, abandoned_ = false;

  std::unique_ptr<Spool> spool_;
  std::optional<AliasTable> aliases_;
  std::optional<ReportByException> changes_;
  std::optional<SparkplugSession> session_;
  std::vector<KnownMetric> known_;  // the last set given
  // Metrics that only history knows: born without a value until their records are out.
  std::set<std::uint64_t> only_history_;
  bool births_wanted_ = false;
  bool history_held_ = false;                  // its next record has such a metric, and waits for the birth
  std::optional<std::uint64_t> live_skipped_;  // births when live records were passed over for the same cause
  SpoolStatus last_spool_;                     // after a stop
  SparkplugState saved_state_;
  bool saving_ = false;
  std::array<Lane, kStreams> lanes_;

  std::unique_ptr<io::MqttConnection> connection_;
  std::size_t broker_ = 0, failed_in_row_ = 0;
  Backoff backoff_;
  Link link_ = Link::stopped;
  WallTime link_since_{};
  std::optional<WallTime> next_attempt_;
  std::string problem_;
  std::optional<std::uint8_t> leave_;  // DISCONNECT with this reason once the outbox is empty
  bool next_broker_ = false, lost_ = false;
  SteadyTime up_since_{}, leave_by_ = SteadyTime::max();
  std::uint64_t connects_ = 0, bytes_out_ = 0, backing_off_ = 0;

  std::deque<OnItsWay> on_its_way_;  // by number
  std::deque<Outgoing> outbox_;
  std::deque<Unfenced> unfenced_;  // by number
  io::MqttNumber last_fence_ = 0;  // waiting for its answer; 0: none
  SteadyTime fenced_at_{};
  TokenBucket bucket_;

  boost::asio::steady_timer waker_, ender_, ticker_, drain_timer_, sync_timer_;
  bool pump_posted_ = false, write_posted_ = false, drain_waits_ = false, sync_waits_ = false;
  std::shared_ptr<SyncRun> sync_;
  bool sync_again_ = false;
  WallTime expired_at_{};
  log::Throttle log_refused_{std::chrono::minutes(1)}, log_lost_{std::chrono::minutes(1)},
      log_disk_{std::chrono::minutes(1)};
};

}  // namespace omnitide::telemetry
