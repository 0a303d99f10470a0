// YAML by yaml-cpp's event parser: for what read_block_yaml leaves.
#include <fmt/format.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/mark.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <exception>
#include <istream>
#include <streambuf>
#include <string>

#include "agent/base/text.hpp"
#include "agent/policy/events.hpp"

namespace omnitide::policy {

namespace {

// yaml-cpp keeps the tokens of a flow collection that might still become a key (up to 230 bytes for each of the text),
// so what it may read between two events is bounded.
constexpr std::size_t kMostBetweenEvents = 256U << 10U;
constexpr std::size_t kPiece = 4096;
// It also keeps a note of each list and map until the document's end, up to fourteen bytes for each of the text.
constexpr std::size_t kLongestDocument = 16U << 20U;

// Gives the text in pieces, without a copy; yaml-cpp puts back what it read to guess the encoding.
class Feed final : public std::streambuf {
 public:
  Feed(std::string_view text, const Events& events) : text_(text), events_(events) { show(0, 0); }
  void progress() { since_event_ = 0; }
  [[nodiscard]] bool starved() const { return starved_; }

 protected:
  // Shows nothing more after too much without an event: the parser then sees the end of the text.
  int_type underflow() override {
    const std::size_t size = std::min(kPiece, text_.size() - shown_);
    starved_ = starved_ || since_event_ + size > kMostBetweenEvents;
    if (size == 0 || events_.stopped() || starved()) return traits_type::eof();
    since_event_ += size;
    show(shown_, shown_ + size);
    return traits_type::to_int_type(*gptr());
  }

 private:
  void show(std::size_t next, std::size_t end) {
    char* const begin = const_cast<char*>(text_.data());  // never written: there is no pbackfail() here
    shown_ = end;
    setg(begin, begin + next, begin + end);
  }

  std::string_view text_;
  const Events& events_;
  std::size_t shown_ = 0, since_event_ = 0;
  bool starved_ = false;  // stays so: the end of the text makes the parser tell what it held back
};

class Handler final : public YAML::EventHandler {
 public:
  Handler(std::uint32_t line, Feed& feed, Events& events) : first_line_(line), feed_(feed), events_(events) {}

  [[nodiscard]] std::uint32_t line_of(const YAML::Mark& mark) const {
    return first_line_ + static_cast<std::uint32_t>(std::max(mark.line, 0));
  }

  void OnDocumentStart(const YAML::Mark& mark) override {
    if (++documents_ > 1) throw YAML::ParserException(mark, "a document begins without '---' before it");
  }
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    refuse(mark, "", anchor);
    events_.scalar(line_of(mark), {}, Style::null);
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override {
    feed_.progress();
    events_.odd(line_of(mark), "an alias (*name)");
    events_.scalar(line_of(mark), {}, Style::null);
  }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& text) override {
    refuse(mark, tag, anchor);
    // yaml-cpp marks a scalar in quotes or in block form with the tag "!".
    const bool quoted = tag == "!" || tag == "tag:yaml.org,2002:str";
    events_.scalar(line_of(mark), text, quoted ? Style::quoted : Style::plain);
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    refuse(mark, tag, anchor);
    events_.open_list(line_of(mark));
  }
  void OnSequenceEnd() override { events_.close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    refuse(mark, tag, anchor);
    events_.open_map(line_of(mark));
  }
  void OnMapEnd() override { events_.close(); }

 private:
  void refuse(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor) {
    feed_.progress();
    if (anchor != 0) events_.odd(line_of(mark), "an anchor (&name)");
    if (!tag.empty() && tag != "?" && tag != "!" && tag != "tag:yaml.org,2002:str")
      events_.odd(line_of(mark), fmt::format("the tag {}", printable(tag, 80)));
  }

  std::uint32_t first_line_;
  Feed& feed_;
  Events& events_;
  unsigned documents_ = 0;
};

}  // namespace

std::optional<Broken> read_yaml(std::string_view text, std::uint32_t line, Events& events) {
  if (text.size() > kLongestDocument) {
    return Broken{line, fmt::format("is longer than {} and not in plain block style", human_bytes(kLongestDocument)),
                  "write it without anchors and tags, as several documents, or as JSON"};
  }
  Feed feed(text, events);
  Handler handler(line, feed, events);
  std::optional<Broken> broken;
  try {
    std::istream stream(&feed);
    YAML::Parser parser(stream);
    while (parser.HandleNextDocument(handler)) {
    }
  } catch (const YAML::Exception& problem) {
    const std::uint32_t at = problem.mark.is_null() ? line : handler.line_of(problem.mark);
    const bool tabs = text.find('\t') != std::string_view::npos;
    broken = Broken{at, fmt::format("is not valid YAML: {}", printable(problem.msg, 200)),
                    tabs ? "indent with spaces, not with tabs" : ""};
  } catch (const std::exception& problem) {
    broken = Broken{line, fmt::format("cannot be parsed: {}", printable(problem.what(), 200)), ""};
  }
  if (events.stopped()) return std::nullopt;
  if (feed.starved())
    return Broken{line, "has too large a value in one piece", "write it in YAML's block style, or as JSON"};
  return broken;
}

}  // namespace omnitide::policy
