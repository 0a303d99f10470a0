#include "agent/cli/terminal.hpp"

#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <string>

namespace omnitide::cli {

namespace {

constexpr std::array kEnding{SIGINT, SIGTERM, SIGHUP, SIGQUIT};
volatile sig_atomic_t g_ending = 0, g_stopping = 0;

void note(int number) {
  if (number == SIGTSTP) g_stopping = 1;
  if (number != SIGTSTP && number != SIGWINCH && number != SIGCONT) g_ending = 1;
}

// Without SA_RESTART: a wait for a key ends with any of them.
void handle(int number, void (*handler)(int)) {
  struct sigaction action {};
  action.sa_handler = handler;
  ::sigemptyset(&action.sa_mask);
  ::sigaction(number, &action, nullptr);
}

void put(std::string_view text) {
  while (!text.empty()) {
    const ssize_t wrote = ::write(STDOUT_FILENO, text.data(), text.size());
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote <= 0) return;  // the terminal is gone: the end of input says so next
    text.remove_prefix(static_cast<std::size_t>(wrote));
  }
}

}  // namespace

Terminal::Terminal() {
  g_ending = 0;
  g_stopping = 0;
  keys_ = ::isatty(STDIN_FILENO) != 0 && ::tcgetattr(STDIN_FILENO, &before_) == 0;
  for (const int number : kEnding)
    handle(number, note);
  for (const int number : {SIGTSTP, SIGWINCH, SIGCONT})
    handle(number, note);
  enter();
}

Terminal::~Terminal() {
  leave();
  for (const int number : kEnding)
    handle(number, SIG_DFL);
  for (const int number : {SIGTSTP, SIGWINCH, SIGCONT})
    handle(number, SIG_DFL);
}

void Terminal::enter() {
  if (keys_) {
    termios raw = before_;
    raw.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO);  // signals by ^C and ^Z stay
    raw.c_cc[VMIN] = 1;
    raw.c_cc[VTIME] = 0;
    ::tcsetattr(STDIN_FILENO, TCSANOW, &raw);
  }
  put("\x1b[?1049h\x1b[?25l\x1b[2J");  // the other screen, no cursor
}

void Terminal::leave() const {
  put("\x1b[?25h\x1b[?1049l");
  if (keys_) ::tcsetattr(STDIN_FILENO, TCSANOW, &before_);
}

Terminal::Size Terminal::size() const {
  winsize window{};
  if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &window) != 0 || window.ws_col == 0 || window.ws_row == 0) return {};
  return {window.ws_col, window.ws_row};
}

void Terminal::show(std::string_view text) const {
  std::string out = "\x1b[H";
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    out += text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    // No line feed behind the last line: it would push the first one out.
    out += text.empty() ? "\x1b[K" : "\x1b[K\r\n";
  }
  put(out + "\x1b[J");
}

std::optional<char> Terminal::key(std::chrono::milliseconds patience) {
  if (g_ending != 0) return std::nullopt;
  pollfd input{.fd = keys_ ? STDIN_FILENO : -1, .events = POLLIN, .revents = 0};
  const int ready = ::poll(&input, 1, static_cast<int>(patience.count()));
  if (g_ending != 0) return std::nullopt;
  if (g_stopping != 0) {
    g_stopping = 0;
    leave();
    ::raise(SIGSTOP);  // goes on here after SIGCONT
    enter();
    return '\0';
  }
  if (ready <= 0) return '\0';
  char pressed = 0;
  return ::read(STDIN_FILENO, &pressed, 1) == 1 ? std::optional(pressed) : std::nullopt;
}

}  // namespace omnitide::cli
