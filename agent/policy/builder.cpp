#include "agent/policy/builder.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "agent/base/text.hpp"
#include "agent/policy/kinds.hpp"
#include "agent/policy/words.hpp"

namespace omnitide::policy {

namespace {

constexpr std::size_t kMostProblems = 20;  // of one object
constexpr std::size_t kFewKeys = 16;       // compared each with each
constexpr std::size_t kLongestHead = 512;
constexpr std::size_t kKeptKeyBytes = 4096;

}  // namespace

void ObjectBuilder::begin(std::uint32_t line, Head head) {
  tree_.clear();
  problems_.clear();
  head_ = std::move(head);
  line_ = line;
  used_ = 0;
  depth_ = skipped_ = 0;
  storing_ = true;
  own_version_ = own_kind_ = ambiguous_ = root_has_key_ = false;
  open(Tree::Kind::map, line);
}

void ObjectBuilder::open(Tree::Kind kind, std::uint32_t line) {
  if (depth_ == 1) root_container_is_key_ = !root_has_key_;
  ++depth_;
  if (!storing_) return;
  if (skipped_ > 0) {
    ++skipped_;
    return;
  }
  if (take_container_key(line)) {
    skipped_ = 1;
    return;
  }
  if (used_ > 0 && used_ >= limits_.depth) {
    problem(line, fmt::format("nested more than {} levels deep", limits_.depth), "");
    return stop_storing();
  }
  if (used_ > 0 && !room(line, 0)) return;
  std::uint32_t node = 0;
  if (used_ == 0) {
    node = tree_.add(Tree::kNone, Tree::kNone, {}, {.line = line, .kind = kind});
  } else {
    Level& parent = levels_[used_ - 1];
    node = tree_.add(parent.node, parent.last, parent.key, {.line = line, .kind = kind});
    parent.last = node;
    parent.has_key = false;
    parent.key.clear();
  }
  if (levels_.size() == used_) levels_.emplace_back();
  Level& level = levels_[used_++];
  level.node = node;
  level.last = Tree::kNone;
  level.key.clear();
  level.map = kind == Tree::Kind::map;
  level.has_key = false;
}

void ObjectBuilder::close() {
  --depth_;
  if (depth_ == 1) {
    root_has_key_ = root_container_is_key_;
    root_key_.clear();
  }
  if (!storing_) return;
  if (skipped_ > 0) {
    --skipped_;
    return;
  }
  Level& level = levels_[--used_];
  if (level.map) check_keys(level.node);
  if (level.key.capacity() > kKeptKeyBytes) level.key = {};
}

void ObjectBuilder::scalar(std::uint32_t line, std::string_view text, Style style) {
  if (depth_ == 1) take_root_scalar(text, style);
  if (!storing_ || skipped_ > 0) return;
  if (!room(line, text.size())) return;
  Level& level = levels_[used_ - 1];
  if (level.map && !level.has_key) return take_key(level, line, text, style);
  const Tree::Kind kind = style == Style::null ? Tree::Kind::null : Tree::Kind::scalar;
  const Tree::Node node{.line = line, .kind = kind, .plain = style == Style::plain};
  level.last = tree_.add_scalar(level.node, level.last, level.key, node, style == Style::null ? "" : text);
  level.has_key = false;
  level.key.clear();
}

void ObjectBuilder::odd(std::uint32_t line, std::string_view what) {
  if (storing_ && skipped_ == 0) problem(line, fmt::format("{} is not accepted here", what), "write the value itself");
}

void ObjectBuilder::value_taken() {
  root_has_key_ = false;
  if (!storing_ || used_ == 0) return;
  levels_[used_ - 1].has_key = false;
  levels_[used_ - 1].key.clear();
}

// What kind of object it is must be known even of an object that is not kept.
void ObjectBuilder::take_root_scalar(std::string_view text, Style style) {
  if (!root_has_key_) {
    root_key_ = text.substr(0, kLongestHead);
    root_has_key_ = true;
    return;
  }
  root_has_key_ = false;
  const bool kind = root_key_ == "kind";
  if (style == Style::null || (!kind && root_key_ != "apiVersion")) return;
  std::string& word = kind ? head_.kind : head_.api_version;
  bool& own = kind ? own_kind_ : own_version_;
  if (own && word != text) {
    ambiguous_ = true;
    problem(line_, fmt::format("{} is set a second time", root_key_), "keep one of the two");
    return stop_storing();
  }
  own = true;
  word = text.substr(0, kLongestHead);
  if (head_.kind.empty() || head_.api_version.empty()) return;
  const Sort sort = sort_of(head_.api_version, head_.kind);
  if (!sort.kind && sort.message.empty()) stop_storing();
}

void ObjectBuilder::take_key(Level& level, std::uint32_t line, std::string_view text, Style style) {
  level.key = text;
  level.has_key = true;
  level.key_line = line;
  if (style == Style::quoted) return;
  if (style == Style::null || type_of_word(text) != WordType::text) {
    problem(line, fmt::format("the key {} is no text", printable(text, 80)), "put it in quotes");
  } else if (text == "<<") {
    problem(line, "merging (<<) is not accepted here", "write the values themselves");
  }
}

// A list or map where a key should be.
bool ObjectBuilder::take_container_key(std::uint32_t line) {
  if (used_ == 0 || !levels_[used_ - 1].map || levels_[used_ - 1].has_key) return false;
  problem(line, "a key must be a word", "");
  levels_[used_ - 1].key = "?";
  levels_[used_ - 1].has_key = true;
  return true;
}

bool ObjectBuilder::room(std::uint32_t line, std::size_t bytes) {
  if (tree_.values() >= limits_.object_values) {
    problem(line, fmt::format("the object has more than {} values", limits_.object_values), "");
  } else if (tree_.bytes() + bytes > limits_.object_bytes) {
    problem(line, fmt::format("the object has more than {} of text", human_bytes(limits_.object_bytes)), "");
  } else {
    return true;
  }
  stop_storing();
  return false;
}

void ObjectBuilder::stop_storing() {
  storing_ = false;
  used_ = 0;
  skipped_ = 0;
}

// Each key once: which of two counts differs between parsers.
void ObjectBuilder::check_keys(std::uint32_t map) {
  const auto twice = [this](std::uint32_t again) {
    problems_.push_back({tree_.node(again).line, tree_.path(again), "is set a second time", "keep one of the two"});
  };
  if (tree_.node(map).size > kFewKeys) {
    order_.clear();
    for (std::uint32_t at = tree_.node(map).begin; at != Tree::kNone; at = tree_.node(at).next)
      order_.push_back(at);
    std::sort(order_.begin(), order_.end(), [this](std::uint32_t a, std::uint32_t b) {
      const int compared = tree_.key(a).compare(tree_.key(b));
      return compared < 0 || (compared == 0 && a < b);
    });
    const auto same = [this](std::uint32_t a, std::uint32_t b) { return tree_.key(a) == tree_.key(b); };
    const auto found = std::adjacent_find(order_.begin(), order_.end(), same);
    if (found != order_.end() && problems_.size() < kMostProblems) twice(*std::next(found));
    return;
  }
  for (std::uint32_t at = tree_.node(map).begin; at != Tree::kNone; at = tree_.node(at).next) {
    for (std::uint32_t other = tree_.node(map).begin; other != at; other = tree_.node(other).next) {
      if (tree_.key(other) != tree_.key(at)) continue;
      if (problems_.size() < kMostProblems) twice(at);
      return;
    }
  }
}

void ObjectBuilder::problem(std::uint32_t line, std::string message, std::string hint) {
  if (problems_.size() >= kMostProblems) return;
  std::string field;
  if (used_ > 0) {
    const Level& level = levels_[used_ - 1];
    field = tree_.path(level.node);
    if (level.has_key && !level.key.empty()) field += (field.empty() ? "" : ".") + printable(level.key, 80);
  }
  problems_.push_back({line, std::move(field), std::move(message), std::move(hint)});
}

}  // namespace omnitide::policy
