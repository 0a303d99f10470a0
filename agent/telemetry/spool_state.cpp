#include "agent/telemetry/spool_state.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "agent/telemetry/crc32c.hpp"
#include "agent/telemetry/little_endian.hpp"

namespace omnitide::telemetry {

namespace {

constexpr std::string_view kMagic = "OMNISTA1";
constexpr const char* kName = "state";
constexpr std::size_t kStreamBytes = (2 + kDropCauses) * sizeof(std::uint64_t);
constexpr std::size_t kChecksum = 16 + kStreams * kStreamBytes;
// What was delivered beyond has a place and a checksum of its own: a version that does not know it reads the rest, and
// what is torn here costs records that are sent twice.
constexpr std::size_t kDelivered = 512;
constexpr std::size_t kDeliveredChecksum = kDelivered + 8 + kStreams * kMostDelivered * 2 * sizeof(std::uint64_t);
static_assert(kChecksum + sizeof(std::uint32_t) <= kDelivered);
static_assert(kDeliveredChecksum + sizeof(std::uint32_t) <= StateFile::kSlot);

void encode_delivered(const StateSlot& slot, char* bytes) {
  char* at = bytes + kDelivered;
  store(at, slot.generation);
  at += 8;
  for (const StreamState& stream : slot.state) {
    for (const NumberRange& range : stream.delivered) {
      store(at, range.first);
      store(at + 8, range.last);
      at += 16;
    }
  }
  store(at, crc32c(0, {bytes + kDelivered, kDeliveredChecksum - kDelivered}));
}

bool is_sound(const StreamState& stream) {
  RecordNumber last = stream.confirmed;
  bool ended = false;
  for (const NumberRange& range : stream.delivered) {
    ended = ended || range.first == 0;
    if (ended && range != NumberRange{}) return false;
    if (!ended && (range.first <= last || range.last < range.first || range.last >= stream.next)) return false;
    last = std::max(last, range.last);
  }
  return true;
}

void decode_delivered(std::string_view bytes, StateSlot& out) {
  const std::string_view part = bytes.substr(kDelivered, kDeliveredChecksum - kDelivered);
  if (load<std::uint64_t>(part.data()) != out.generation) return;
  if (load<std::uint32_t>(bytes.data() + kDeliveredChecksum) != crc32c(0, part)) return;
  const char* at = part.data() + 8;
  for (StreamState& stream : out.state) {
    for (NumberRange& range : stream.delivered) {
      range = {load<std::uint64_t>(at), load<std::uint64_t>(at + 8)};
      at += 16;
    }
    if (!is_sound(stream)) stream.delivered = {};
  }
}

}  // namespace

std::string encode_slot(const StateSlot& slot) {
  std::string out(StateFile::kSlot, '\0');
  kMagic.copy(out.data(), kMagic.size());
  store(out.data() + 8, slot.generation);
  char* at = out.data() + 16;
  const auto put = [&at](std::uint64_t value) {
    store(at, value);
    at += sizeof value;
  };
  for (const StreamState& stream : slot.state) {
    put(stream.next);
    put(stream.confirmed);
    for (const std::uint64_t count : stream.dropped)
      put(count);
  }
  store(at, crc32c(0, {out.data(), kChecksum}));
  encode_delivered(slot, out.data());
  return out;
}

std::optional<StateSlot> decode_slot(std::string_view bytes) {
  if (bytes.size() < StateFile::kSlot || !bytes.starts_with(kMagic)) return std::nullopt;
  if (load<std::uint32_t>(bytes.data() + kChecksum) != crc32c(0, bytes.substr(0, kChecksum))) return std::nullopt;
  StateSlot out;
  out.generation = load<std::uint64_t>(bytes.data() + 8);
  const char* at = bytes.data() + 16;
  const auto get = [&at] {
    const auto value = load<std::uint64_t>(at);
    at += sizeof value;
    return value;
  };
  for (StreamState& stream : out.state) {
    stream.next = get();
    stream.confirmed = get();
    for (std::uint64_t& count : stream.dropped)
      count = get();
    if (stream.next == 0 || stream.confirmed >= stream.next) return std::nullopt;
  }
  decode_delivered(bytes, out);
  return out;
}

Result<StateFile> StateFile::open(const SpoolFolder& folder, bool writable) {
  StateFile out;
  Result<SharedFd> fd = folder.open_file(kName, writable ? O_RDWR : O_RDONLY);
  out.writable_ = writable && fd.has_value();
  if (fd.has_error() && writable) fd = folder.open_file(kName, O_RDONLY);
  if (fd.has_error()) {
    if (fd.error().code == Code::not_found) return out;
    return std::move(fd).error();
  }
  out.fd_ = std::move(*fd);
  std::string bytes(kSlots * kSlot, '\0');
  const Result<std::size_t> got = read_at(out.fd_->get(), bytes.data(), bytes.size(), 0);
  if (got.has_error()) return got.error();
  std::array<std::uint64_t, kSlots> generations{};  // 0: not whole
  for (std::size_t i = 0; i < kSlots; ++i) {
    const std::optional<StateSlot> slot = decode_slot(std::string_view(bytes).substr(i * kSlot, kSlot));
    if (!slot) continue;
    generations.at(i) = slot->generation;
    if (out.found_ && slot->generation < out.generation_) continue;
    out.found_ = slot->state;
    out.generation_ = slot->generation;
  }
  out.damaged_ = !out.found_;
  if (out.damaged_) return out;
  out.spare_ = generations[0] > generations[1] ? kSlot : 0;
  out.settled_ = false;
  return out;
}

Result<> StateFile::ensure(const SpoolFolder& folder) {
  if (writable_) return {};
  Result<SharedFd> fd = folder.open_file(kName, O_RDWR | O_CREAT);
  if (fd.has_error()) return std::move(fd).error();
  const off_t size = ::lseek((*fd)->get(), 0, SEEK_END);
  const bool made = size >= 0 && size < static_cast<off_t>(kSlots * kSlot);
  if (made) {
    auto done = static_cast<std::uint64_t>(size);  // what is there stays: it may be a file of an older version
    const std::string rest(kSlots * kSlot - static_cast<std::size_t>(done), '\0');
    if (Result<> wrote = write_at((*fd)->get(), rest, done, done); wrote.has_error())
      return std::move(wrote).error().within(kName);
  }
  made_ = made_ || made;
  fd_ = std::move(*fd);
  writable_ = true;
  return {};
}

Result<> StateFile::write(const SpoolFolder& folder, const SpoolState& state, bool beside_job) {
  if (Result<> ready = ensure(folder); ready.has_error()) return ready;
  if (!beside_job) {
    if (!settled_ && ::fdatasync(fd_->get()) != 0) return fail_errno(errno, "cannot sync the state of the spool");
    settled_ = true;
  }
  std::uint64_t done = 0;
  const std::uint64_t offset = beside_job ? 2 * kSlot : spare_;
  Result<> wrote = write_at(fd_->get(), encode_slot({++generation_, state}), offset, done);
  return wrote.has_error() ? Result<>(std::move(wrote).error().within(kName)) : wrote;
}

Result<StateFile::Job> StateFile::job(const SpoolFolder& folder, const SpoolState& state) {
  if (Result<> ready = ensure(folder); ready.has_error()) return std::move(ready).error();
  return Job{fd_, encode_slot({++generation_, state}), spare_, !settled_};
}

void StateFile::durable() {
  spare_ = spare_ == 0 ? kSlot : 0;
  settled_ = true;
}

Result<> run(const StateFile::Job& job) {
  if (job.settle && ::fdatasync(job.fd->get()) != 0) return fail_errno(errno, "cannot sync the state of the spool");
  std::uint64_t done = 0;
  if (Result<> wrote = write_at(job.fd->get(), job.content, job.offset, done); wrote.has_error())
    return std::move(wrote).error().within(kName);
  if (::fdatasync(job.fd->get()) != 0) return fail_errno(errno, "cannot sync the state of the spool");
  return {};
}

}  // namespace omnitide::telemetry
