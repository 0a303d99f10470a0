#include "ebpf/enforcement/links.hpp"

#include <bpf/bpf.h>
#include <fcntl.h>

#include <cerrno>
#include <utility>

#include "ebpf/enforcement/hooks.hpp"

namespace omnitide::enforcement {

namespace {

Result<UniqueFd> open_pin(const std::string& path) {
  const int fd = bpf_obj_get(path.c_str());
  if (fd < 0) return fail_errno(-fd, "cannot open " + path);
  return UniqueFd(fd);
}

bool is_tc(Hook hook) { return hook == Hook::in || hook == Hook::out; }

}  // namespace

Result<Links> Links::open(const Pins& pins, AttachBy by, const std::set<std::uint32_t>& devices,
                          std::shared_ptr<Faults> faults) {
  Links out(pins, by, std::move(faults));
  for (const PinnedLink& link : pins.links())
    out.load(link);
  for (const std::uint32_t ifindex : devices) {
    for (const Hook hook : {Hook::in, Hook::out}) {
      const LinkKey key{ifindex, hook};
      if (out.has(key)) continue;
      const Result<std::optional<std::uint32_t>> program = find_clsact(key);
      if (program && *program) out.all_[key] = {.path = {}, .program = **program, .ours = true};
    }
  }
  return out;
}

void Links::load(const PinnedLink& link) {
  const Result<UniqueFd> fd = open_pin(link.path);
  if (fd.has_error()) return;
  const Result<LinkFacts> facts = link_facts(fd->get(), link.key.hook);
  if (facts.has_error()) return;
  if (facts->detached) {
    (void)pins_.remove(link.path);
    return;
  }
  // Of two versions' pins for one place, ours stays known; the other goes with its folder.
  const auto [found, fresh] = all_.try_emplace(link.key);
  if (fresh || link.ours) found->second = {.path = link.path, .program = facts->program, .ours = link.ours};
}

Result<> Links::set(const LinkKey& key, const LoadedProgram& program) {
  if (!guards_.contains(key)) return set_own(key, program);
  // A guard that is a filter has taken the place of ours.
  if (const auto found = all_.find(key); found != all_.end() && found->second.path.empty()) found->second.program = 0;
  Result<> done = !has(key) && take_guard(key, program) ? Result<>() : set_own(key, program);
  if (done.has_error()) return done;
  guards_.erase(key);
  // It was not taken: ours was there already, or it is a filter. Detached at once, which the loss of its pin is not.
  const std::string path = pins_.guard_path(key);
  if (const Result<UniqueFd> link = open_pin(path)) (void)detach_link(link->get());
  return pins_.remove(path);
}

// The guard's link becomes ours, with another program. False: it is no link, is that of a device that is gone, or
// whoever made it was faster.
bool Links::take_guard(const LinkKey& key, const LoadedProgram& program) {
  const std::string path = pins_.guard_path(key);
  const Result<UniqueFd> link = open_pin(path);
  if (link.has_error() || faults_->step().has_error()) return false;
  if (switch_link(link->get(), program.fd.get()).has_error()) return false;
  if (pins_.adopt({.key = key, .path = path, .ours = false}).has_error()) return false;
  all_[key] = {.path = pins_.link_path(key), .program = program.id, .ours = true};
  return true;
}

Result<> Links::set_own(const LinkKey& key, const LoadedProgram& program) {
  const auto found = all_.find(key);
  if (found == all_.end()) return attach(key, program);
  Result<> done = change(key, found->second, program);
  if (done.has_value() || done.error().code != Code::not_found) return done;
  // The device may be another one with the same index.
  forget(key.ifindex);
  return attach(key, program);
}

Result<> Links::change(const LinkKey& key, Attached& attached, const LoadedProgram& program) {
  if (attached.path.empty()) {
    if (by_ !=
        AttachBy::clsact) {  // the kernel, or what is asked for, has changed: in front of the filter, then without
      Result<> done = attach(key, program);
      if (done && !all_[key].path.empty()) done = detach_clsact(key);
      return done;
    }
    if (attached.program == program.id) return {};
    if (Result<> alive = faults_->step(); alive.has_error()) return alive;
    Result<> done = attach_clsact(program.fd.get(), key);
    if (done) attached.program = program.id;
    return done;
  }
  if (attached.program != program.id) {
    const Result<UniqueFd> link = open_pin(attached.path);
    if (link.has_error()) return link.error();
    if (Result<> alive = faults_->step(); alive.has_error()) return alive;
    if (Result<> done = switch_link(link->get(), program.fd.get()); done.has_error()) return done;
    attached.program = program.id;
  }
  if (attached.ours) return {};
  Result<> adopted = pins_.adopt({.key = key, .path = attached.path, .ours = false});
  if (adopted) attached = {.path = pins_.link_path(key), .program = program.id, .ours = true};
  return adopted;
}

Result<> Links::attach(const LinkKey& key, const LoadedProgram& program) {
  if (Result<> alive = faults_->step(); alive.has_error()) return alive;
  if (key.hook == Hook::xdp) {
    const Result<UniqueFd> link = attach_xdp(program.fd.get(), key.ifindex);
    return link ? keep(key, *link, program) : link.error();
  }
  if (by_ != AttachBy::clsact) {
    const Result<UniqueFd> link = attach_tcx(program.fd.get(), key);
    if (link) return keep(key, *link, program);
    if (by_ == AttachBy::tcx || link.error().code != Code::unimplemented) return link.error();
    by_ = AttachBy::clsact;
  }
  Result<> done = attach_clsact(program.fd.get(), key);
  if (done) all_[key] = {.path = {}, .program = program.id, .ours = true};
  return done;
}

Result<> Links::keep(const LinkKey& key, const UniqueFd& link, const LoadedProgram& program) {
  Result<> pinned = pins_.pin_link(link.get(), key);
  if (pinned) all_[key] = {.path = pins_.link_path(key), .program = program.id, .ours = true};
  return pinned;
}

Result<> Links::set_cgroup(const std::string& folder, const LoadedProgram& program) {
  const LinkKey key{0, Hook::cgroup};
  const auto found = all_.find(key);
  if (found != all_.end()) {
    Result<> done = change(key, found->second, program);
    if (done.has_value() || done.error().code != Code::not_found) return done;
    (void)pins_.remove(found->second.path);
    all_.erase(found);
  }
  const UniqueFd cgroup(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!cgroup) return fail_errno(errno, "cannot open " + folder);
  if (Result<> alive = faults_->step(); alive.has_error()) return alive;
  const Result<UniqueFd> link = attach_cgroup(program.fd.get(), cgroup.get());
  return link ? keep(key, *link, program) : link.error();
}

Result<> Links::clear(const LinkKey& key) {
  const auto found = all_.find(key);
  if (found == all_.end()) return {};
  const std::string path = found->second.path;
  if (Result<> alive = faults_->step(); alive.has_error()) return alive;
  if (path.empty()) {
    if (Result<> done = detach_clsact(key); done.has_error()) return done;
  } else {
    if (const Result<UniqueFd> link = open_pin(path)) {
      if (Result<> done = detach_link(link->get()); done.has_error()) return done;
    }
    if (Result<> done = pins_.remove(path); done.has_error()) return done;
  }
  all_.erase(found);
  return {};
}

void Links::forget(std::uint32_t ifindex) {
  for (const Hook hook : {Hook::in, Hook::out, Hook::xdp}) {
    const auto found = all_.find({ifindex, hook});
    if (found == all_.end()) continue;
    if (!found->second.path.empty()) (void)pins_.remove(found->second.path);
    all_.erase(found);
  }
}

std::set<std::uint32_t> Links::verify() {
  std::set<std::uint32_t> gone;
  for (const auto& [key, attached] : all_) {
    if (!is_tc(key.hook)) continue;
    if (attached.path.empty()) {
      const Result<std::optional<std::uint32_t>> program = find_clsact(key);
      if (program && !*program) gone.insert(key.ifindex);
      continue;
    }
    const Result<UniqueFd> fd = open_pin(attached.path);
    const Result<LinkFacts> facts = fd ? link_facts(fd->get(), key.hook) : Result<LinkFacts>(fd.error());
    if (facts.has_error() || facts->detached) gone.insert(key.ifindex);
  }
  for (const std::uint32_t ifindex : gone)
    forget(ifindex);
  return gone;
}

std::vector<LinkKey> Links::keys() const {
  std::vector<LinkKey> out;
  for (const auto& [key, attached] : all_)
    out.push_back(key);
  return out;
}

std::string_view Links::attached_by() const {
  for (const auto& [key, attached] : all_) {
    if (is_tc(key.hook)) return attached.path.empty() ? "clsact" : "tcx";
  }
  return {};
}

}  // namespace omnitide::enforcement
