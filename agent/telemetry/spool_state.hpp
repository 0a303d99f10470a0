// What the spool must know beyond its records: how far each stream is confirmed, its next number, what was dropped.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "agent/base/error.hpp"
#include "agent/telemetry/holes.hpp"
#include "agent/telemetry/record.hpp"
#include "agent/telemetry/spool_folder.hpp"

namespace omnitide::telemetry {

struct StreamState {
  RecordNumber next = 1;
  RecordNumber confirmed = 0;
  DropCounts dropped{};
  DeliveredRanges delivered{};  // beyond `confirmed` and below `next`
  bool operator==(const StreamState&) const = default;
};
using SpoolState = std::array<StreamState, kStreams>;

// A file of three slots, of which the newest whole one counts. Of the first two the one that was made durable last is
// never written over before the other one is durable, so that a torn write costs what came after the last sync and no
// more. The third takes what is to survive a kill while a job makes another one durable, which may take long. All have
// their place on the disk from the start: a full disk does not hinder them.
class StateFile {
 public:
  static constexpr std::size_t kSlot = 4096, kSlots = 3;

  // A write that has to be made durable by another thread.
  struct Job {
    SharedFd fd;
    std::string content;
    std::uint64_t offset = 0;
    bool settle = false;  // what was found has to be durable first
  };

  // Reads the file; one that is missing is made by the first write. Not `writable`: nothing is made or synced.
  [[nodiscard]] static Result<StateFile> open(const SpoolFolder& folder, bool writable);
  // What was read; nullopt: no slot was whole.
  [[nodiscard]] const std::optional<SpoolState>& found() const { return found_; }
  [[nodiscard]] bool damaged() const { return damaged_; }  // there is a file, and no slot of it was whole

  // Hands it to the kernel. `beside_job`: a job is on its way.
  [[nodiscard]] Result<> write(const SpoolFolder& folder, const SpoolState& state, bool beside_job);
  [[nodiscard]] Result<Job> job(const SpoolFolder& folder, const SpoolState& state);
  void durable();                                    // the job was done
  [[nodiscard]] bool made() const { return made_; }  // a file was made since, which the folder's sync has to know
  void folder_durable() { made_ = false; }

 private:
  [[nodiscard]] Result<> ensure(const SpoolFolder& folder);

  SharedFd fd_;
  std::optional<SpoolState> found_;
  std::uint64_t generation_ = 0;
  std::uint64_t spare_ = 0;  // offset of that of the first two slots which is to be written
  bool damaged_ = false, writable_ = false, made_ = false;
  // After a kill the newest slot may be in the page cache only, and the spare one be the durable one: before that is
  // written over, the newest has to be durable.
  bool settled_ = true;
};

// nullopt: damaged.
struct StateSlot {
  std::uint64_t generation = 0;
  SpoolState state{};
};
[[nodiscard]] std::string encode_slot(const StateSlot& slot);
[[nodiscard]] std::optional<StateSlot> decode_slot(std::string_view bytes);

// Runs on any thread.
[[nodiscard]] Result<> run(const StateFile::Job& job);

}  // namespace omnitide::telemetry
