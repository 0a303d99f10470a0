// The node that the plugin really runs on.
#pragma once

#include <string>
#include <utility>

#include "agent/cni/plugin.hpp"

namespace omnitide::cni {

class ThisNode final : public Node {
 public:
  // `own_path`: the plugin's file.
  explicit ThisNode(std::string own_path) : own_path_(std::move(own_path)) {}

  Result<Device> node_end(const std::string& netns, const std::string& interface) override;
  Result<> close(const std::string& pins, std::uint32_t ifindex) override;
  void open(const std::string& pins, std::uint32_t ifindex) override;
  bool is_guarded(const std::string& pins, std::uint32_t ifindex) override;
  void sweep(const std::string& pins) override;
  Result<Answer> ask(const Settings& settings, const Sandbox& sandbox) override;
  void tell_gone(const Settings& settings, const Sandbox& sandbox) override;
  bool is_installed() override;

 private:
  std::string own_path_;
};

}  // namespace omnitide::cni
