#include "agent/cli/table.hpp"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <utility>

#include "agent/base/text.hpp"

namespace omnitide::cli {

namespace {

constexpr std::size_t kGap = 2;         // between columns
constexpr std::size_t kNarrowest = 16;  // of the column that wraps
constexpr std::array<std::string_view, 6> kCodes{"", "\x1b[1m", "\x1b[2m", "\x1b[32m", "\x1b[33m", "\x1b[31m"};

struct Range {
  char32_t first, last;
};
// Combining marks and zero-width characters; Unicode 15, the blocks that occur in names of devices and places.
constexpr std::array<Range, 8> kZero{{{0x0300, 0x036F},
                                      {0x0483, 0x0489},
                                      {0x0591, 0x05BD},
                                      {0x1AB0, 0x1AFF},
                                      {0x200B, 0x200F},
                                      {0x20D0, 0x20FF},
                                      {0xFE00, 0xFE0F},
                                      {0xFE20, 0xFE2F}}};
// East Asian Wide and Fullwidth (UAX #11).
constexpr std::array<Range, 12> kWide{{{0x1100, 0x115F},
                                       {0x2E80, 0x303E},
                                       {0x3041, 0x33FF},
                                       {0x3400, 0x4DBF},
                                       {0x4E00, 0xA4CF},
                                       {0xAC00, 0xD7A3},
                                       {0xF900, 0xFAFF},
                                       {0xFE30, 0xFE6F},
                                       {0xFF00, 0xFF60},
                                       {0xFFE0, 0xFFE6},
                                       {0x1F300, 0x1FAFF},
                                       {0x20000, 0x3FFFD}}};

template <std::size_t N>
bool in(const std::array<Range, N>& ranges, char32_t c) {
  return std::ranges::any_of(ranges, [c](const Range& range) { return c >= range.first && c <= range.last; });
}

// The first character and its length in bytes; text is valid UTF-8 or counted byte by byte.
std::pair<char32_t, std::size_t> first_character(std::string_view text) {
  const auto byte = [text](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned lead = byte(0);
  const std::size_t length = lead < 0x80 ? 1 : lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : lead >= 0xC2 ? 2 : 1;
  if (length == 1 || length > text.size()) return {lead, 1};
  char32_t c = lead & (0x7FU >> length);
  for (std::size_t i = 1; i < length; ++i)
    c = (c << 6U) | (byte(i) & 0x3FU);
  return {c, length};
}

std::size_t width_of(char32_t c) { return in(kZero, c) ? 0 : in(kWide, c) ? 2 : 1; }

// As many bytes as fit into `width` columns, at least one character.
std::size_t fitting(std::string_view text, std::size_t width) {
  std::size_t at = 0, used = 0;
  while (at < text.size()) {
    const auto [c, length] = first_character(text.substr(at));
    if (at > 0 && used + width_of(c) > width) break;
    used += width_of(c);
    at += length;
  }
  return at;
}

}  // namespace

Console Console::of(int descriptor, const char* no_color) {
  Console out;
  if (::isatty(descriptor) != 1) return out;
  winsize size{};
  out.width = ::ioctl(descriptor, TIOCGWINSZ, &size) == 0 && size.ws_col >= 40 ? size.ws_col : 80;
  out.colors = no_color == nullptr || *no_color == '\0';
  return out;
}

std::string Console::paint(std::string_view text, Style style) const {
  if (!colors || style == Style::plain || text.empty()) return std::string(text);
  return fmt::format("{}{}\x1b[0m", kCodes.at(static_cast<std::size_t>(style)), text);
}

std::size_t display_width(std::string_view text) {
  std::size_t out = 0;
  while (!text.empty()) {
    const auto [c, length] = first_character(text);
    out += width_of(c);
    text.remove_prefix(length);
  }
  return out;
}

std::vector<std::string> wrap(std::string_view text, std::size_t width) {
  std::vector<std::string> out;
  while (display_width(text) > width) {
    std::size_t end = fitting(text, width);
    const std::size_t blank = end < text.size() && text[end] == ' ' ? end : text.substr(0, end).rfind(' ');
    if (blank != std::string_view::npos && blank > 0) end = blank;
    out.emplace_back(trim(text.substr(0, end)));
    text = trim(text.substr(end));
  }
  if (!text.empty() || out.empty()) out.emplace_back(text);
  return out;
}

Table::Table(std::vector<Column> columns, std::size_t indent) : columns_(std::move(columns)), indent_(indent) {}

void Table::row(std::vector<Cell> cells) {
  cells.resize(columns_.size(), Cell(""));
  for (Cell& cell : cells)
    cell.text = printable(cell.text);
  rows_.push_back(std::move(cells));
}

std::string Table::render(const Console& console) const {
  const std::size_t count = columns_.size();
  std::vector<std::size_t> widths(count, 0);
  std::vector<bool> shown(count, false);
  const bool titled = std::ranges::any_of(columns_, [](const Column& column) { return !column.title.empty(); });
  for (const auto& row : rows_) {
    for (std::size_t i = 0; i < count; ++i) {
      widths[i] = std::max(widths[i], display_width(row[i].text));
      shown[i] = shown[i] || !row[i].text.empty();
    }
  }
  std::size_t total = indent_, wrapping = count, last = 0;
  for (std::size_t i = 0; i < count; ++i) {
    if (!shown[i]) continue;
    widths[i] = std::max(widths[i], display_width(columns_[i].title));
    total += widths[i] + kGap;
    if (columns_[i].wraps) wrapping = i;
    last = i;
  }
  total -= std::min(total, kGap);
  if (console.width != 0 && total > console.width && wrapping < count) {
    const std::size_t over = total - console.width;
    widths[wrapping] = widths[wrapping] > over + kNarrowest ? widths[wrapping] - over : kNarrowest;
  }

  std::string out;
  const auto line = [&](const std::vector<std::pair<std::string, Style>>& cells) {
    std::string text(indent_, ' ');
    for (std::size_t i = 0; i < count; ++i) {
      if (!shown[i]) continue;
      const auto& [cell, style] = cells[i];
      const std::size_t used = display_width(cell), padding = widths[i] > used ? widths[i] - used : 0;
      if (columns_[i].right) text.append(padding, ' ');
      text += console.paint(cell, style);
      if (i != last) text.append((columns_[i].right ? 0 : padding) + kGap, ' ');
    }
    out += text.substr(0, text.find_last_not_of(' ') + 1) + "\n";
  };
  if (titled) {
    std::vector<std::pair<std::string, Style>> head;
    for (const Column& column : columns_)
      head.emplace_back(column.title, Style::bold);
    line(head);
  }
  for (const auto& row : rows_) {
    std::vector<std::vector<std::string>> lines(count);
    std::size_t height = 1;
    for (std::size_t i = 0; i < count; ++i) {
      lines[i] =
          i == wrapping && console.width != 0 ? wrap(row[i].text, widths[i]) : std::vector<std::string>{row[i].text};
      height = std::max(height, lines[i].size());
    }
    for (std::size_t at = 0; at < height; ++at) {
      std::vector<std::pair<std::string, Style>> cells;
      for (std::size_t i = 0; i < count; ++i)
        cells.emplace_back(at < lines[i].size() ? lines[i][at] : std::string{}, row[i].style);
      line(cells);
    }
  }
  return out;
}

}  // namespace omnitide::cli
