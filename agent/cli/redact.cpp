#include "agent/cli/redact.hpp"

#include <algorithm>
#include <array>

#include "agent/base/text.hpp"

namespace omnitide::cli {

namespace {

constexpr std::string_view kRemoved = "[removed]";
constexpr std::string_view kBlank = " \t\r\n\"',;}]";

// From every `mark` on, `skip` bytes stay and the word after them goes.
void remove_words_after(std::string& text, std::string_view mark, std::size_t keep) {
  std::string lower = to_lower(text);
  for (std::size_t at = lower.find(mark); at != std::string::npos; at = lower.find(mark, at)) {
    const std::size_t begin = at + keep;
    const std::size_t end = std::min(text.find_first_of(kBlank, begin), text.size());
    if (end > begin) {
      text.replace(begin, end - begin, kRemoved);
      lower.replace(begin, end - begin, kRemoved);
      at = begin + kRemoved.size();
    } else {
      at += mark.size();
    }
  }
}

void remove_keys(std::string& text) {
  constexpr std::string_view kTail = "PRIVATE KEY-----";
  for (std::size_t at = text.find("-----BEGIN "); at != std::string::npos; at = text.find("-----BEGIN ", at + 1)) {
    const std::size_t head = text.find("-----", at + 11);
    if (head == std::string::npos) return;
    if (!std::string_view(text).substr(at, head + 5 - at).ends_with(kTail)) continue;
    const std::size_t end = text.find(kTail, head + 5);
    const std::size_t stop = end == std::string::npos ? text.size() : end + kTail.size();
    text.replace(at, stop - at, kRemoved);
  }
}

}  // namespace

std::string redact(std::string_view text) {
  std::string out(text);
  remove_keys(out);
  remove_words_after(out, "omt1.", 5);
  remove_words_after(out, "bearer ", 7);
  remove_words_after(out, "basic ", 6);
  constexpr std::array<std::string_view, 6> kNames{
      "password=", "secret=", "token=", "password: ", "secret\":\"", "password\":\""};
  for (const std::string_view name : kNames)
    remove_words_after(out, name, name.size());
  return out;
}

}  // namespace omnitide::cli
