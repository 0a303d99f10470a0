// Typed reading of one object's tree: each value of the wrong type, and each unknown name, is a fault with its line and
// path. What is null counts as absent, as in the API. Inside this room only.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/policy/parse.hpp"
#include "agent/policy/tree.hpp"

namespace omnitide::policy {

// A value of the tree, or nothing. Cheap to copy; valid as long as the tree.
class Field {
 public:
  Field() = default;
  Field(const Tree& tree, std::uint32_t index) : tree_(&tree), index_(index) {}

  // There is a value, and it is not null.
  [[nodiscard]] explicit operator bool() const { return tree_ != nullptr && node().kind != Tree::Kind::null; }
  [[nodiscard]] bool is_map() const { return tree_ != nullptr && node().kind == Tree::Kind::map; }
  [[nodiscard]] bool is_list() const { return tree_ != nullptr && node().kind == Tree::Kind::list; }
  [[nodiscard]] bool is_scalar() const { return tree_ != nullptr && node().kind == Tree::Kind::scalar; }
  [[nodiscard]] bool is_plain() const { return node().plain; }
  [[nodiscard]] std::uint32_t line() const { return tree_ == nullptr ? 0 : node().line; }
  [[nodiscard]] std::string path() const { return tree_ == nullptr ? std::string{} : tree_->path(index_); }
  [[nodiscard]] std::string_view word() const { return tree_->text(index_); }  // of a scalar
  [[nodiscard]] std::string_view key() const { return tree_->key(index_); }    // of a map's entry
  [[nodiscard]] std::size_t size() const { return is_map() || is_list() ? node().size : 0; }
  [[nodiscard]] Field operator[](std::string_view key) const;  // of a map

  class Iterator {
   public:
    Iterator(const Tree* tree, std::uint32_t index) : tree_(tree), index_(index) {}
    Field operator*() const { return {*tree_, index_}; }
    Iterator& operator++() {
      index_ = tree_->node(index_).next;
      return *this;
    }
    bool operator==(const Iterator&) const = default;

   private:
    const Tree* tree_;
    std::uint32_t index_;
  };
  // The entries of a map or a list, nulls too; none of anything else.
  [[nodiscard]] Iterator begin() const { return {tree_, size() > 0 ? node().begin : Tree::kNone}; }
  [[nodiscard]] Iterator end() const { return {tree_, Tree::kNone}; }

 private:
  [[nodiscard]] const Tree::Node& node() const { return tree_->node(index_); }
  const Tree* tree_ = nullptr;
  std::uint32_t index_ = Tree::kNone;
};

// Collects what is wrong with one object.
class Reader {
 public:
  // `file` and `object` go into each fault.
  Reader(const Tree& tree, std::string file, std::string object);

  [[nodiscard]] Field root() const { return {tree_, 0}; }
  [[nodiscard]] bool good() const { return good_; }
  [[nodiscard]] std::vector<Fault>& faults() { return faults_; }
  [[nodiscard]] const std::string& file() const { return file_; }

  void fault(const Field& at, std::string message, std::string hint = {});
  void fault_at(std::uint32_t line, std::string field, std::string message, std::string hint = {});
  void missing(const Field& parent, std::string_view name, std::string hint = {});
  void remark(const Field& at, std::string message, std::string hint = {});  // does not make the object wrong

  // Each is a fault when there is a value of another type; absent and null are neither.
  [[nodiscard]] bool map(const Field& field);
  [[nodiscard]] bool list(const Field& field);
  [[nodiscard]] std::optional<std::string_view> text(const Field& field);
  [[nodiscard]] std::optional<bool> truth(const Field& field);
  [[nodiscard]] std::optional<std::int64_t> number(const Field& field, std::int64_t least, std::int64_t most);
  // A map whose entries all have one of these names.
  [[nodiscard]] bool map_of(const Field& field, std::initializer_list<std::string_view> names);
  // A list without nulls and with at most `most` items.
  [[nodiscard]] bool full_list(const Field& field, std::size_t most);

 private:
  void wrong_type(const Field& at, std::string_view wanted);
  void add(Fault fault);

  const Tree& tree_;
  std::string file_, object_;
  std::vector<Fault> faults_;
  bool good_ = true;
};

}  // namespace omnitide::policy
