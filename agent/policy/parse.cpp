#include "agent/policy/parse.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "agent/base/text.hpp"
#include "agent/policy/collector.hpp"
#include "agent/policy/events.hpp"
#include "agent/policy/words.hpp"

namespace omnitide::policy {

namespace {

constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";
constexpr std::size_t kSmallText = 256U << 10U;

std::uint32_t count_lines(std::string_view text) {
  return static_cast<std::uint32_t>(std::count(text.begin(), text.end(), '\n'));
}

// The text up to the next line of "---" behind its first line. YAML allows such a line nowhere but between documents.
std::string_view first_document(std::string_view text) {
  std::size_t at = text.find('\n');
  while (at != std::string_view::npos && ++at < text.size()) {
    const std::string_view line = text.substr(at, 4);
    if (line.starts_with("---") && (line.size() == 3 || std::string_view(" \t\r\n").find(line[3]) != line.npos))
      return text.substr(0, at);
    at = text.find('\n', at);
  }
  return text;
}

class Text {
 public:
  Text(const std::string& file, const ParseLimits& limits) : collector_(out_, file, limits) {}

  Parsed yaml(std::string_view text) {
    std::uint32_t line = 1;
    while (!text.empty() && !collector_.stopped()) {
      const std::string_view document = first_document(text);
      const bool last = document.size() == text.size();
      yaml_document(document, line, last ? "" : "; the next document is");
      line += count_lines(document);
      text.remove_prefix(document.size());
    }
    collector_.finish();
    return std::move(out_);
  }

  Parsed json(std::string_view text) {
    const std::size_t bad = std::min(first_bad_byte(text), text.size());
    Cursor cursor{.text = text.substr(0, bad)};
    std::optional<Broken> broken;
    while (!broken && cursor.at < bad && !collector_.stopped()) {
      const Cursor begin = cursor;
      collector_.begin_document();
      broken = read_json(cursor, collector_);
      if (const auto list = collector_.end_document(); list && !broken) {
        collector_.begin_document(*list);
        cursor = begin;
        broken = read_json(cursor, collector_);
      }
    }
    if (bad < text.size() && !collector_.stopped()) broken = bad_byte(text, bad, 1);
    if (broken) not_read(*broken, "what follows is not read");
    collector_.finish();
    return std::move(out_);
  }

 private:
  void yaml_document(std::string_view text, std::uint32_t line, std::string_view next) {
    std::optional<Broken> broken;
    if (const std::size_t bad = first_bad_byte(text); bad != std::string_view::npos) {
      return not_read(bad_byte(text, bad, line), fmt::format("this document is not read{}", next));
    }
    collector_.begin_document();
    const bool quick = read_block_yaml(text, line, collector_);
    if (!quick && !collector_.stopped()) {
      collector_.abandon_document();
      collector_.begin_document();
      broken = read_yaml(text, line, collector_);
    }
    if (const auto list = collector_.end_document(); list && !broken) {
      collector_.begin_document(*list);
      if (!quick) {
        broken = read_yaml(text, line, collector_);
      } else if (!read_block_yaml(text, line, collector_) && !collector_.stopped()) {
        broken = Broken{line, "was read in two ways", ""};  // cannot be: the first time it was understood
      }
    }
    if (broken) not_read(*broken, fmt::format("the rest of this document is not read{}", next));
  }

  static Broken bad_byte(std::string_view text, std::size_t at, std::uint32_t line) {
    const auto byte = static_cast<unsigned>(static_cast<unsigned char>(text[at]));
    return {line + count_lines(text.substr(0, at)), fmt::format("is not text: it has the byte 0x{:02x}", byte),
            "write it as UTF-8, without control characters"};
  }

  void not_read(const Broken& broken, std::string_view consequence) {
    out_.complete = false;
    collector_.file_fault(broken.line, fmt::format("{}; {}", broken.message, consequence), broken.hint);
  }

  Parsed out_;
  Collector collector_;
};

}  // namespace

std::string Fault::text() const {
  std::string out = printable(file);
  if (line > 0) out += fmt::format(":{}", line);
  for (const std::string* part : {&object, &field, &message}) {
    if (!part->empty()) out += (out.empty() ? "" : ": ") + printable(*part);
  }
  if (!hint.empty()) out += " (" + printable(hint) + ")";
  return out;
}

Parsed parse(std::string_view text, const std::string& file, const ParseLimits& limits) {
  if (text.size() > limits.bytes) {
    Parsed out;
    out.complete = false;
    out.faults.push_back({.file = file,
                          .message = fmt::format("is longer than {} and is not read", human_bytes(limits.bytes)),
                          .hint = "make it several files"});
    return out;
  }
  if (text.starts_with(kByteOrderMark)) text.remove_prefix(kByteOrderMark.size());
  const std::size_t first = text.find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos || text[first] != '{') return Text(file, limits).yaml(text);
  Parsed json = Text(file, limits).json(text);
  if (json.complete || !json.objects.empty() || text.size() > kSmallText) return json;
  // YAML's flow style begins like JSON.
  Parsed yaml = Text(file, limits).yaml(text);
  return yaml.complete ? std::move(yaml) : std::move(json);
}

}  // namespace omnitide::policy
