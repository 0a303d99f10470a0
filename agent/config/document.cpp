#include "agent/config/document.hpp"

#include <fmt/format.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/mark.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <exception>
#include <sstream>
#include <utility>

#include "agent/base/text.hpp"

namespace omnitide::config {

namespace {

constexpr std::size_t kMaxProblems = 100;

// Builds the tree from the parser's events. After a limit was passed it only swallows events, so that the tree stays
// bounded whatever the text says; the parser bounds its own recursion.
class TreeBuilder final : public YAML::EventHandler {
 public:
  explicit TreeBuilder(Document& out) : out_(out) {}

  void OnDocumentStart(const YAML::Mark& mark) override {
    if (++documents_ == 2) problem(mark, "a second document begins here", "keep one document in a file, without '---'");
  }
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    refuse_anchor(mark, anchor);
    take(mark, Value{});
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override {
    problem(mark, "aliases (*name) are not accepted here", "write the value itself");
    take(mark, Value{});
  }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& text) override {
    refuse_anchor(mark, anchor);
    refuse_tag(mark, tag);
    // yaml-cpp marks a scalar in quotes or in block form with the tag "!".
    take(mark, Value::scalar(text, tag == "!"));
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    open(mark, tag, anchor, Value::Kind::list);
  }
  void OnSequenceEnd() override { close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    open(mark, tag, anchor, Value::Kind::map);
  }
  void OnMapEnd() override { close(); }

 private:
  struct Level {
    Value value;
    std::string key;
    unsigned key_line = 0;
    bool has_key = false, ignored_key = false;
  };

  static unsigned line_of(const YAML::Mark& mark) { return static_cast<unsigned>(std::max(mark.line, 0)) + 1; }

  [[nodiscard]] std::string path() const {
    std::string out;
    for (const Level& level : levels_) {
      if (!level.has_key) continue;
      if (!out.empty()) out += '.';
      out += level.key;
    }
    return out;
  }
  void problem(const YAML::Mark& mark, std::string message, std::string hint) {
    if (out_.problems.size() < kMaxProblems) {
      out_.problems.push_back({line_of(mark), path(), std::move(message), std::move(hint)});
    }
  }
  void refuse_anchor(const YAML::Mark& mark, YAML::anchor_t anchor) {
    if (anchor != 0) problem(mark, "anchors (&name) are not accepted here", "write the value itself");
  }
  void refuse_tag(const YAML::Mark& mark, const std::string& tag) {
    if (!tag.empty() && tag != "?" && tag != "!") {
      problem(mark, fmt::format("the tag {} is not accepted here", printable(tag, 80)), "take the tag away");
    }
  }

  void open(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor, Value::Kind kind) {
    refuse_anchor(mark, anchor);
    refuse_tag(mark, tag);
    if (skipped_ > 0 || levels_.size() >= kMaxDepth) {
      if (skipped_++ == 0) problem(mark, fmt::format("nested more than {} levels deep", kMaxDepth), "");
      return;
    }
    Level level;
    level.value.kind = kind;
    level.value.line = line_of(mark);
    levels_.push_back(std::move(level));
  }
  void close() {
    if (skipped_ > 0) {
      if (--skipped_ == 0) put(0, Value{});  // stands for what was too deep
      return;
    }
    if (levels_.empty()) return;
    Value done = std::move(levels_.back().value);
    levels_.pop_back();
    put(done.line, std::move(done));
  }
  void take(const YAML::Mark& mark, Value value) {
    if (skipped_ > 0) return;
    value.line = line_of(mark);
    if (++values_ == kMaxValues + 1) problem(mark, fmt::format("more than {} values in one file", kMaxValues), "");
    put(value.line, std::move(value));
  }

  // A finished value: the document itself, an item, a key, or the value of the key before it.
  void put(unsigned line, Value value) {
    if (levels_.empty()) {
      if (documents_ == 1) out_.root = std::move(value);
      return;
    }
    Level& level = levels_.back();
    if (level.value.kind == Value::Kind::list) {
      if (values_ <= kMaxValues) level.value.items.push_back(std::move(value));
    } else if (level.has_key) {
      if (!level.ignored_key && values_ <= kMaxValues) {
        level.value.entries.push_back({std::move(level.key), level.key_line, std::move(value)});
      }
      level.has_key = false;
      level.key.clear();
    } else {
      put_key(level, line, value);
    }
  }
  void put_key(Level& level, unsigned line, const Value& value) {
    const bool word = value.kind == Value::Kind::scalar && !value.text.empty();
    level.ignored_key = !word;
    if (!word) add(line, path(), "a key must be a word", "");
    level.key = word ? value.text : "?";
    level.key_line = line;
    level.has_key = true;
    if (values_ > kMaxValues) return;  // what follows is not kept, so it need not be compared
    const auto& entries = level.value.entries;
    const auto first = std::find_if(entries.begin(), entries.end(), [&](const Entry& e) { return e.key == level.key; });
    if (word && first != entries.end()) {
      level.ignored_key = true;
      add(line, path(), fmt::format("is set a second time; the first is on line {}", first->line),
          "keep one of the two");
    }
  }
  void add(unsigned line, std::string field, std::string message, std::string hint) {
    if (out_.problems.size() < kMaxProblems) {
      out_.problems.push_back({line, std::move(field), std::move(message), std::move(hint)});
    }
  }

  Document& out_;
  std::vector<Level> levels_;
  std::size_t values_ = 0, skipped_ = 0;
  unsigned documents_ = 0;
};

}  // namespace

Value Value::scalar(std::string text, bool quoted) {
  Value value;
  value.kind = Kind::scalar;
  value.quoted = quoted;
  value.text = std::move(text);
  return value;
}

bool Value::same(const Value& other) const {
  return kind == other.kind && text == other.text &&
         std::equal(items.begin(), items.end(), other.items.begin(), other.items.end(),
                    [](const Value& a, const Value& b) { return a.same(b); }) &&
         std::equal(entries.begin(), entries.end(), other.entries.begin(), other.entries.end(),
                    [](const Entry& a, const Entry& b) { return a.key == b.key && a.value.same(b.value); });
}

Document parse_document(std::string_view text) {
  Document out;
  if (text.size() > kMaxFileBytes) {
    out.problems.push_back({0, "", fmt::format("is longer than {}", human_bytes(kMaxFileBytes)), ""});
    return out;
  }
  if (text.find('\0') != std::string_view::npos) {
    out.problems.push_back({0, "", "is not text: it has a zero byte", ""});
    return out;
  }
  try {
    std::istringstream stream{std::string(text)};
    YAML::Parser parser(stream);
    TreeBuilder builder(out);
    for (int documents = 0; documents < 2 && parser.HandleNextDocument(builder); ++documents) {
    }
  } catch (const YAML::Exception& problem) {
    const unsigned line = problem.mark.is_null() ? 0 : static_cast<unsigned>(std::max(problem.mark.line, 0)) + 1;
    out.problems.push_back({line, "", fmt::format("is not valid YAML: {}", printable(problem.msg, 200)),
                            text.find('\t') == std::string_view::npos ? "" : "indent with spaces, not with tabs"});
  } catch (const std::exception& problem) {
    out.problems.push_back({0, "", fmt::format("cannot be parsed: {}", printable(problem.what(), 200)), ""});
  }
  return out;
}

std::string_view kind_name(const Value& value) {
  switch (value.kind) {
    case Value::Kind::null: return "nothing";
    case Value::Kind::list: return "a list";
    case Value::Kind::map: return "a map";
    case Value::Kind::scalar: break;
  }
  return "a value";
}

}  // namespace omnitide::config
