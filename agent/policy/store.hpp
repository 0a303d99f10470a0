// All objects that hold now, from several sources: files, the registry, later the Kubernetes API. Plain values, no I/O.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "agent/policy/changes.hpp"
#include "agent/policy/parse.hpp"

namespace omnitide::policy {

// Who says an object. Where two say the same key, the lower rank wins, then the name that sorts first.
struct Source {
  std::uint8_t rank = 0;
  std::string name;  // a file's path, "registry"
  auto operator<=>(const Source&) const = default;
};

// What a source says now.
struct SourceUpdate {
  Source source;
  std::optional<Parsed> content;  // nothing: the source is gone
};

// The same kind, name and everything that a verdict depends on; where it was written does not count.
[[nodiscard]] bool same_content(const Object& a, const Object& b);

class Store {
 public:
  Store() = default;
  Store(Store&&) = default;
  Store& operator=(Store&&) = default;
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;
  ~Store() = default;

  // Replaces all that these sources say, as one step: an object that moves from one to another is no removal. The last
  // good word of a source holds where it went wrong: for an object that it now says wrongly, and for all of them when
  // its text could not be read to the end. A fault says so.
  [[nodiscard]] Changes apply(std::vector<SourceUpdate> updates);

  [[nodiscard]] ObjectRef find(const ObjectKey& key) const;  // null when there is none
  [[nodiscard]] std::vector<ObjectRef> objects() const;      // sorted by key
  [[nodiscard]] std::size_t size() const { return held_.size(); }
  [[nodiscard]] std::size_t skipped() const;  // objects of other kinds, of all sources
  // Of all sources in their order: what their text had, old versions kept, and objects that another source said first.
  [[nodiscard]] std::vector<Fault> faults() const;

 private:
  struct Claim {
    const Source* source = nullptr;  // key of sources_
    ObjectRef object;
  };
  struct Entry {
    std::vector<Claim> claims;  // sorted by source; the first one holds
    ObjectRef before;           // while sources are replaced: what held
    bool touched = false;
  };
  using Held = std::map<ObjectKey, Entry>;
  struct Content {
    std::vector<Held::iterator> entries;  // that have a claim of this source, each once
    std::vector<Fault> faults;
    std::size_t skipped = 0;
  };

  void replace(const Source& source, Content& content, Parsed parsed, std::vector<Held::iterator>& touched);
  void claim(const Source& source, Object object, std::vector<Held::iterator>& touched, Content& content);
  void drop(const Source& source, Held::iterator entry, std::vector<Held::iterator>& touched);
  static void touch(Held::iterator entry, std::vector<Held::iterator>& touched);
  [[nodiscard]] Changes settle(const std::vector<Held::iterator>& touched);

  std::map<Source, Content> sources_;
  Held held_;
  // What faults() has to look at, of thousands of sources that are right: asked after each change.
  std::set<Source> faulty_;
  std::set<ObjectKey> contested_;  // that several sources say
};

}  // namespace omnitide::policy
