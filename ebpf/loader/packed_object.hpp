// The compiled BPF programs lie in the program as gzip makes them: a fifth of their size, most of which is types for
// CO-RE.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "agent/base/error.hpp"

namespace omnitide::ebpf {

// One object file in gzip's form (RFC 1952), in static storage; its header "ebpf/programs/NAME.bpf.hpp" gives it.
struct PackedObject {
  std::span<const std::byte> gzip;
};

// The ELF file itself. libbpf needs it only until the object is open. Fails with internal when the bytes are damaged.
[[nodiscard]] Result<std::vector<std::byte>> unpack(PackedObject object);

}  // namespace omnitide::ebpf
