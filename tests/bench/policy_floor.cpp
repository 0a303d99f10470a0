// policy_floor FOLDER DEVICE...: attaches the empty program to both directions of each device, as the agent attaches
// its own, and pins the links in FOLDER of a BPF file system: what it costs at all to have programs there. Needs tcx.
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <net/if.h>

#include <cstdio>
#include <cstring>
#include <exception>
#include <stdexcept>
#include <string>

#include "tests/bench/policy_sender.bpf.hpp"

namespace {

constexpr int kIngress = 46, kEgress = 47;  // BPF_TCX_INGRESS, BPF_TCX_EGRESS

void attach(int program, const std::string& device, int hook, const std::string& pin) {
  const unsigned index = ::if_nametoindex(device.c_str());
  if (index == 0) throw std::runtime_error("no device " + device);
  const int link = bpf_link_create(program, static_cast<int>(index), static_cast<bpf_attach_type>(hook), nullptr);
  if (link < 0) throw std::runtime_error("cannot attach to " + device + ": " + std::strerror(-link));
  if (const int result = bpf_obj_pin(link, pin.c_str()); result != 0)
    throw std::runtime_error("cannot pin " + pin + ": " + std::strerror(-result));
}

}  // namespace

int main(int count, char** arguments) {
  try {
    if (count < 3) throw std::runtime_error("usage: policy_floor FOLDER DEVICE...");
    const auto bytes = omnitide::ebpf::unpack(omnitide::ebpf::policy_sender_object()).value();
    bpf_object* object = bpf_object__open_mem(bytes.data(), bytes.size(), nullptr);
    if (object == nullptr || bpf_object__load(object) != 0) throw std::runtime_error("cannot load the empty program");
    const int program = bpf_program__fd(bpf_object__find_program_by_name(object, "empty"));
    for (int i = 2; i < count; ++i) {
      const std::string device = arguments[i], pin = std::string(arguments[1]) + "/" + device;
      attach(program, device, kIngress, pin + "-in");
      attach(program, device, kEgress, pin + "-out");
    }
    bpf_object__close(object);
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "policy_floor: %s\n", error.what());
    return 1;
  }
}
