// What the plugin and the agent say to each other about a pod's network: JSON over the agent's socket. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "agent/base/error.hpp"

namespace omnitide::cni {

// Of POST kAddPath, and of POST kGonePath, where the pod's name and the container are enough.
inline constexpr std::string_view kAddPath = "/v1/sandboxes", kGonePath = "/v1/sandboxes/gone";
inline constexpr std::string_view kSocketName = "cni.sock";  // in the agent's state directory

struct Sandbox {
  std::string container;         // CNI_CONTAINERID
  std::string name_space, name;  // of the pod
  std::string uid;               // of the pod, as the runtime says it; empty: it does not
  std::string device;            // the node's end of the pod's link
  std::uint32_t ifindex = 0;
  std::vector<std::string> addresses;  // at most one of each family
};
[[nodiscard]] std::string to_json(const Sandbox& sandbox);
[[nodiscard]] Result<Sandbox> parse_sandbox(std::string_view text);

struct Answer {
  enum class State : std::uint8_t {
    judged,   // by its policies, from now on
    waiting,  // the time is over; it stays closed, and the agent will open it
    open,     // the agent drops nothing on this node
  };
  State state = State::waiting;
  std::string reason;
};
[[nodiscard]] std::string to_json(const Answer& answer);
[[nodiscard]] Result<Answer> parse_answer(std::string_view text);

}  // namespace omnitide::cni
