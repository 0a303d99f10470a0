// Whether the wall clock can be believed.
#pragma once

namespace omnitide {

// Whether a time service keeps this machine's clock in step, as the kernel has it: adjtimex(2), which only reads here.
[[nodiscard]] bool clock_in_step();

}  // namespace omnitide
