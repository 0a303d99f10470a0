#include "discovery/sources/uevent.hpp"

#include <linux/netlink.h>
#include <poll.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/socket.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <stdexcept>
#include <thread>

#include "discovery/sources/link_monitor.hpp"
#include "discovery/sources/mount_monitor.hpp"
#include "discovery/sources/rtnetlink.hpp"
#include "tests/harness/catch.hpp"
#include "tests/harness/fixture.hpp"
#include "tests/harness/loop_device.hpp"
#include "tests/harness/network_namespace.hpp"
#include "tests/harness/readings.hpp"

using namespace omnitide;
using namespace omnitide::discovery;
using namespace omnitide::test;
using namespace std::chrono_literals;
using namespace std::string_literals;

namespace {

bool wait_for(int fd, short events) {
  pollfd entry{fd, events, 0};
  return ::poll(&entry, 1, 1000) == 1;
}

const LinkEvent* find(const LinkBatch& batch, LinkEvent::Kind kind, std::string_view name) {
  for (const LinkEvent& event : batch.events) {
    if (event.kind == kind && event.name == name) return &event;
  }
  return nullptr;
}

std::uint32_t index_of(std::string_view name) {
  const Result<RtnetlinkDump> dump = dump_rtnetlink();
  if (dump.has_error()) throw std::runtime_error(dump.error().text());
  return item(dump->links, &Link::name, name).index;
}

}  // namespace

TEST_CASE("a kernel message is read as action, subsystem, path and node") {
  const auto event = parse_uevent(
      "add@/devices/virtual/block/loop0\0ACTION=add\0DEVPATH=/devices/virtual/block/loop0\0SUBSYSTEM=block\0"
      "MAJOR=7\0DEVNAME=loop0\0SEQNUM=123\0"s);
  REQUIRE(event);
  CHECK(event->action == "add");
  CHECK(event->subsystem == "block");
  CHECK(event->devpath == "/devices/virtual/block/loop0");
  CHECK(event->devname == "loop0");
}

TEST_CASE("malformed, foreign and contradictory messages are refused") {
  for (const std::string& bad :
       {""s, "\0"s, "@\0"s, "add@\0"s, "@/devices\0SUBSYSTEM=x\0"s, "add@/devices/x"s, "add@/devices/x\0"s,
        "add@/devices/x\0SUBSYSTEM\0"s, "add@/devices/x\0=x\0"s, "libudev\0\xfe\xed\xca\xfe"s, "addx\0SUBSYSTEM=x\0"s,
        "add@relative\0SUBSYSTEM=x\0"s, "add@/x\0ACTION=remove\0SUBSYSTEM=x\0"s, "add@/x\0DEVPATH=/y\0SUBSYSTEM=x\0"s,
        "add@/x\0\0\0SUBSYSTEM=x\0"s})
    CHECK_FALSE(parse_uevent(bad));
}

TEST_CASE("a message cut or changed at any byte is read or refused, never beyond its end") {
  const std::string whole = "add@/devices/x\0ACTION=add\0DEVPATH=/devices/x\0SUBSYSTEM=net\0"s;
  for (std::size_t i = 0; i < whole.size(); ++i) {
    const std::string cut = whole.substr(0, i);
    CHECK_FALSE(parse_uevent(cut));
    std::string changed = whole;
    changed[i] = '\xff';
    (void)parse_uevent(changed);
  }
}

TEST_CASE("a loop device that is attached and detached is heard as events of block") {
  auto monitor = UeventMonitor::open();
  REQUIRE(monitor.has_value());
  LoopDevice loop;
  const auto heard = [&monitor, &loop] {
    const auto end = std::chrono::steady_clock::now() + 2s;
    while (std::chrono::steady_clock::now() < end && wait_for(monitor->fd(), POLLIN)) {
      const Result<UeventBatch> batch = monitor->drain();
      if (batch.has_error()) throw std::runtime_error(batch.error().text());
      for (const Uevent& event : batch->events) {
        if (event.subsystem == "block" && event.devname == loop.name()) return true;
      }
    }
    return false;
  };
  CHECK(heard());
  while (!monitor->drain()->events.empty()) {
  }
  loop.detach();
  CHECK(heard());
}

TEST_CASE("a message that a process sends, not the kernel, is not heard") {
  auto monitor = UeventMonitor::open();
  REQUIRE(monitor.has_value());
  while (!monitor->drain()->events.empty()) {
  }
  sockaddr_nl address{};
  socklen_t length = sizeof address;
  REQUIRE(::getsockname(monitor->fd(), reinterpret_cast<sockaddr*>(&address), &length) == 0);
  const UniqueFd sender(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_KOBJECT_UEVENT));
  const std::string forged = "add@/devices/forged\0ACTION=add\0DEVPATH=/devices/forged\0SUBSYSTEM=block\0"s;
  sockaddr_nl to{};
  to.nl_family = AF_NETLINK;
  to.nl_pid = address.nl_pid;
  REQUIRE(::sendto(sender.get(), forged.data(), forged.size(), 0, reinterpret_cast<const sockaddr*>(&to), sizeof to) ==
          static_cast<ssize_t>(forged.size()));
  CHECK(wait_for(monitor->fd(), POLLIN));  // it did arrive
  const Result<UeventBatch> batch = monitor->drain();
  REQUIRE(batch.has_value());
  for (const Uevent& event : batch->events)
    CHECK(event.devpath != "/devices/forged");
  CHECK(batch->malformed == 0);
}

TEST_CASE("a veth pair that comes, gets an address and goes is heard by the link monitor") {
  LinkBatch added, addressed, removed;
  in_network_namespace([&added, &addressed, &removed] {
    auto monitor = LinkMonitor::open();
    if (monitor.has_error()) throw std::runtime_error(monitor.error().text());
    add_veth_pair("omni0", "omni1");
    (void)wait_for(monitor->fd(), POLLIN);
    added = *monitor->drain();
    const LinkEvent* link = find(added, LinkEvent::Kind::link_set, "omni0");
    if (link == nullptr) return;
    add_address(link->index, "192.0.2.1", 24);
    (void)wait_for(monitor->fd(), POLLIN);
    addressed = *monitor->drain();
    remove_link(link->index);
    (void)wait_for(monitor->fd(), POLLIN);
    removed = *monitor->drain();
  });
  const LinkEvent* link = find(added, LinkEvent::Kind::link_set, "omni0");
  REQUIRE(link != nullptr);
  CHECK(find(added, LinkEvent::Kind::link_set, "omni1") != nullptr);
  const LinkEvent expected{LinkEvent::Kind::address_set, link->index, ""};
  CHECK(std::count(addressed.events.begin(), addressed.events.end(), expected) == 1);
  CHECK(find(removed, LinkEvent::Kind::link_removed, "omni0") != nullptr);
  CHECK(added.malformed + addressed.malformed + removed.malformed == 0);
  CHECK_FALSE(added.overflow);
}

TEST_CASE("a carrier that is lost is heard by the link monitor") {
  LinkBatch batch;
  in_network_namespace([&batch] {
    add_veth_pair("omni0", "omni1");
    auto monitor = LinkMonitor::open();
    if (monitor.has_error()) throw std::runtime_error(monitor.error().text());
    set_up(index_of("omni0"));
    set_up(index_of("omni1"));
    (void)monitor->drain();
    set_up(index_of("omni1"), false);
    (void)wait_for(monitor->fd(), POLLIN);
    const auto end = std::chrono::steady_clock::now() + 2s;  // the kernel batches link state for up to a second
    while (find(batch, LinkEvent::Kind::link_set, "omni0") == nullptr && std::chrono::steady_clock::now() < end) {
      if (wait_for(monitor->fd(), POLLIN)) batch = *monitor->drain();
    }
  });
  CHECK(find(batch, LinkEvent::Kind::link_set, "omni0") != nullptr);
}

TEST_CASE("a monitor that was not drained in time says that everything may have changed, once") {
  bool overflow = false, again = true;
  std::size_t batches = 0;
  in_network_namespace([&overflow, &again, &batches] {
    auto monitor = LinkMonitor::open();
    if (monitor.has_error()) throw std::runtime_error(monitor.error().text());
    const int small = 2304;
    (void)::setsockopt(monitor->fd(), SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    for (int i = 0; i < 20; ++i)
      add_veth_pair("a" + std::to_string(i), "b" + std::to_string(i));
    for (; batches < 10; ++batches) {
      const Result<LinkBatch> batch = monitor->drain();
      if (batch.has_error()) throw std::runtime_error(batch.error().text());
      overflow = overflow || batch->overflow;
      again = batch->overflow;
      if (batch->events.empty() && !batch->overflow) break;
    }
  });
  CHECK(overflow);
  CHECK_FALSE(again);
  CHECK(batches < 10);
}

TEST_CASE("link events that are cut are counted as malformed and do not stop the rest") {
  LinkBatch batch;
  parse_link_events(std::string(3, '\xff'), batch);
  CHECK(batch.malformed == 1);
  nlmsghdr header{};
  header.nlmsg_len = sizeof header;
  header.nlmsg_type = RTM_NEWLINK;
  std::string datagram(bytes_of(header));
  const std::string link = rtnl::named_link("x0", 3);
  header.nlmsg_len = static_cast<std::uint32_t>(sizeof header + link.size());
  datagram += bytes_of(header);
  datagram += link;
  parse_link_events(datagram, batch);
  CHECK(batch.malformed == 2);
  REQUIRE(batch.events.size() == 1);
  CHECK(batch.events[0] == LinkEvent{LinkEvent::Kind::link_set, 3, "x0"});
}

TEST_CASE("a mount in this mount namespace is heard by the mount monitor, and nothing else is") {
  bool quiet = true, signalled = false, changed = false, after = true;
  std::exception_ptr thrown;
  std::thread thread([&quiet, &signalled, &changed, &after, &thrown] {
    try {
      const TempTree tree;
      if (::unshare(CLONE_FS | CLONE_NEWNS) != 0 || ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0)
        throw std::runtime_error("cannot make a mount namespace (root is needed)");
      auto monitor = MountMonitor::open("/proc/thread-self/mountinfo");
      if (monitor.has_error()) throw std::runtime_error(monitor.error().text());
      quiet = !*monitor->drain();
      if (::mount("omnitide", tree.path().c_str(), "tmpfs", 0, "size=64k") != 0)
        throw std::runtime_error("cannot mount a tmpfs");
      signalled = wait_for(monitor->fd(), POLLPRI);
      changed = *monitor->drain();
      after = *monitor->drain();
      (void)::umount(tree.path().c_str());
    } catch (...) {
      thrown = std::current_exception();
    }
  });
  thread.join();
  if (thrown) std::rethrow_exception(thrown);
  CHECK(quiet);
  CHECK(signalled);
  CHECK(changed);
  CHECK_FALSE(after);
}
