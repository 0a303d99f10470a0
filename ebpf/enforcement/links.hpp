// Which programs are attached where: kept in step with what is wanted, by as few calls as possible. A link is pinned
// and has no open descriptor, so that a node with a thousand pods needs none for them.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "agent/base/error.hpp"
#include "ebpf/enforcement/faults.hpp"
#include "ebpf/enforcement/object.hpp"
#include "ebpf/enforcement/options.hpp"
#include "ebpf/enforcement/pins.hpp"

namespace omnitide::enforcement {

class Links {
 public:
  // Reads what earlier processes attached: pins, and on `devices` filters of clsact. Pins whose device is gone are
  // removed.
  [[nodiscard]] static Result<Links> open(const Pins& pins, AttachBy by, const std::set<std::uint32_t>& devices,
                                          std::shared_ptr<Faults> faults);

  // Attaches the program, or switches what is attached to it, in place. not_found: the device is gone. A new tcx link
  // costs a grace period of the kernel (some 10 ms), a switch a few microseconds.
  [[nodiscard]] Result<> set(const LinkKey& key, const LoadedProgram& program);
  // What others attached to keep a device closed until it is ours: set() puts the program in its place.
  void set_guards(std::set<LinkKey> guards) { guards_ = std::move(guards); }
  [[nodiscard]] const std::set<LinkKey>& guards() const { return guards_; }
  [[nodiscard]] Result<> set_cgroup(const std::string& folder, const LoadedProgram& program);
  [[nodiscard]] Result<> clear(const LinkKey& key);
  // The device is gone, and with it what was attached to it: only the pins are left.
  void forget(std::uint32_t ifindex);
  // Links whose device went unnoticed are forgotten; their devices.
  [[nodiscard]] std::set<std::uint32_t> verify();

  [[nodiscard]] bool has(const LinkKey& key) const { return all_.contains(key); }
  [[nodiscard]] std::vector<LinkKey> keys() const;
  [[nodiscard]] std::string_view attached_by() const;  // "tcx", "clsact", or empty while nothing is attached

 private:
  struct Attached {
    std::string path;  // empty: a filter of clsact
    std::uint32_t program = 0;
    bool ours = true;
  };

  Links(const Pins& pins, AttachBy by, std::shared_ptr<Faults> faults)
      : pins_(pins), by_(by), faults_(std::move(faults)) {}
  void load(const PinnedLink& link);
  [[nodiscard]] Result<> change(const LinkKey& key, Attached& attached, const LoadedProgram& program);
  [[nodiscard]] Result<> attach(const LinkKey& key, const LoadedProgram& program);
  [[nodiscard]] Result<> set_own(const LinkKey& key, const LoadedProgram& program);
  [[nodiscard]] bool take_guard(const LinkKey& key, const LoadedProgram& program);
  [[nodiscard]] Result<> keep(const LinkKey& key, const UniqueFd& link, const LoadedProgram& program);

  Pins pins_;
  AttachBy by_;
  std::shared_ptr<Faults> faults_;
  std::map<LinkKey, Attached> all_;
  std::set<LinkKey> guards_;
};

}  // namespace omnitide::enforcement
