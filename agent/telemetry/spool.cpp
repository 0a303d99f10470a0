#include "agent/telemetry/spool.hpp"

#include <algorithm>
#include <utility>

#include "agent/telemetry/spool_impl.hpp"

namespace omnitide::telemetry {

SpoolState Spool::Impl::state() const {
  SpoolState out;
  std::ranges::transform(logs_, out.begin(), [this](const StreamLog& one) { return one.to_save(disk_takes_nothing_); });
  return out;
}

bool Spool::Impl::state_is_on_disk() const {
  return on_disk_ && std::ranges::equal(logs_, *on_disk_, [this](const StreamLog& one, const StreamState& saved) {
           return one.is_in(saved, disk_takes_nothing_);
         });
}

Result<> Spool::Impl::write_state() {
  if (state_is_on_disk()) return {};
  const SpoolState now = state();
  Result<> wrote = state_file_.write(shared_.folder, now, job_ != nullptr);
  if (wrote.has_value()) on_disk_ = now;
  return wrote;
}

Result<> Spool::Impl::write() {
  collect();
  // Numbers that only the state knows must be in it before it alone knows them.
  const bool may_skip = write_state().has_value() || disk_takes_nothing_;
  Result<> out;
  for (StreamLog& one : logs_) {
    Result<> wrote = one.rewrite_suspects();
    if (wrote.has_value()) wrote = one.write(may_skip);
    if (out.has_value() && wrote.has_error()) out = std::move(wrote);
  }
  disk_takes_nothing_ = out.has_error();
  write_problem_ = out.has_error() ? out.error().text() : std::string();
  return out;
}

std::vector<SyncedFile> Spool::Impl::unsynced() const {
  std::vector<SyncedFile> out;
  for (const StreamLog& one : logs_) {
    for (const Segment& segment : one.segments()) {
      if (segment.synced < segment.written && !segment.suspect)
        out.push_back({segment.key, segment.fd, segment.written, false});
    }
  }
  return out;
}

std::function<Result<>()> Spool::Impl::sync() {
  collect();
  if (job_ != nullptr)
    return [] { return Result<>(fail(Code::failed_precondition, "the last sync of the spool has not ended")); };
  auto job = std::make_shared<SyncJob>();
  job->folder = shared_.folder.fd();
  job->files = unsynced();
  job->sync_folder = shared_.folder_dirty || state_file_.made();
  for (const StreamLog& one : logs_) {
    for (const RetiredSegment& segment : one.retired())
      job->retired.push_back(segment.name);
  }
  const SpoolState now = state();
  if (job->files.empty() && !job->sync_folder && job->retired.empty() && durable_ == now)
    return [] { return Result<>(); };
  Result<StateFile::Job> to_write = state_file_.job(shared_.folder, now);
  if (to_write.has_error()) {
    sync_problem_ = to_write.error().text();
    return [error = std::move(to_write).error()] { return Result<>(error); };
  }
  job->sync_folder = job->sync_folder || state_file_.made();
  job->state = std::move(*to_write);
  shared_.folder_dirty = false;
  state_file_.folder_durable();
  on_disk_ = syncing_ = now;
  job_ = job;
  return [job] { return job->run(); };
}

void Spool::Impl::collect_file(const SyncedFile& file) {
  std::deque<Segment>& segments = log(file.key.stream).segments();
  const auto found = std::ranges::find(segments, file.key, &Segment::key);
  if (found == segments.end()) return;
  if (!file.good) {
    found->suspect = true;
    return;
  }
  found->synced = std::min(file.bytes, found->bytes);
  if (found->sealed && found->synced == found->written) found->fd.reset();
}

// What the job did, once it is done.
void Spool::Impl::collect() {
  if (job_ == nullptr || !job_->done.load(std::memory_order_acquire)) return;
  const std::shared_ptr<SyncJob> job = std::exchange(job_, nullptr);
  const bool files_good = std::ranges::all_of(job->files, &SyncedFile::good);
  for (const SyncedFile& file : job->files)
    collect_file(file);
  shared_.folder_dirty = shared_.folder_dirty || !job->folder_good;
  if (job->state_good) {
    state_file_.durable();
    durable_ = syncing_;
  } else {
    on_disk_.reset();  // what the file holds now is not known: it is written again
  }
  if (job->retired_good) {
    for (StreamLog& one : logs_)
      std::erase_if(one.retired(), [&job](const RetiredSegment& segment) {
        return std::ranges::find(job->retired, segment.name) != job->retired.end();
      });
  }
  const bool good = files_good && job->folder_good && job->state_good && job->retired_good;
  sync_problem_ = good ? std::string() : job->problem;
}

Result<std::vector<Record>> Spool::Impl::read(Stream stream, RecordNumber after, std::size_t most_records,
                                              std::size_t most_bytes) {
  std::vector<Record> out;
  std::size_t bytes = 0;
  log(stream).visit(after + 1, [&](const SegmentItem& item) {
    const bool fits = out.size() < most_records && bytes + item.payload.size() <= most_bytes;
    if (!out.empty() && !fits) return false;
    bytes += item.payload.size();
    out.push_back({item.number, item.time, std::string(item.payload)});
    return true;
  });
  return out;
}

void Spool::Impl::confirm(Stream stream, RecordNumber through) { log(stream).leave(through, std::nullopt); }
void Spool::Impl::refuse(Stream stream, RecordNumber number) { log(stream).refuse(number); }

void Spool::Impl::expire(WallTime now) {
  if (limits_.age.count() == 0) return;
  for (StreamLog& one : logs_)
    one.expire(now - limits_.age);
}

SpoolStatus Spool::Impl::status() {
  collect();
  SpoolStatus out;
  out.memory_bytes = shared_.buffer.capacity() + sizeof(Impl);
  for (std::size_t i = 0; i < kStreams; ++i) {
    out.streams[i] = logs_[i].status();
    out.memory_bytes += logs_[i].memory();
    out.disk_bytes += logs_[i].bytes() - logs_[i].pending();
    out.segments += static_cast<std::uint32_t>(logs_[i].segments().size());
  }
  out.disk_bytes += retired_bytes();
  out.read_only = disk_takes_nothing_;
  out.problem = !write_problem_.empty() ? write_problem_ : sync_problem_;
  return out;
}

Result<std::unique_ptr<Spool>> Spool::open(const std::string& folder, SpoolLimits limits, WallTime now) {
  Result<SpoolFolder> place = SpoolFolder::open(folder);
  if (place.has_error()) return std::move(place).error();
  Result<StateFile> state = StateFile::open(*place, true);
  if (state.has_error()) return std::move(state).error();
  auto impl = std::make_unique<Impl>(std::move(*place), std::move(*state), limits, false);
  if (Result<> recovered = impl->recover(); recovered.has_error()) return std::move(recovered).error();
  (void)impl->make_room(0, Stream::events);
  impl->expire(now);
  return std::unique_ptr<Spool>(new Spool(std::move(impl)));
}

Result<SpoolStatus> Spool::inspect(const std::string& folder) {
  Result<SpoolFolder> place = SpoolFolder::look(folder);
  if (place.has_error()) return std::move(place).error();
  Result<StateFile> state = StateFile::open(*place, false);
  if (state.has_error()) return std::move(state).error();
  Impl impl(std::move(*place), std::move(*state), SpoolLimits(), true);
  if (Result<> recovered = impl.recover(); recovered.has_error()) return std::move(recovered).error();
  return impl.status();
}

Spool::Spool(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Spool::~Spool() = default;

Result<RecordNumber> Spool::append(Stream stream, WallTime time, std::string_view payload, WallTime now) {
  return impl_->append(stream, time, payload, now);
}
Result<> Spool::write() { return impl_->write(); }
std::function<Result<>()> Spool::sync() { return impl_->sync(); }
Result<std::vector<Record>> Spool::read(Stream stream, RecordNumber after, std::size_t most_records,
                                        std::size_t most_bytes) {
  return impl_->read(stream, after, most_records, most_bytes);
}
void Spool::confirm(Stream stream, RecordNumber through) { impl_->confirm(stream, through); }
void Spool::refuse(Stream stream, RecordNumber number) { impl_->refuse(stream, number); }
void Spool::keep_delivered(Stream stream, const DeliveredRanges& ranges) { impl_->keep_delivered(stream, ranges); }
const DeliveredRanges& Spool::delivered(Stream stream) const { return impl_->delivered(stream); }
void Spool::expire(WallTime now) { impl_->expire(now); }
SpoolStatus Spool::status() const { return impl_->status(); }

}  // namespace omnitide::telemetry
