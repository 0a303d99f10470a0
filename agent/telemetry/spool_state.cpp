#include "agent/telemetry/spool_state.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

#include "agent/telemetry/crc32c.hpp"
#include "agent/telemetry/little_endian.hpp"

namespace omnitide::telemetry {

namespace {

constexpr std::string_view kMagic = "OMNISTA1";
constexpr const char* kName = "state";
constexpr std::size_t kStreamBytes = (2 + kDropCauses) * sizeof(std::uint64_t);
constexpr std::size_t kChecksum = 16 + kStreams * kStreamBytes;
static_assert(kChecksum + sizeof(std::uint32_t) <= StateFile::kSlot);

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
  std::string bytes(2 * kSlot, '\0');
  const Result<std::size_t> got = read_at(out.fd_->get(), bytes.data(), bytes.size(), 0);
  if (got.has_error()) return got.error();
  const std::optional<StateSlot> first = decode_slot(std::string_view(bytes).substr(0, kSlot));
  const std::optional<StateSlot> second = decode_slot(std::string_view(bytes).substr(kSlot));
  out.damaged_ = !first && !second;
  if (out.damaged_) return out;
  const bool newest_is_first = first && (!second || first->generation > second->generation);
  const StateSlot& newest = newest_is_first ? *first : *second;
  out.found_ = newest.state;
  out.generation_ = newest.generation;
  out.spare_ = newest_is_first ? kSlot : 0;
  out.settled_ = false;
  return out;
}

Result<> StateFile::ensure(const SpoolFolder& folder) {
  if (writable_) return {};
  Result<SharedFd> fd = folder.open_file(kName, O_RDWR | O_CREAT);
  if (fd.has_error()) return std::move(fd).error();
  const bool made = ::lseek((*fd)->get(), 0, SEEK_END) < static_cast<off_t>(2 * kSlot);
  if (made) {
    std::uint64_t done = 0;
    if (Result<> wrote = write_at((*fd)->get(), std::string(2 * kSlot, '\0'), 0, done); wrote.has_error())
      return std::move(wrote).error().within(kName);
  }
  made_ = made_ || made;
  fd_ = std::move(*fd);
  writable_ = true;
  return {};
}

Result<> StateFile::write(const SpoolFolder& folder, const SpoolState& state) {
  if (Result<> ready = ensure(folder); ready.has_error()) return ready;
  if (!settled_ && ::fdatasync(fd_->get()) != 0) return fail_errno(errno, "cannot sync the state of the spool");
  settled_ = true;
  std::uint64_t done = 0;
  Result<> wrote = write_at(fd_->get(), encode_slot({++generation_, state}), spare_, done);
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
