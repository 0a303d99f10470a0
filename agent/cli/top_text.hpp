// The screen of `top`, as text.
#pragma once

#include <cstddef>
#include <string>

#include "agent/cli/table.hpp"
#include "agent/cli/top_view.hpp"

namespace omnitide::cli {

struct TopScreen {
  std::size_t width = 80;
  std::size_t height = 0;  // lines; 0: as many as there is to say, without the line of keys
  TopOrder order = TopOrder::latency;
  bool paused = false;
};

// At most `height` lines of at most `width` columns, each with its end. Colours by `console`.
[[nodiscard]] std::string top_text(const TopView& view, const TopScreen& screen, const Console& console);

}  // namespace omnitide::cli
