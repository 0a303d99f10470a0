// What stands around Kubernetes' objects on the wire, taken apart as it comes, so that only one object is held at a
// time: frames of a watch, items of a list, the envelope of protobuf. Inside of the room, and for tests.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "agent/base/error.hpp"

namespace omnitide::kubernetes {

enum class Encoding : std::uint8_t { protobuf, json };

inline constexpr std::size_t kMostObjectBytes = 8U << 20U;  // the server takes at most about 3 MiB

// The message inside of "k8s\0" and runtime.Unknown; nothing when it is neither that nor whole. Points into the text.
[[nodiscard]] std::optional<std::string_view> unwrap(std::string_view text);

enum class Change : std::uint8_t { added, modified, deleted, bookmark, error, unknown };

struct WatchFrame {
  Change change = Change::unknown;
  std::string_view object;  // in its envelope; JSON: the whole event
  Encoding encoding = Encoding::protobuf;
};

// A watch's body: frames with a length of four bytes (big endian) before them, or lines of JSON.
class WatchReader {
 public:
  using Taker = std::function<bool(const WatchFrame&)>;
  // Gives each whole frame; ends at one whose taker says false. data_loss: what came is no watch.
  [[nodiscard]] Result<> feed(std::string_view bytes, const Taker& take);
  [[nodiscard]] bool ended() const { return ended_; }

 private:
  [[nodiscard]] Result<std::optional<std::string_view>> frame();
  std::string pending_;
  std::size_t at_ = 0;  // of pending_, what has been taken
  std::optional<Encoding> encoding_;
  bool ended_ = false;
};

// A list's body in protobuf.
class ListReader {
 public:
  using Taker = std::function<void(std::string_view item)>;  // without an envelope
  [[nodiscard]] Result<> feed(std::string_view bytes, const Taker& take);
  // Whether all has come; then:
  [[nodiscard]] bool whole() const;
  [[nodiscard]] std::string_view resource_version() const { return version_; }
  [[nodiscard]] std::string_view continuation() const { return continue_; }

 private:
  enum class Stage : std::uint8_t { magic, envelope, list };
  [[nodiscard]] Result<bool> step(std::string_view& rest, const Taker& take);
  [[nodiscard]] Result<> metadata(std::string_view message);
  Stage stage_ = Stage::magic;
  std::string pending_, version_, continue_;
  std::uint64_t left_ = 0;  // bytes of the list
  bool had_list_ = false;
};

}  // namespace omnitide::kubernetes
