#include "discovery/sources/cpuinfo.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <set>

#include "agent/base/text.hpp"
#include "discovery/sources/cpu_level.hpp"

namespace omnitide::discovery {

namespace {

constexpr std::size_t kMaxFlags = 1024;  // x86 knows about 500
constexpr std::size_t kMaxText = 256;    // of one value that becomes a fact

struct Block {
  std::optional<std::uint32_t> processor, physical_id, core_id, arm_implementer, arm_part;
  std::string_view arm_variant, arm_revision;
};

struct State {
  Cpuinfo info;
  std::set<std::uint32_t> sockets;
  std::set<std::pair<std::uint32_t, std::uint32_t>> cores;
};

void take_text(std::string& field, std::string_view value) {
  if (field.empty()) field = printable(value.substr(0, kMaxText));
}

void take_flags(Cpuinfo& info, std::string_view value) {
  if (!info.flags.empty()) return;
  for (const std::string_view word : split_words(value)) {
    if (info.flags.size() >= kMaxFlags) break;
    if (word.size() <= 64) info.flags.push_back(printable(word));
  }
  std::sort(info.flags.begin(), info.flags.end());
  info.flags.erase(std::unique(info.flags.begin(), info.flags.end()), info.flags.end());
}

void take_megahertz(Cpuinfo& info, const Block& block, std::string_view value) {
  value = value.substr(0, value.find_first_not_of("0123456789."));  // ppc writes "3800.000000MHz"
  double megahertz = 0;
  const auto [end, problem] = std::from_chars(value.data(), value.data() + value.size(), megahertz);
  if (problem != std::errc{} || !block.processor || !(megahertz > 0) || megahertz > 1e6) return;
  info.hertz.emplace_back(*block.processor, megahertz * 1e6);
}

void take_line(Cpuinfo& info, Block& block, std::string_view key, std::string_view value) {
  if (key == "processor") {
    block.processor = parse_number<std::uint32_t>(value);
  } else if (key == "physical id") {
    block.physical_id = parse_number<std::uint32_t>(value);
  } else if (key == "core id") {
    block.core_id = parse_number<std::uint32_t>(value);
  } else if (key == "vendor_id" || key == "mvendorid") {
    take_text(info.vendor, value);
  } else if (key == "model name" || key == "cpu" || key == "uarch") {
    take_text(info.model, value);
  } else if (key == "cpu family" || key == "CPU architecture") {
    take_text(info.family, value);
  } else if (key == "model") {
    take_text(info.model_id, value);
  } else if (key == "stepping" || key == "revision") {
    take_text(info.stepping, value);
  } else if (key == "microcode") {
    take_text(info.microcode, value);
  } else if (key == "flags" || key == "Features" || key == "isa") {
    take_flags(info, value);
  } else if (key == "cpu MHz" || key == "clock") {
    take_megahertz(info, block, value);
  } else if (key == "CPU implementer") {
    block.arm_implementer = parse_number<std::uint32_t>(value, 16);
  } else if (key == "CPU part") {
    block.arm_part = parse_number<std::uint32_t>(value, 16);
  } else if (key == "CPU variant") {
    block.arm_variant = value;
  } else if (key == "CPU revision") {
    block.arm_revision = value;
  }
}

void end_block(State& state, const Block& block) {
  Cpuinfo& info = state.info;
  if (!block.processor) return;
  ++info.processors;
  if (block.physical_id) {
    state.sockets.insert(*block.physical_id);
    if (block.core_id) state.cores.emplace(*block.physical_id, *block.core_id);
  }
  if (!block.arm_implementer || !block.arm_part) return;
  const ArmPart part{*block.arm_implementer, *block.arm_part};
  if (info.arm_parts.empty()) {
    take_text(info.model_id, fmt::format("{:#x}", part.part));
    const std::optional<unsigned> variant = parse_number<unsigned>(block.arm_variant, 16);
    if (variant) take_text(info.stepping, fmt::format("r{}p{}", *variant, block.arm_revision));
  }
  if (std::find(info.arm_parts.begin(), info.arm_parts.end(), part) == info.arm_parts.end() &&
      info.arm_parts.size() < 16) {
    info.arm_parts.push_back(part);
  }
}

// On Arm the kernel prints numbers; the names are those of the Technical Reference Manuals.
void name_arm(Cpuinfo& info) {
  if (info.arm_parts.empty()) return;
  info.vendor = arm_vendor(info.arm_parts.front().implementer);
  std::string model;
  for (const ArmPart& part : info.arm_parts) {
    const std::string_view name = arm_model(part);
    if (name.empty()) continue;
    if (!model.empty()) model += " + ";
    model += name;
  }
  if (!model.empty()) info.model = model;
}

}  // namespace

bool Cpuinfo::has_flag(std::string_view flag) const { return std::binary_search(flags.begin(), flags.end(), flag); }

Cpuinfo parse_cpuinfo(std::string_view text, bool truncated) {
  State state;
  Block block;
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    if (end == std::string_view::npos && truncated) break;
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    const std::size_t colon = line.find(':');
    const std::string_view key = trim(line.substr(0, colon));
    if (key == "processor" && block.processor) {  // 32-bit Arm kernels before 3.8 put no blank line between
      end_block(state, block);
      block = {};
    }
    if (colon != std::string_view::npos) {
      take_line(state.info, block, key, trim(line.substr(colon + 1)));
    } else if (key.empty()) {
      end_block(state, block);
      block = {};
    }
  }
  if (!truncated) end_block(state, block);
  name_arm(state.info);
  state.info.sockets = static_cast<std::uint32_t>(state.sockets.size());
  state.info.cores = static_cast<std::uint32_t>(state.cores.size());
  return std::move(state.info);
}

std::string architecture_of(const Cpuinfo& info) {
  if (info.has_flag("lm")) return "x86_64";
  if (info.has_flag("fpu")) return "i686";
  if (!info.arm_parts.empty()) return info.family == "8" || info.family == "AArch64" ? "aarch64" : "armv7l";
  if (!info.flags.empty() && info.flags.front().starts_with("rv64")) return "riscv64";
  if (info.model.starts_with("POWER")) return "ppc64le";
  return {};
}

}  // namespace omnitide::discovery
