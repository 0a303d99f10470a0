#include "agent/cni/node.hpp"

#include <unistd.h>

#include <cerrno>

#include "agent/cni/agent_call.hpp"
#include "agent/cni/guard.hpp"

namespace omnitide::cni {

namespace {

using namespace std::chrono_literals;

constexpr auto kForAnswer = 2s;  // beyond what the agent may wait
constexpr auto kForGone = 500ms;

}  // namespace

Result<Device> ThisNode::node_end(const std::string& netns, const std::string& interface) {
  return cni::node_end(netns, interface);
}

Result<> ThisNode::close(const std::string& pins, std::uint32_t ifindex) { return close_device(pins, ifindex); }
void ThisNode::open(const std::string& pins, std::uint32_t ifindex) { open_device(pins, ifindex); }
bool ThisNode::is_guarded(const std::string& pins, std::uint32_t ifindex) { return cni::is_guarded(pins, ifindex); }
void ThisNode::sweep(const std::string& pins) { cni::sweep(pins); }

Result<Answer> ThisNode::ask(const Settings& settings, const Sandbox& sandbox) {
  const Deadline patience = std::chrono::steady_clock::now() + settings.timeout;
  const std::string target =
      std::string(kAddPath) + "?timeout=" + std::to_string(std::chrono::milliseconds(settings.timeout).count());
  const Result<std::string> answer = post(settings.socket, target, to_json(sandbox), patience, patience + kForAnswer);
  if (answer.has_error()) return answer.error();
  return parse_answer(*answer);
}

void ThisNode::tell_gone(const Settings& settings, const Sandbox& sandbox) {
  const Deadline now = std::chrono::steady_clock::now();
  (void)post(settings.socket, kGonePath, to_json(sandbox), now, now + kForGone);
}

bool ThisNode::is_installed() { return ::access(own_path_.c_str(), F_OK) == 0 || errno != ENOENT; }

}  // namespace omnitide::cni
