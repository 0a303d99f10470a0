// How a document is written, whatever its form: the walk over a message (json.cpp) tells a DocumentWriter what stands
// there, and the writer knows the syntax. Inside of the room.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace omnitide::codec {

class DocumentWriter {
 public:
  DocumentWriter() = default;
  DocumentWriter(const DocumentWriter&) = delete;
  DocumentWriter& operator=(const DocumentWriter&) = delete;
  virtual ~DocumentWriter() = default;

  // `count` is how many entries follow before the matching end.
  virtual void begin_object(std::size_t count) = 0;
  virtual void key(std::string_view name) = 0;
  virtual void end_object() = 0;
  virtual void begin_list(std::size_t count) = 0;
  virtual void end_list() = 0;
  virtual void text(std::string_view value) = 0;
  virtual void literal(std::string_view value) = 0;  // number, true, false
  [[nodiscard]] virtual std::string take() = 0;      // the whole document; last call
};

class JsonWriter final : public DocumentWriter {
 public:
  explicit JsonWriter(bool pretty) : pretty_(pretty) {}
  void begin_object(std::size_t count) override { open('{', count); }
  void key(std::string_view name) override;
  void end_object() override { close('}'); }
  void begin_list(std::size_t count) override { open('[', count); }
  void end_list() override { close(']'); }
  void text(std::string_view value) override;
  void literal(std::string_view value) override;
  std::string take() override;

 private:
  void open(char bracket, std::size_t count);
  void close(char bracket);
  void separate();
  void break_line();

  std::string out_;
  std::size_t depth_ = 0;
  bool pretty_ = false, first_ = true, after_key_ = false;
};

// Block style; empty objects and lists in flow style. Text stands plain only where no YAML 1.1 or 1.2 reader takes it
// for anything else, and as a double-quoted scalar otherwise.
class YamlWriter final : public DocumentWriter {
 public:
  void begin_object(std::size_t count) override { open('{', count); }
  void key(std::string_view name) override;
  void end_object() override { levels_.pop_back(); }
  void begin_list(std::size_t count) override { open('[', count); }
  void end_list() override { levels_.pop_back(); }
  void text(std::string_view value) override;
  void literal(std::string_view value) override { scalar(value); }
  std::string take() override { return std::move(out_); }

 private:
  struct Level {
    char kind;  // '{' or '['
    std::size_t indent;
  };
  [[nodiscard]] bool in_list() const { return !levels_.empty() && levels_.back().kind == '['; }
  void open(char kind, std::size_t count);
  void scalar(std::string_view value);
  void start_line();

  std::string out_;
  std::vector<Level> levels_;
  bool on_dash_ = false;  // the line holds a "- " that waits for its first word
};

}  // namespace omnitide::codec
