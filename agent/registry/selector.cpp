#include "agent/registry/selector.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "agent/base/characters.hpp"
#include "agent/base/text.hpp"

namespace omnitide::registry {

namespace {

constexpr std::size_t kMaxText = 4096, kMaxRequirements = 64, kMaxValues = 256;

bool is_blank(char c) { return c == ' ' || c == '\t'; }
bool is_word(char c) { return is_alphanumeric(c) || c == '-' || c == '_' || c == '.' || c == '/'; }

}  // namespace

class SelectorParser {
 public:
  explicit SelectorParser(std::string_view text) : text_(text) {}

  Result<Selector> run() {
    Selector out;
    skip();
    while (at_ < text_.size()) {
      if (out.requirements_.size() == kMaxRequirements) return wrong("has too many requirements");
      Selector::Requirement requirement;
      if (const Result<> done = one(requirement); done.has_error()) return done.error();
      out.requirements_.push_back(std::move(requirement));
      if (at_ == text_.size()) break;
      if (!take(",")) return wrong("wants a comma");
      if (at_ == text_.size()) return wrong("ends in a comma");
    }
    return out;
  }

 private:
  using Operator = Selector::Operator;

  Result<> one(Selector::Requirement& out) {
    const bool negated = take("!");
    out.key = word();
    if (const Result<> good = check_labels({{out.key, ""}}); good.has_error()) return wrong("wants a label key");
    if (negated) {
      out.operation = Operator::absent;
      return {};
    }
    if (take("!=")) return value(out, Operator::not_in);
    if (take("==") || take("=")) return value(out, Operator::in);
    if (at_ == text_.size() || text_[at_] == ',') return {};
    const std::string keyword = word();
    if (keyword == "in") return values(out, Operator::in);
    if (keyword == "notin") return values(out, Operator::not_in);
    return wrong("wants =, !=, in or notin");
  }

  Result<> value(Selector::Requirement& out, Operator operation) {
    out.operation = operation;
    out.values = {word()};
    return {};
  }

  Result<> values(Selector::Requirement& out, Operator operation) {
    out.operation = operation;
    if (!take("(")) return wrong("wants (");
    do {
      if (out.values.size() == kMaxValues) return wrong("has too many values");
      out.values.push_back(word());
    } while (take(","));
    if (!take(")")) return wrong("wants )");
    return {};
  }

  void skip() {
    while (at_ < text_.size() && is_blank(text_[at_]))
      ++at_;
  }
  std::string word() {
    const std::size_t begin = at_;
    while (at_ < text_.size() && is_word(text_[at_]))
      ++at_;
    std::string out(text_.substr(begin, at_ - begin));
    skip();
    return out;
  }
  bool take(std::string_view what) {
    if (!text_.substr(at_).starts_with(what)) return false;
    at_ += what.size();
    skip();
    return true;
  }
  Error wrong(std::string_view what) const {
    Error error = fail(Code::invalid_argument, fmt::format("the label selector {} at character {}: \"{}\"", what,
                                                           at_ + 1, printable(text_.substr(at_), 40)))
                      .with_hint("examples: site=lab, tier!=test, zone in (a,b), !retired");
    error.field = "labelSelector";
    return error;
  }

  std::string_view text_;
  std::size_t at_ = 0;
};

Result<Selector> Selector::parse(std::string_view text) {
  if (text.size() > kMaxText) {
    Error error = fail(Code::invalid_argument, fmt::format("the label selector is longer than {} bytes", kMaxText));
    error.field = "labelSelector";
    return error;
  }
  return SelectorParser(text).run();
}

Selector Selector::nothing() {
  Selector out;
  out.requirements_.push_back({.key = "x", .operation = Operator::exists, .values = {}});
  out.requirements_.push_back({.key = "x", .operation = Operator::absent, .values = {}});
  return out;
}

bool Selector::matches(const Labels& labels) const {
  return std::all_of(requirements_.begin(), requirements_.end(), [&labels](const Requirement& requirement) {
    const auto found = labels.find(requirement.key);
    const bool there = found != labels.end();
    const auto listed = [&] {
      return std::find(requirement.values.begin(), requirement.values.end(), found->second) != requirement.values.end();
    };
    switch (requirement.operation) {
      case Operator::exists: return there;
      case Operator::absent: return !there;
      case Operator::in: return there && listed();
      case Operator::not_in: return !there || !listed();
    }
    return false;
  });
}

}  // namespace omnitide::registry
