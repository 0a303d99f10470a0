// All objects that hold now, from several sources: files, the registry, later the Kubernetes API. Plain values, no I/O.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
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

class Store {
 public:
  // Replaces all that these sources say, as one step: an object that moves from one to another is no removal. An object
  // that a source now says wrongly, and said well before, keeps its last good version, and a fault says so.
  [[nodiscard]] Changes apply(std::vector<SourceUpdate> updates);

  [[nodiscard]] ObjectRef find(const ObjectKey& key) const;  // null when there is none
  [[nodiscard]] std::vector<ObjectRef> objects() const;      // sorted by key
  [[nodiscard]] std::size_t size() const { return held_.size(); }
  [[nodiscard]] std::size_t skipped() const;  // objects of other kinds, of all sources
  // Of all sources in their order: what their text had, objects that another source said first, and old versions kept.
  [[nodiscard]] std::vector<Fault> faults() const;

 private:
  struct Claim {
    const Source* source = nullptr;  // key of sources_
    ObjectRef object;
  };
  struct Content {
    std::vector<ObjectKey> keys;  // sorted
    std::vector<Fault> faults;
    std::size_t skipped = 0;
  };
  std::map<Source, Content> sources_;
  std::map<ObjectKey, std::vector<Claim>> held_;  // claims sorted by source; the first one holds
};

}  // namespace omnitide::policy
