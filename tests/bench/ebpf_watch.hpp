// Who watches a load of tests/bench/ebpf_overhead.cpp.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "ebpf/collectors/catalogue.hpp"
#include "ebpf/collectors/object.hpp"

namespace omnitide::bench {

// While it lives: all collectors, those of a list "a,b", or, by the word "empty", programs that do nothing in the same
// places. Throws when one of them is off.
class Watch {
 public:
  explicit Watch(std::string_view which);
  // Collectors that work in another way than their best: "ebpf.dns by cgroup_skb, ...".
  [[nodiscard]] std::vector<std::string> others() const;

 private:
  std::vector<collectors::EbpfCollector> collectors_;
  std::unique_ptr<collectors::Object> empty_;
};

// Whether a list "a,b" has this; an empty one has all.
[[nodiscard]] bool has(std::string_view list, std::string_view name);

// Whether programs of the collectors are in the kernel: another process' too, or this one's that the kernel still
// frees.
[[nodiscard]] bool somebody_watches();

}  // namespace omnitide::bench
