// `top --bpf`: what every eBPF program of the machine costs, measured on demand.
#pragma once

#include <chrono>
#include <span>
#include <string>

#include "agent/cli/session.hpp"
#include "ebpf/collectors/run_time.hpp"

namespace omnitide::cli {

// A line a program, the costliest first, and what they cost together.
[[nodiscard]] std::string bpf_text(std::span<const collectors::ProgramTime> programs,
                                   std::chrono::milliseconds duration, const Console& console);

// Measures for that long and prints. Returns the exit code.
[[nodiscard]] int show_bpf(const Session& session, std::chrono::milliseconds duration);

}  // namespace omnitide::cli
