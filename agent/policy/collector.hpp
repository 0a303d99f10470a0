// From the events of one document to objects: finds the objects in it, a list's items one at a time, and has each read.
// Inside this room only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <unordered_map>

#include "agent/policy/builder.hpp"
#include "agent/policy/events.hpp"
#include "agent/policy/fields.hpp"
#include "agent/policy/parse.hpp"

namespace omnitide::policy {

class Collector final : public Events {
 public:
  Collector(Parsed& out, const std::string& file, const ParseLimits& limits);

  // A document begins. With `list`, it is read a second time and only its items without a kind count: they have the
  // kind of the list, which stood behind them.
  void begin_document(std::optional<Head> list = std::nullopt);
  // Takes back all that the document gave since begin_document.
  void abandon_document();
  // Nothing, or the kind of the list whose items had none yet: the document is to be read again.
  [[nodiscard]] std::optional<Head> end_document();

  void open_map(std::uint32_t line) override;
  void open_list(std::uint32_t line) override;
  void close() override;
  void scalar(std::uint32_t line, std::string_view text, Style style) override;
  void odd(std::uint32_t line, std::string_view what) override;
  [[nodiscard]] bool stopped() const override { return stopped_; }

  // A fault of the file itself, or of something in it that is no object.
  void file_fault(std::uint32_t line, std::string message, std::string hint);
  // The last word about faults beyond the limit.
  void finish();

 private:
  struct Mark {
    std::size_t objects = 0, refused = 0, faults = 0, skipped = 0, lost_faults = 0;
  };

  [[nodiscard]] ObjectBuilder& target() { return in_item_ ? item_ : root_; }
  [[nodiscard]] bool awaits_items() const { return depth_ == 1 && root_.awaits_value_of() == "items"; }
  [[nodiscard]] Head list_head() const;
  [[nodiscard]] Mark mark() const;
  void roll_back(const Mark& mark);
  void no_object(std::uint32_t line);
  void finish_root();
  void finish_item();
  void finish_object(const ObjectBuilder& builder);
  void read_object(const ObjectBuilder& builder, ObjectKey::Kind kind);
  void keep(Reader& reader, Object object);
  void add_fault(Fault fault);

  Parsed& out_;
  const std::string& file_;
  const ParseLimits& limits_;
  ObjectBuilder root_, item_;
  std::unordered_map<std::string, std::uint32_t> lines_;  // of good objects, by what describes them
  Mark begin_;
  std::optional<Head> list_;
  std::size_t depth_ = 0, lost_faults_ = 0, kindless_ = 0;
  std::uint32_t items_line_ = 0;
  bool in_items_ = false, in_item_ = false, has_items_ = false, ignored_ = false, stopped_ = false;
};

}  // namespace omnitide::policy
