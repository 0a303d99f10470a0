// Lines of a log file, as node-problem-detector's plugin filelog takes them apart.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "agent/base/clock.hpp"
#include "agent/base/error.hpp"

namespace omnitide::health {

class LogLineForm {
 public:
  // Two regular expressions whose last group is taken (the whole match where there is none), and a layout of Go's for
  // what the first one gives. The error's field is "timestamp", "message" or "timestampFormat".
  [[nodiscard]] static Result<LogLineForm> make(const std::string& timestamp, const std::string& message,
                                                std::string layout);

  struct Line {
    WallTime time;
    std::string message;
  };
  // Nothing when the line is not of this form: nobody is told of it.
  [[nodiscard]] std::optional<Line> parse(std::string_view line, WallTime now) const;

 private:
  struct Patterns;
  LogLineForm(std::shared_ptr<const Patterns> patterns, std::string layout)
      : patterns_(std::move(patterns)), layout_(std::move(layout)) {}
  std::shared_ptr<const Patterns> patterns_;
  std::string layout_;
};

}  // namespace omnitide::health
