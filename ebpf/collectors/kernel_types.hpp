// What the running kernel's BTF says about its tracepoints and enumerations.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "agent/base/error.hpp"

namespace omnitide::collectors {

class KernelTypes {
 public:
  // Some megabytes while it lives. failed_precondition: the kernel has no BTF.
  [[nodiscard]] static Result<KernelTypes> open();
  KernelTypes(KernelTypes&&) noexcept;
  ~KernelTypes();

  // How many arguments a tracepoint gives to programs; 0: there is no such tracepoint.
  [[nodiscard]] unsigned arguments(std::string_view tracepoint) const;
  // The number of a function's type, which a program names that is attached to it; 0: there is none.
  [[nodiscard]] std::uint32_t function(std::string_view name) const;
  [[nodiscard]] bool has_field(std::string_view type, std::string_view field) const;
  // By value; empty when the kernel has no such enumeration.
  [[nodiscard]] std::map<std::uint32_t, std::string> enumeration(std::string_view name) const;

 private:
  struct State;
  explicit KernelTypes(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace omnitide::collectors
