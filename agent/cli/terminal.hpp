// A terminal as `top` uses it: another screen, keys as they are pressed, and all as it was in the end.
#pragma once

#include <termios.h>

#include <chrono>
#include <cstddef>
#include <optional>
#include <string_view>

namespace omnitide::cli {

// One at a time in a process. From its making to its end SIGINT, SIGTERM, SIGHUP and SIGQUIT are noted instead of
// ending the process, so that the destructor gives the terminal back.
class Terminal {
 public:
  Terminal();  // standard input and output
  ~Terminal();
  Terminal(const Terminal&) = delete;
  Terminal& operator=(const Terminal&) = delete;

  struct Size {
    std::size_t width = 80, height = 24;
  };
  [[nodiscard]] Size size() const;
  // Replaces what the screen shows: lines with their ends.
  void show(std::string_view text) const;
  // The next key; 0 when nothing was pressed for so long, the window changed or the process was continued; nothing at
  // the end of input or when a signal asks for the end.
  [[nodiscard]] std::optional<char> key(std::chrono::milliseconds patience);

 private:
  void enter();
  void leave() const;
  termios before_{};
  bool keys_ = false;  // standard input is a terminal
};

}  // namespace omnitide::cli
