// The programs of policy over maps that a Publisher fills: what they do with the first packet of a connection, by
// BPF_PROG_TEST_RUN. Needs CAP_BPF and CAP_NET_ADMIN; throws without.
#pragma once

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/bpf.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <stdexcept>
#include <string>

#include "ebpf/enforcement/object.hpp"
#include "ebpf/enforcement/publisher.hpp"
#include "tests/harness/packets.hpp"
#include "tests/harness/test_run_device.hpp"

namespace omnitide::test {

class PolicyJudge {
 public:
  explicit PolicyJudge(const enforcement::Options& options)
      : PolicyJudge(load(options), std::make_shared<enforcement::Faults>()) {}

  [[nodiscard]] enforcement::Publisher& publisher() { return publisher_; }

  struct Packet {
    Address local, remote;  // seen from the endpoint
    std::uint8_t protocol = 0;
    std::uint16_t port = 0;    // of the destination
    std::uint16_t client = 0;  // port of who opens it, or the identifier of an ICMP echo
  };
  // On the device of a pod. An egress that waits for address translation is judged where it leaves the node.
  [[nodiscard]] bool pod_lets_pass(std::uint32_t ifindex, bool ingress, const Packet& packet) const {
    using enforcement::Program;
    if (ingress) return run(Program::to_endpoint, ifindex, 1, frame(packet, true)).passed;
    const Outcome sent = run(Program::from_endpoint, ifindex, 1, frame(packet, false));
    if (!sent.passed || sent.mark == 0) return sent.passed;
    return run(Program::leave, 1, ifindex, frame(packet, false), sent.mark).passed;
  }
  // On an uplink; `local` is the node's. What it sends comes from a socket of its own.
  [[nodiscard]] bool host_lets_pass(std::uint32_t ifindex, bool ingress, const Packet& packet) const {
    using enforcement::Program;
    return ingress ? run(Program::enter, ifindex, 1, frame(packet, true)).passed
                   : run(Program::leave, ifindex, 0, frame(packet, false)).passed;
  }

 private:
  struct Outcome {
    bool passed = false;
    std::uint32_t mark = 0;
  };

  PolicyJudge(enforcement::Object object, std::shared_ptr<enforcement::Faults> faults)
      : programs_(std::move(object.programs)), publisher_([&object] {
          Result<enforcement::Publisher> made = enforcement::Publisher::open(std::move(object.maps), 0);
          if (made.has_error()) throw std::runtime_error(made.error().text());
          return std::move(*made);
        }()) {
    (void)faults;
  }

  static enforcement::Object load(const enforcement::Options& options) {
    TestRunDevice::prepare();
    Result<enforcement::Object> object = enforcement::load_object(options, {}, std::make_shared<enforcement::Faults>());
    if (object.has_error()) throw std::runtime_error(object.error().text());
    return std::move(*object);
  }

  static Bytes frame(const Packet& packet, bool ingress) {
    constexpr unsigned kTcp = 6, kIcmp = 1, kIcmp6 = 58, kSctp = 132;
    Bytes payload;
    if (packet.protocol == kTcp) {
      payload = tcp(packet.client, packet.port, "S");
    } else if (packet.protocol == kIcmp || packet.protocol == kIcmp6) {
      payload = icmp(packet.protocol == kIcmp ? 8 : 128, 0, packet.client);
    } else {
      payload = udp(packet.client, packet.port);
      if (packet.protocol == kSctp) payload += Bytes(16, '\0');
    }
    const std::string source = format(ingress ? packet.remote : packet.local);
    const std::string destination = format(ingress ? packet.local : packet.remote);
    if (packet.local.is_v4())
      return ethernet(0x0800,
                      ip4({.source = source, .destination = destination, .protocol = packet.protocol}, payload));
    return ethernet(0x86dd, ip6(source, destination, packet.protocol, payload));
  }

  // `received`: the device that the packet came in by; 0: a socket of the node sent it.
  [[nodiscard]] Outcome run(enforcement::Program program, std::uint32_t ifindex, std::uint32_t received,
                            const Bytes& packet, std::uint32_t mark = 0) const {
    __sk_buff context{}, after{};
    context.mark = mark;
    TestRunDevice::set(context, received);
    context.ifindex = ifindex;
    bpf_test_run_opts options{};
    options.sz = sizeof options;
    options.data_in = packet.data();
    options.data_size_in = static_cast<__u32>(packet.size());
    options.ctx_in = &context;
    options.ctx_out = &after;
    options.ctx_size_in = options.ctx_size_out = sizeof context;
    if (bpf_prog_test_run_opts(programs_[program].fd.get(), &options) != 0)
      throw std::runtime_error(std::string("cannot run a program: ") + std::strerror(errno));
    constexpr int kPass = -1, kDrop = 2;
    const int verdict = static_cast<int>(options.retval);
    if (verdict != kPass && verdict != kDrop) throw std::runtime_error("a verdict that is none");
    return {.passed = verdict == kPass, .mark = after.mark};
  }

  enforcement::Programs programs_;
  enforcement::Publisher publisher_;
};

}  // namespace omnitide::test
