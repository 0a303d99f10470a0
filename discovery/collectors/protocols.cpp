// Counters of the network protocols and of sockets: /proc/net/{netstat,snmp,snmp6,sockstat,sockstat6,udp,udp6,arp}.
#include <fmt/format.h>
#include <unistd.h>

#include <map>

#include "discovery/collectors/collectors.hpp"
#include "discovery/collectors/families.hpp"
#include "discovery/collectors/filter.hpp"
#include "discovery/collectors/learned.hpp"
#include "discovery/collectors/scan.hpp"

namespace omnitide::discovery {

namespace {

using model::MetricDescriptor;
using model::MetricType;
using model::SampleBatch;
using Texts = LearnedFamilies::Texts;

constexpr std::array<const MetricDescriptor*, 0> kProtocolsNoneKnown{};

struct NetstatState {
  KeptFile netstat, snmp, snmp6;
  Filter fields;
  LearnedFamilies families;
  std::string field;  // "Tcp_InSegs", reused

  const MetricDescriptor* find(std::string_view protocol, std::string_view name) {
    field.assign(protocol).append(1, '_').append(name);
    return families.find(field, [this](std::string_view whole) {
      if (!fields.accepts(whole)) return Texts{};
      return Texts{fmt::format("node_netstat_{}", whole), fmt::format("Statistic {}.", whole), MetricType::unknown};
    });
  }

  // Pairs of lines: "Tcp: names", "Tcp: values".
  Result<> add_pairs(KeptFile& file, SampleBatch& batch) {
    const Result<std::string_view> read = file.read();
    if (read.has_error()) return read.error();
    std::string_view text = *read;
    while (!text.empty()) {
      Words names(cut(text, '\n')), values(cut(text, '\n'));
      std::string_view protocol = names.next();
      if (protocol.empty()) continue;
      if (!protocol.ends_with(':') || values.next() != protocol) return malformed(file.path());
      protocol.remove_suffix(1);
      for (std::string_view name = names.next(); !name.empty(); name = names.next()) {
        // Most fields are not wanted: only those that are become numbers.
        const std::string_view number = values.next();
        if (number.empty()) return malformed(file.path());
        const MetricDescriptor* family = find(protocol, name);
        if (family == nullptr) continue;
        const std::optional<double> value = value_of(number);
        if (!value) return malformed(file.path());
        batch.add(*family, *value);
      }
    }
    return {};
  }

  // "Ip6InReceives 12": the protocol's name ends in its 6.
  Result<> add_ipv6(SampleBatch& batch) {
    const Result<std::string_view> read = snmp6.read();
    // Without IPv6 the file is not there.
    if (read.has_error()) return read.error().code == Code::not_found ? Result<>{} : Result<>(read.error());
    bool good = true;
    each_line(*read, [&](std::string_view line) {
      Words words(line);
      const std::string_view whole = words.next();
      const std::size_t six = whole.find('6');
      const std::optional<double> value = value_of(words.next());
      if (whole.empty() || six == std::string_view::npos) return;
      if (!value) good = false;
      const MetricDescriptor* family = find(whole.substr(0, six + 1), whole.substr(six + 1));
      if (family != nullptr && value) batch.add(*family, *value);
    });
    return good ? Result<>{} : Result<>(malformed(snmp6.path()));
  }
};

struct SocketState {
  KeptFile ipv4, ipv6;
  LearnedFamilies families;
  std::string field;
  double page_bytes = static_cast<double>(::sysconf(_SC_PAGESIZE));

  void add(std::string_view protocol, std::string_view name, std::string_view suffix, double value,
           SampleBatch& batch) {
    field.assign(protocol).append(1, '_').append(name).append(suffix);
    const MetricDescriptor* family = families.find(field, [protocol, name](std::string_view whole) {
      return Texts{fmt::format("node_sockstat_{}", whole),
                   fmt::format("Sockets of {} in the state {}.", printable(protocol, 32), printable(name, 32)),
                   MetricType::gauge};
    });
    if (family != nullptr) batch.add(*family, value);
  }

  // "TCP: inuse 4 orphan 0 ..."; memory of TCP and UDP is in pages.
  Result<> add_file(KeptFile& file, SampleBatch& batch) {
    const Result<std::string_view> read = file.read();
    if (read.has_error()) return read.error();
    bool good = true;
    each_line(*read, [&](std::string_view line) {
      Words words(line);
      std::string_view protocol = words.next();
      if (protocol.empty()) return;
      if (protocol.ends_with(':')) protocol.remove_suffix(1);
      for (std::string_view name = words.next(); !name.empty(); name = words.next()) {
        const std::optional<double> value = value_of(words.next());
        if (!value) {
          good = false;
          return;
        }
        add(protocol, name, "", *value, batch);
        if (name == "mem") add(protocol, name, "_bytes", *value * page_bytes, batch);
      }
    });
    return good ? Result<>{} : Result<>(malformed(file.path()));
  }
};

constexpr std::array<std::string_view, 2> kByQueue{"ip", "queue"};
constexpr std::array kQueues{gauge("node_udp_queues", "Bytes that wait in the queues of all UDP sockets.", kByQueue)};
constexpr auto kQueuesAll = pointers(kQueues);

struct QueueState {
  KeptFile udp4, udp6, sockets4, sockets6;
};

// Whether the protocol has sockets at all: the table of sockets is long to walk for the kernel, also an empty one.
bool has_sockets(KeptFile& sockets, std::string_view protocol) {
  const Result<std::string_view> text = sockets.read();
  if (text.has_error()) return true;
  bool none = false;
  each_line(*text, [&](std::string_view line) {
    Words words(line);
    if (words.next() == protocol && words.next() == "inuse" && words.next() == "0") none = true;
  });
  return !none;
}

// The fifth column is "TX:RX", hexadecimal.
Result<> add_queues(KeptFile& file, KeptFile& sockets, std::string_view protocol, std::string_view ip,
                    SampleBatch& batch) {
  std::uint64_t sent = 0, received = 0;
  if (has_sockets(sockets, protocol)) {
    const Result<std::string_view> read = file.read();
    if (read.has_error()) return read.error();
    std::string_view text = *read;
    (void)cut(text, '\n');
    bool good = true;
    each_line(text, [&](std::string_view line) {
      if (line.empty()) return;
      std::string_view queues = Words(line).skip(4);
      const auto tx = parse_number<std::uint64_t>(cut(queues, ':'), 16);
      const auto rx = parse_number<std::uint64_t>(queues, 16);
      good = good && tx && rx;
      sent += tx.value_or(0);
      received += rx.value_or(0);
    });
    if (!good) return malformed(file.path());
  }
  batch.add(kQueues[0], static_cast<double>(sent), {ip, "tx"});
  batch.add(kQueues[0], static_cast<double>(received), {ip, "rx"});
  return {};
}

constexpr std::array kArp{gauge("node_arp_entries", "Entries of the ARP table.", kByDevice)};
constexpr auto kArpAll = pointers(kArp);

}  // namespace

Collector netstat_collector(const Root& root, const Settings& settings) {
  const auto state = std::make_shared<NetstatState>(NetstatState{KeptFile(root, "/proc/net/netstat"),
                                                                 KeptFile(root, "/proc/net/snmp"),
                                                                 KeptFile(root, "/proc/net/snmp6"),
                                                                 Filter(settings.value("netstat.fields"), ""),
                                                                 {},
                                                                 {}});
  const auto collect = [state](SampleBatch& batch) -> Result<> {
    state->families.rewind();
    if (const Result<> added = state->add_pairs(state->netstat, batch); added.has_error()) return added;
    if (const Result<> added = state->add_pairs(state->snmp, batch); added.has_error()) return added;
    Result<> added = state->add_ipv6(batch);
    state->fields.forget();
    return added;
  };
  return {"netstat", kProtocolsNoneKnown, collect, "/proc/net/{netstat,snmp,snmp6}", kQuick};
}

Collector sockstat_collector(const Root& root) {
  const auto state = std::make_shared<SocketState>(
      SocketState{KeptFile(root, "/proc/net/sockstat"), KeptFile(root, "/proc/net/sockstat6"), {}, {}});
  const auto collect = [state](SampleBatch& batch) -> Result<> {
    state->families.rewind();
    const Result<> first = state->add_file(state->ipv4, batch);
    if (first.has_error()) return first;
    const Result<> second = state->add_file(state->ipv6, batch);
    if (second.has_error() && second.error().code != Code::not_found) return second;
    return {};
  };
  return {"sockstat", kProtocolsNoneKnown, collect, "/proc/net/{sockstat,sockstat6}", kQuick};
}

Collector udp_queues_collector(const Root& root) {
  const auto state = std::make_shared<QueueState>(
      QueueState{KeptFile(root, "/proc/net/udp"), KeptFile(root, "/proc/net/udp6"),
                 KeptFile(root, "/proc/net/sockstat"), KeptFile(root, "/proc/net/sockstat6")});
  const auto collect = [state](SampleBatch& batch) -> Result<> {
    const Result<> four = add_queues(state->udp4, state->sockets4, "UDP:", "v4", batch);
    const Result<> six = add_queues(state->udp6, state->sockets6, "UDP6:", "v6", batch);
    // One of the two protocols may be missing.
    if (four.has_error() && (six.has_error() || four.error().code != Code::not_found)) return four;
    if (six.has_error() && six.error().code != Code::not_found) return six;
    return {};
  };
  return {"udp_queues", kQueuesAll, collect, "/proc/net/{udp,udp6}", kQuick};
}

Collector arp_collector(const Root& root, const Settings& settings) {
  const auto devices =
      std::make_shared<Filter>(settings.value("arp.device_include"), settings.value("arp.device_exclude"));
  const auto parse = [devices](std::string_view text, SampleBatch& batch) -> Result<> {
    std::map<std::string_view, unsigned> counts;
    (void)cut(text, '\n');
    bool good = true;
    each_line(text, [&](std::string_view line) {
      if (line.empty()) return;
      const std::string_view device = Words(line).skip(5);
      if (device.empty())
        good = false;
      else if (devices->accepts(device))
        ++counts[device];
    });
    if (!good) return malformed("/proc/net/arp");
    for (const auto& [device, count] : counts)
      batch.add(kArp[0], count, {device});
    return {};
  };
  return file_collector("arp", kArpAll, root, "/proc/net/arp", parse);
}

}  // namespace omnitide::discovery
