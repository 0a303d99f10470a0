// IP virtual servers: /proc/net/ip_vs_stats and /proc/net/ip_vs (net/netfilter/ipvs/ip_vs_ctl.c).
#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "discovery/collectors/collectors.hpp"
#include "discovery/collectors/families.hpp"
#include "discovery/collectors/scan.hpp"

namespace omnitide::discovery {

namespace {

using model::MetricDescriptor;
using model::SampleBatch;

constexpr std::array kTotals{counter("node_ipvs_connections_total", "Connections through virtual servers."),
                             counter("node_ipvs_incoming_packets_total", "Packets to virtual servers."),
                             counter("node_ipvs_outgoing_packets_total", "Packets from virtual servers."),
                             counter("node_ipvs_incoming_bytes_total", "Bytes to virtual servers."),
                             counter("node_ipvs_outgoing_bytes_total", "Bytes from virtual servers.")};
constexpr std::array<std::string_view, 6> kIpvsLabels{"local_address", "local_port", "remote_address",
                                                      "remote_port",   "proto",      "local_mark"};
constexpr std::array kBackends{
    gauge("node_ipvs_backend_connections_active", "Connections of a backend that are alive.", kIpvsLabels),
    gauge("node_ipvs_backend_connections_inactive", "Connections of a backend that are ending.", kIpvsLabels),
    gauge("node_ipvs_backend_weight", "Weight of a backend.", kIpvsLabels)};
constexpr auto kIpvsAll = pointers(kTotals, kBackends);

struct Address {
  std::string address, port;
};

// "C0A80016:0CEA", or "[2001:0db8:...]:0CEA".
std::optional<Address> parse_address(std::string_view text) {
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return std::nullopt;
  const auto port = parse_number<std::uint16_t>(text.substr(colon + 1), 16);
  std::string_view host = text.substr(0, colon);
  if (!port) return std::nullopt;
  std::array<char, INET6_ADDRSTRLEN> out{};
  if (host.starts_with('[') && host.ends_with(']')) {
    in6_addr address{};
    const std::string bare(host.substr(1, host.size() - 2));
    if (::inet_pton(AF_INET6, bare.c_str(), &address) != 1) return std::nullopt;
    ::inet_ntop(AF_INET6, &address, out.data(), out.size());
  } else {
    const auto number = host.size() == 8 ? parse_number<std::uint32_t>(host, 16) : std::nullopt;
    if (!number) return std::nullopt;
    const std::uint32_t address = htonl(*number);
    ::inet_ntop(AF_INET, &address, out.data(), out.size());
  }
  return Address{out.data(), std::to_string(*port)};
}

// The first line of numbers, hexadecimal.
Result<> add_totals(std::string_view text, SampleBatch& batch) {
  (void)cut(text, '\n');
  (void)cut(text, '\n');
  Words words(cut(text, '\n'));
  for (const MetricDescriptor& family : kTotals) {
    const auto value = parse_number<std::uint64_t>(words.next(), 16);
    if (!value) return fail(Code::invalid_argument, "/proc/net/ip_vs_stats is malformed");
    batch.add(family, static_cast<double>(*value));
  }
  return {};
}

class Backends {
 public:
  explicit Backends(const std::vector<bool>& chosen) : chosen_(chosen) {}

  bool take(std::string_view line) {
    Words words(line);
    const std::string_view kind = words.next();
    if (kind == "TCP" || kind == "UDP" || kind == "SCTP") {
      const auto address = parse_address(words.next());
      if (!address) return false;
      service_ = {address->address, address->port, std::string(kind), ""};
    } else if (kind == "FWM") {
      service_ = {"", "0", "FWM", std::string(words.next())};
    } else if (kind == "->") {
      const std::string_view remote = words.next();
      if (service_.protocol.empty() || remote == "RemoteAddress:Port") return true;  // the heading
      const auto address = parse_address(remote);
      const auto weight = value_of(words.skip(1)), active = value_of(words.next()), inactive = value_of(words.next());
      if (!address || !weight || !active || !inactive) return false;
      add(*address, {*active, *inactive, *weight});
    }
    return true;
  }

  // Backends that are alike in the labels chosen are one series.
  void write(Labels labels, SampleBatch& batch) const {
    for (std::size_t i = 0; i < kBackends.size(); ++i) {
      MetricDescriptor family = kBackends.at(i);
      family.labels = labels;
      const MetricDescriptor& described = batch.describe(family);
      for (const auto& [key, values] : sums_) {
        const std::vector<std::string_view> views(key.begin(), key.end());
        batch.add(described, values.at(i), views);
      }
    }
  }

 private:
  struct Service {
    std::string address, port, protocol, mark;
  };
  void add(const Address& remote, const std::array<double, 3>& values) {
    const std::array<std::string_view, 6> all{service_.address, service_.port,     remote.address,
                                              remote.port,      service_.protocol, service_.mark};
    std::vector<std::string> key;
    for (std::size_t i = 0; i < all.size(); ++i)
      if (chosen_[i]) key.emplace_back(all.at(i));
    std::array<double, 3>& sum = sums_[key];
    for (std::size_t i = 0; i < sum.size(); ++i)
      sum.at(i) += values.at(i);
  }

  const std::vector<bool>& chosen_;
  Service service_;
  std::map<std::vector<std::string>, std::array<double, 3>> sums_;
};

struct IpvsState {
  KeptFile totals, table;
  std::vector<bool> chosen;
  std::vector<std::string_view> labels;

  Result<> collect(SampleBatch& batch) {
    const Result<std::string_view> text = totals.read();
    if (text.has_error()) return text.error();
    if (const Result<> added = add_totals(*text, batch); added.has_error()) return added;
    const Result<std::string_view> read = table.read();
    if (read.has_error()) return read.error();
    Backends backends(chosen);
    bool good = true;
    each_line(*read, [&](std::string_view line) { good = backends.take(line) && good; });
    if (!good) return fail(Code::invalid_argument, "/proc/net/ip_vs is malformed");
    backends.write(labels, batch);
    return {};
  }
};

}  // namespace

Collector ipvs_collector(const Root& root, const Settings& settings) {
  const auto state = std::make_shared<IpvsState>(
      IpvsState{KeptFile(root, "/proc/net/ip_vs_stats"), KeptFile(root, "/proc/net/ip_vs"), {}, {}});
  const std::vector<std::string_view> wanted = split(settings.value("ipvs.backend_labels"), ',');
  for (const std::string_view label : kIpvsLabels) {
    const bool chosen = std::ranges::find(wanted, label) != wanted.end();
    state->chosen.push_back(chosen);
    if (chosen) state->labels.push_back(label);
  }
  return {"ipvs", kIpvsAll, [state](SampleBatch& batch) { return state->collect(batch); }, "/proc/net/ip_vs", kQuick};
}

}  // namespace omnitide::discovery
