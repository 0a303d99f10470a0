// What the plugin does when a runtime calls it. The kernel and the agent stand behind an interface, so that each of
// their failures can be played.
#pragma once

#include <string>

#include "agent/base/error.hpp"
#include "agent/cni/device.hpp"
#include "agent/cni/protocol.hpp"
#include "agent/cni/sandbox.hpp"

namespace omnitide::cni {

class Node {
 public:
  Node() = default;
  Node(const Node&) = delete;
  Node& operator=(const Node&) = delete;
  virtual ~Node() = default;

  [[nodiscard]] virtual Result<Device> node_end(const std::string& netns, const std::string& interface) = 0;
  [[nodiscard]] virtual Result<> close(const std::string& pins, std::uint32_t ifindex) = 0;
  virtual void open(const std::string& pins, std::uint32_t ifindex) = 0;
  [[nodiscard]] virtual bool is_guarded(const std::string& pins, std::uint32_t ifindex) = 0;
  virtual void sweep(const std::string& pins) = 0;
  // Of the agent: about a pod that is to be judged, within the time of the settings; that one is gone.
  [[nodiscard]] virtual Result<Answer> ask(const Settings& settings, const Sandbox& sandbox) = 0;
  virtual void tell_gone(const Settings& settings, const Sandbox& sandbox) = 0;
  // Whether the plugin's file is still there: it goes when the agent is uninstalled.
  [[nodiscard]] virtual bool is_installed() = 0;
};

// What goes to standard output, or why not. `remark` is for whoever reads the runtime's log; it may stay empty.
[[nodiscard]] Outcome<std::string> run(const Request& request, Node& node, std::string& remark);

}  // namespace omnitide::cni
