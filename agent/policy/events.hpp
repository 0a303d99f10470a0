// How the readers of YAML and JSON tell what they read: a flat run of events, so that no document is ever held as a
// tree. Inside this room only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace omnitide::policy {

// `plain` text may be a number or a truth value; `quoted` text is text; `null` is nothing.
enum class Style : std::uint8_t { plain, quoted, null };

class Events {
 public:
  Events() = default;
  Events(const Events&) = delete;
  Events& operator=(const Events&) = delete;
  virtual ~Events() = default;
  // Inside a map keys and values take turns. The text is valid during the call only.
  virtual void open_map(std::uint32_t line) = 0;
  virtual void open_list(std::uint32_t line) = 0;
  virtual void close() = 0;
  virtual void scalar(std::uint32_t line, std::string_view text, Style style) = 0;
  // The next value has something that an object must not have: "an anchor (&name)".
  virtual void odd(std::uint32_t line, std::string_view what) = 0;
  // Whether nothing more is wanted; a reader may then end at once.
  [[nodiscard]] virtual bool stopped() const = 0;
};

// Where and why a reader could not go on.
struct Broken {
  std::uint32_t line = 0;
  std::string message, hint;
};

// A place in a text.
struct Cursor {
  std::string_view text;
  std::size_t at = 0;
  std::uint32_t line = 1;
};

// Nesting that readers follow, in objects of foreign kinds too.
inline constexpr std::size_t kDeepestReader = 256;

// One JSON value (RFC 8259) and the white space before it. At the end of the text: no event.
[[nodiscard]] std::optional<Broken> read_json(Cursor& cursor, Events& events);

// One YAML document by yaml-cpp, which knows all of YAML. `line` is that of the text's first line.
[[nodiscard]] std::optional<Broken> read_yaml(std::string_view text, std::uint32_t line, Events& events);

// One YAML document in the plain block style that kubectl, Helm and people write: some ten times as fast as yaml-cpp.
// False: the text has something that it leaves to read_yaml, and the events told so far do not count.
[[nodiscard]] bool read_block_yaml(std::string_view text, std::uint32_t line, Events& events);

}  // namespace omnitide::policy
