// Tables for reading: columns as wide as what they show, one of them wrapped where the terminal ends.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace omnitide::cli {

enum class Style : std::uint8_t { plain, bold, dim, good, warning, bad };

// Where text goes to.
struct Console {
  std::size_t width = 0;  // columns; 0: not a terminal, lines may be of any length
  bool colors = false;    // a terminal, and NO_COLOR is not set
  [[nodiscard]] static Console of(int descriptor, const char* no_color);
  [[nodiscard]] std::string paint(std::string_view text, Style style) const;
};

// Columns that a terminal needs for UTF-8 text: wide characters take two, combining marks none.
[[nodiscard]] std::size_t display_width(std::string_view text);
// Lines of at most `width` columns, broken at blanks where there are some. Never empty.
[[nodiscard]] std::vector<std::string> wrap(std::string_view text, std::size_t width);

struct Column {
  std::string title;
  bool right = false;  // aligned to the right
  bool wraps = false;  // takes the room that is left; one in a table
};

struct Cell {
  std::string text;
  Style style = Style::plain;
  Cell(std::string value, Style shown = Style::plain) : text(std::move(value)), style(shown) {}  // NOLINT: a value
  Cell(std::string_view value) : text(value) {}                                                  // NOLINT: a value
  Cell(const char* value) : text(value) {}                                                       // NOLINT: a value
};

class Table {
 public:
  explicit Table(std::vector<Column> columns, std::size_t indent = 0);
  // One cell a column. What came from outside is made printable here.
  void row(std::vector<Cell> cells);
  [[nodiscard]] bool empty() const { return rows_.empty(); }
  [[nodiscard]] std::size_t size() const { return rows_.size(); }
  // Columns in which no row has anything are left out. A table without titles has no head.
  [[nodiscard]] std::string render(const Console& console) const;

 private:
  std::vector<Column> columns_;
  std::size_t indent_;
  std::vector<std::vector<Cell>> rows_;
};

}  // namespace omnitide::cli
