#include "agent/base/netlink.hpp"

#include <linux/netlink.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <algorithm>
#include <array>
#include <cerrno>

namespace omnitide {

namespace {

constexpr std::size_t kBuffer = 64U << 10U;        // the kernel makes dump datagrams of at most 32 KiB
constexpr std::size_t kMonitorBuffer = 1U << 20U;  // bytes of events that may wait before the socket overruns
constexpr int kMaxDatagrams = 8192;
constexpr std::size_t kAlign = 4;

constexpr std::size_t aligned(std::size_t size) { return (size + kAlign - 1) & ~(kAlign - 1); }

}  // namespace

std::string_view operstate_name(std::uint8_t state) {
  constexpr std::array<std::string_view, 7> kNames{"unknown", "notpresent", "down", "lowerlayerdown",
                                                   "testing", "dormant",    "up"};
  return state < kNames.size() ? kNames.at(state) : "unknown";
}

std::optional<NetlinkAttribute> NetlinkAttributes::next() {
  const auto header = netlink_value<nlattr>(rest_);
  if (!header || header->nla_len < sizeof(nlattr) || header->nla_len > rest_.size()) {
    malformed_ = !rest_.empty();
    return std::nullopt;
  }
  NetlinkAttribute out;
  out.type = static_cast<std::uint16_t>(header->nla_type & NLA_TYPE_MASK);
  out.payload = rest_.substr(sizeof(nlattr), header->nla_len - sizeof(nlattr));
  rest_.remove_prefix(std::min(rest_.size(), aligned(header->nla_len)));
  return out;
}

std::optional<NetlinkMessage> NetlinkMessages::next() {
  const auto header = netlink_value<nlmsghdr>(rest_);
  if (!header || header->nlmsg_len < sizeof(nlmsghdr) || header->nlmsg_len > rest_.size()) {
    malformed_ = !rest_.empty();
    return std::nullopt;
  }
  NetlinkMessage out{header->nlmsg_type, header->nlmsg_flags, header->nlmsg_seq,
                     rest_.substr(sizeof(nlmsghdr), header->nlmsg_len - sizeof(nlmsghdr))};
  rest_.remove_prefix(std::min(rest_.size(), aligned(header->nlmsg_len)));
  return out;
}

std::string_view netlink_text(std::string_view payload) { return payload.substr(0, payload.find('\0')); }

void append_attribute(std::string& message, std::uint16_t type, std::string_view payload) {
  const nlattr header{static_cast<std::uint16_t>(sizeof(nlattr) + payload.size()), type};
  message += bytes_of(header);
  message += payload;
  message.resize(aligned(message.size()), '\0');
}

Result<NetlinkSocket> NetlinkSocket::open(int protocol, std::uint32_t groups) {
  const int kind = SOCK_RAW | SOCK_CLOEXEC | (groups != 0 ? SOCK_NONBLOCK : 0);
  NetlinkSocket out;
  out.fd_.reset(::socket(AF_NETLINK, kind, protocol));
  if (!out.fd_) return fail_errno(errno, "cannot open a netlink socket");
  const timeval patience{0, 500'000};
  (void)::setsockopt(out.fd_.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  if (groups != 0) {
    const int size = kMonitorBuffer;
    // The forced form needs CAP_NET_ADMIN; without it the system's limit holds and an overrun comes sooner.
    if (::setsockopt(out.fd_.get(), SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size) != 0)
      (void)::setsockopt(out.fd_.get(), SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
  }
  sockaddr_nl address{};
  address.nl_family = AF_NETLINK;
  address.nl_groups = groups;
  if (::bind(out.fd_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    return fail_errno(errno, "cannot bind a netlink socket");
  out.buffer_ = std::make_unique_for_overwrite<char[]>(kBuffer);
  return out;
}

Result<std::string_view> NetlinkSocket::receive() {
  for (int dropped = 0; dropped < kMaxDatagrams; ++dropped) {
    sockaddr_nl sender{};
    iovec part{buffer_.get(), kBuffer};
    msghdr header{};
    header.msg_name = &sender;
    header.msg_namelen = sizeof sender;
    header.msg_iov = &part;
    header.msg_iovlen = 1;
    const ssize_t got = ::recvmsg(fd_.get(), &header, 0);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return std::string_view{};
    if (got < 0 && errno == ENOBUFS)
      return fail(Code::resource_exhausted, "the netlink socket overran, events were lost");
    if (got < 0) return fail_errno(errno, "cannot receive from a netlink socket");
    // Any process may send to a netlink port; only the kernel has the port id 0.
    if (header.msg_namelen != sizeof sender || sender.nl_family != AF_NETLINK || sender.nl_pid != 0) continue;
    if ((header.msg_flags & MSG_TRUNC) != 0)
      return fail(Code::resource_exhausted, "a netlink message is longer than the buffer");
    if (got > 0) return std::string_view(buffer_.get(), static_cast<std::size_t>(got));
  }
  return std::string_view{};
}

Result<> NetlinkSocket::request(std::uint16_t type, std::uint16_t flags, std::string_view payload, const Take& take) {
  nlmsghdr header{};
  header.nlmsg_len = static_cast<std::uint32_t>(sizeof header + payload.size());
  header.nlmsg_type = type;
  header.nlmsg_flags = static_cast<std::uint16_t>(NLM_F_REQUEST | flags);
  header.nlmsg_seq = ++sequence_;
  std::string bytes(bytes_of(header));
  bytes += payload;
  if (::send(fd_.get(), bytes.data(), bytes.size(), 0) < 0) return fail_errno(errno, "cannot send a netlink request");
  // A dump or an acknowledged request ends in a message of its own. Not every family marks its dumps as multi-part.
  const bool single = (flags & NLM_F_DUMP) != NLM_F_DUMP && (flags & NLM_F_ACK) == 0;
  bool changed = false;
  for (int i = 0; i < kMaxDatagrams; ++i) {
    const Result<std::string_view> datagram = receive();
    if (datagram.has_error()) return datagram.error();
    if (datagram->empty()) return fail(Code::deadline_exceeded, "the kernel did not answer a netlink request");
    NetlinkMessages messages(*datagram);
    while (const auto message = messages.next()) {
      if (message->sequence != sequence_) continue;
      changed = changed || (message->flags & NLM_F_DUMP_INTR) != 0;
      if (message->type == NLMSG_DONE || message->type == NLMSG_ERROR) {
        const int problem = -netlink_value<std::int32_t>(message->payload).value_or(0);
        if (problem > 0) return fail_errno(problem, "a netlink request failed");
        if (changed) return fail(Code::aborted, "the state changed during a netlink dump");
        return {};
      }
      take(*message);
      if (single && (message->flags & NLM_F_MULTI) == 0) return {};
    }
    if (messages.malformed()) return fail(Code::data_loss, "a netlink answer is malformed");
  }
  return fail(Code::resource_exhausted, "a netlink dump does not end");
}

}  // namespace omnitide
