// Text of Kubernetes objects, YAML or JSON, into the values of objects.hpp: checked as the API server checks them, its
// defaults applied. What `kubectl get ns,pods,netpol -A -o yaml` prints is valid as it is.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "agent/policy/objects.hpp"

namespace omnitide::policy {

// What is wrong, or worth a word, about an object or a file.
struct Fault {
  std::string file;
  std::uint32_t line = 0;         // 1-based; 0: the file as a whole
  std::string object{};           // "NetworkPolicy shop/web"; empty: the file
  std::string field{};            // "spec.ingress[0].ports[1].endPort"; empty: the object as a whole
  std::string message{}, hint{};  // sentences without a full stop; `hint` says what to do and may be empty
  bool applied = false;           // a remark only: the object holds all the same
  bool operator==(const Fault&) const = default;
  // "web.yaml:12: NetworkPolicy shop/web: spec.ingress[0]: message (hint)", on one line and safe to print.
  [[nodiscard]] std::string text() const;
};

struct ParseLimits {
  std::size_t bytes = 64U << 20U;         // of the text
  std::size_t objects = 200'000;          // of the kinds that policy is made of
  std::size_t object_bytes = 16U << 20U;  // of the words of one object
  std::size_t object_values = 500'000;    // scalars, lists and maps of one object
  std::size_t depth = 64;                 // nesting
  std::size_t faults = 500;               // what goes beyond is counted in one last fault
};

struct Parsed {
  std::vector<Object> objects;     // good ones, in the order of the text, each key once
  std::vector<ObjectKey> refused;  // wrong ones whose name could be read
  std::vector<Fault> faults;
  std::size_t skipped = 0;  // objects of kinds that policy has no use for
  bool complete = true;     // false: the text ends early for the parser; a fault says what was not read
};

// Never throws but for want of memory. An object is applied whole or not at all; the others are not touched by it.
// Memory beyond the result: one object at a time.
[[nodiscard]] Parsed parse(std::string_view text, const std::string& file, const ParseLimits& limits = {});

}  // namespace omnitide::policy
