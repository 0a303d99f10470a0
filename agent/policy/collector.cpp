#include "agent/policy/collector.hpp"

#include <fmt/format.h>

#include <type_traits>
#include <utility>

#include "agent/base/text.hpp"
#include "agent/policy/common.hpp"
#include "agent/policy/kinds.hpp"

namespace omnitide::policy {

namespace {

constexpr std::string_view kList = "List";

Object read_kind(Reader& reader, ObjectKey::Kind kind) {
  switch (kind) {
    case ObjectKey::Kind::name_space: return read_namespace(reader);
    case ObjectKey::Kind::pod: return read_pod(reader);
    case ObjectKey::Kind::node: return read_node(reader);
    case ObjectKey::Kind::network_policy: return read_network_policy(reader);
    case ObjectKey::Kind::cluster_network_policy: return read_cluster_policy(reader);
    case ObjectKey::Kind::host_policy: break;
  }
  return read_host_policy(reader);
}

// "Pod shop/web" for messages about an object that may be wrong or unknown.
std::string label_of(const ObjectBuilder& builder, const std::optional<ObjectKey::Kind>& kind) {
  const Field root(builder.tree(), 0);
  if (kind) {
    const ObjectKey key = named(*kind, root);
    return key.name.empty() ? std::string(kind_name(*kind)) : describe(key);
  }
  const Field name = root["metadata"]["name"];
  const std::string shown = name.is_scalar() ? printable(name.word(), 80) : std::string{};
  const std::string word = printable(builder.head().kind, 80);
  return word.empty() || shown.empty() ? word + shown : word + " " + shown;
}

}  // namespace

Collector::Collector(Parsed& out, const std::string& file, const ParseLimits& limits)
    : out_(out), file_(file), limits_(limits), root_(limits), item_(limits) {}

void Collector::begin_document(std::optional<Head> list) {
  list_ = std::move(list);
  begin_ = mark();
  depth_ = kindless_ = 0;
  in_items_ = in_item_ = has_items_ = ignored_ = false;
}

void Collector::abandon_document() { roll_back(begin_); }

std::optional<Head> Collector::end_document() {
  if (list_ || kindless_ == 0 || stopped_) return std::nullopt;
  return list_head();
}

void Collector::open_map(std::uint32_t line) {
  ++depth_;
  if (ignored_) return;
  if (depth_ == 1) {
    root_.begin(line, {});
  } else if (in_items_ && depth_ == 3) {
    in_item_ = true;
    item_.begin(line, list_ ? *list_ : list_head());
  } else {
    target().open(Tree::Kind::map, line);
  }
}

void Collector::open_list(std::uint32_t line) {
  if (!ignored_ && awaits_items()) {
    if (has_items_ && !list_) file_fault(line, "items is set a second time", "keep one of the two");
    in_items_ = has_items_ = true;
    items_line_ = line;
    ++depth_;
    return;
  }
  ++depth_;
  if (ignored_) return;
  if (depth_ == 1 || (in_items_ && depth_ == 3)) return no_object(line);
  target().open(Tree::Kind::list, line);
}

void Collector::close() {
  --depth_;
  if (ignored_) {
    // A value that is no object ends where it began: as the document itself, or as an item.
    if (depth_ == (in_items_ ? 2U : 0U)) ignored_ = false;
    return;
  }
  if (in_items_ && !in_item_ && depth_ == 1) {
    in_items_ = false;
    root_.value_taken();
    return;
  }
  target().close();
  if (in_item_ && depth_ == 2) return finish_item();
  if (depth_ == 0) finish_root();
}

void Collector::scalar(std::uint32_t line, std::string_view text, Style style) {
  if (ignored_) return;
  if (depth_ == 0) {
    if (style != Style::null) file_fault(line, "is no object", "a document must be a map with apiVersion and kind");
    return;
  }
  if (in_items_ && depth_ == 2) {
    if (!list_) file_fault(line, "an item is no object", "an item must be a map");
    return;
  }
  target().scalar(line, text, style);
}

void Collector::odd(std::uint32_t line, std::string_view what) {
  if (!ignored_ && depth_ > 0) target().odd(line, what);
}

void Collector::no_object(std::uint32_t line) {
  ignored_ = true;
  if (list_) return;
  depth_ == 1 ? file_fault(line, "is a list, not an object", "write one document for each object, or a kind: List")
              : file_fault(line, "an item is no object", "an item must be a map");
}

// The kind that items of this document have where they say none.
Head Collector::list_head() const {
  const Head& head = root_.head();
  if (head.kind == kList || !is_list_kind(head.kind)) return {};
  return {head.api_version, head.kind.substr(0, head.kind.size() - kList.size())};
}

void Collector::finish_root() {
  const bool list = is_list_kind(root_.head().kind);
  if (!has_items_ && !list) return finish_object(root_);
  if (list) return;
  // Not a list after all: what stood in it does not count.
  const bool matters = out_.objects.size() > begin_.objects || out_.faults.size() > begin_.faults;
  roll_back(begin_);
  kindless_ = 0;
  const Sort sort = sort_of(root_.head().api_version, root_.head().kind);
  if (!matters && !sort.kind && sort.message.empty()) {
    ++out_.skipped;
    return;
  }
  const std::string kind = root_.head().kind.empty() ? "none" : printable(root_.head().kind, 80);
  file_fault(items_line_, fmt::format("has items, and its kind is {}", kind), "write kind: List");
}

void Collector::finish_item() {
  in_item_ = false;
  // The second time round only items that say no kind themselves are new.
  if (list_ && item_.says_kind()) return;
  if (!list_ && !item_.says_kind() && root_.head().kind.empty()) {
    ++kindless_;
    return;
  }
  finish_object(item_);
}

void Collector::finish_object(const ObjectBuilder& builder) {
  Sort sort = sort_of(builder.head().api_version, builder.head().kind);
  if (is_list_kind(builder.head().kind))
    sort = {std::nullopt, "is a list inside a list", "put its items into the outer one"};
  if (sort.message.empty() && sort.kind) return read_object(builder, *sort.kind);
  if (sort.message.empty() && !builder.ambiguous()) {
    ++out_.skipped;
    return;
  }
  if (sort.message.empty()) sort.message = "says two kinds or versions";
  add_fault({.file = file_,
             .line = builder.line(),
             .object = label_of(builder, sort.kind),
             .message = sort.message,
             .hint = sort.hint});
  if (sort.kind) out_.refused.push_back(named(*sort.kind, Field(builder.tree(), 0)));
}

void Collector::read_object(const ObjectBuilder& builder, ObjectKey::Kind kind) {
  Reader reader(builder.tree(), file_, label_of(builder, kind));
  for (const ObjectBuilder::Problem& problem : builder.problems())
    reader.fault_at(problem.line, problem.field, problem.message, problem.hint);
  if (!reader.good()) {
    for (Fault& fault : reader.faults())
      add_fault(std::move(fault));
    out_.refused.push_back(named(kind, reader.root()));
    return;
  }
  Object object = read_kind(reader, kind);
  std::visit([&](auto& value) { value.origin = {file_, builder.line()}; }, object);
  keep(reader, std::move(object));
}

void Collector::keep(Reader& reader, Object object) {
  ObjectKey key = key_of(object);
  if (reader.good()) {
    const std::uint32_t line = origin_of(object).line;
    const auto [found, added] = lines_.emplace(describe(key), line);
    if (!added) {
      reader.fault_at(line, {}, fmt::format("is here a second time; the first is on line {}", found->second),
                      "keep one of the two; the first one holds");
    } else if (out_.objects.size() >= limits_.objects) {
      stopped_ = true;
      out_.complete = false;
      return file_fault(line, fmt::format("has more than {} objects; what follows is not read", limits_.objects), "");
    } else {
      out_.objects.push_back(std::move(object));
    }
  } else if (!key.name.empty()) {
    out_.refused.push_back(std::move(key));
  }
  for (Fault& fault : reader.faults())
    add_fault(std::move(fault));
}

Collector::Mark Collector::mark() const {
  return {out_.objects.size(), out_.refused.size(), out_.faults.size(), out_.skipped, lost_faults_};
}

void Collector::roll_back(const Mark& mark) {
  for (std::size_t i = mark.objects; i < out_.objects.size(); ++i)
    lines_.erase(describe(key_of(out_.objects[i])));
  out_.objects.erase(out_.objects.begin() + static_cast<std::ptrdiff_t>(mark.objects), out_.objects.end());
  out_.refused.resize(mark.refused);
  out_.faults.resize(mark.faults);
  out_.skipped = mark.skipped;
  lost_faults_ = mark.lost_faults;
}

void Collector::file_fault(std::uint32_t line, std::string message, std::string hint) {
  add_fault({.file = file_, .line = line, .message = std::move(message), .hint = std::move(hint)});
}

void Collector::add_fault(Fault fault) {
  if (out_.faults.size() < limits_.faults) {
    out_.faults.push_back(std::move(fault));
  } else {
    ++lost_faults_;
  }
}

void Collector::finish() {
  if (lost_faults_ == 0) return;
  out_.faults.push_back({.file = file_, .message = fmt::format("has {} more faults", lost_faults_)});
}

}  // namespace omnitide::policy
