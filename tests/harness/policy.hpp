// Policy objects from text, for tests.
#pragma once

#include <algorithm>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "agent/base/address.hpp"
#include "agent/policy/parse.hpp"

namespace omnitide::test {

inline constexpr const char* kFile = "f.yaml";

// "12: NetworkPolicy shop/web: spec.ingress[0]: message (hint)", those of remarks with "note " in front.
inline std::vector<std::string> texts(const std::vector<policy::Fault>& faults) {
  std::vector<std::string> out;
  for (const policy::Fault& fault : faults) {
    std::string text = fault.text();
    if (text.starts_with("f.yaml")) text.erase(0, text.starts_with("f.yaml:") ? 7 : 6);
    if (text.starts_with(" ")) text.erase(0, 1);
    out.push_back((fault.applied ? "note " : "") + text);
  }
  return out;
}

inline std::vector<std::string> faults_of(std::string_view text) { return texts(policy::parse(text, kFile).faults); }

// The one object of a text that must be right; throws with the faults otherwise.
template <class T>
[[nodiscard]] T only(std::string_view text) {
  policy::Parsed parsed = policy::parse(text, kFile);
  if (parsed.objects.size() != 1 || !parsed.refused.empty()) {
    std::string what = std::to_string(parsed.objects.size()) + " objects";
    for (const std::string& fault : texts(parsed.faults))
      what += "\n" + fault;
    throw std::runtime_error(what);
  }
  return std::get<T>(std::move(parsed.objects.front()));
}

inline std::vector<std::string> names(const std::vector<policy::Object>& objects) {
  std::vector<std::string> out;
  for (const policy::Object& object : objects)
    out.push_back(policy::describe(policy::key_of(object)));
  return out;
}

inline Prefix prefix(std::string_view text) {
  const auto parsed = parse_prefix(text);
  if (!parsed) throw std::runtime_error("no prefix: " + std::string(text));
  return *parsed;
}
inline Address address(std::string_view text) {
  const auto parsed = parse_address(text);
  if (!parsed) throw std::runtime_error("no address: " + std::string(text));
  return *parsed;
}

}  // namespace omnitide::test
