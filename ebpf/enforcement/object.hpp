// The compiled programs of ebpf/programs/policy.bpf.c in the kernel, with maps of the sizes that the options ask for.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

#include "agent/base/error.hpp"
#include "agent/base/fd.hpp"
#include "ebpf/enforcement/maps.hpp"
#include "ebpf/enforcement/options.hpp"

namespace omnitide::enforcement {

enum class Program : std::uint8_t { from_endpoint, to_endpoint, leave, enter, deliver, xdp_deny };
inline constexpr std::array<std::string_view, 6> kProgramNames{
    "policy_from_endpoint", "policy_to_endpoint", "policy_leave", "policy_enter", "policy_deliver", "policy_xdp_deny"};

struct LoadedProgram {
  UniqueFd fd;  // empty: not loaded, as xdp_deny unless it is asked for
  std::uint32_t id = 0;
};

class Programs {
 public:
  [[nodiscard]] LoadedProgram& operator[](Program program) { return all_[static_cast<std::size_t>(program)]; }
  [[nodiscard]] const LoadedProgram& operator[](Program program) const {
    return all_[static_cast<std::size_t>(program)];
  }

 private:
  std::array<LoadedProgram, kProgramNames.size()> all_;
};

struct Object {
  Maps maps;
  Programs programs;
};

// The shape that each map will have; known without the kernel.
[[nodiscard]] Result<std::array<MapShape, kTables>> wanted_shapes(const Options& options);

// Loads programs and maps; what the kernel's verifier says becomes part of the error. Blocks for as long as the
// verifier takes, some 100 ms to 1 s. Needs CAP_BPF, CAP_NET_ADMIN and, for the LPM maps before Linux 5.11, enough
// locked memory.
[[nodiscard]] Result<Object> load_object(const Options& options, const Shared& shared, std::shared_ptr<Faults> faults);

}  // namespace omnitide::enforcement
