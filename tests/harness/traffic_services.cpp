#include "tests/harness/traffic_services.hpp"

#include <fmt/format.h>

#include <cstdio>
#include <exception>

#include "tests/harness/traffic_command.hpp"

namespace omnitide::test {

namespace {

struct Family {
  const char* table;  // nft's name of the family, and of the header's fields
  const char* type;
  const char* pods;  // the cluster's CIDR: what does not come from there is masqueraded
  bool four;
};
constexpr Family kFamilies[] = {{"ip", "ipv4_addr", "10.0.0.0/15", true}, {"ip6", "ipv6_addr", "fd00::/15", false}};
constexpr const char* kProtocols[] = {"tcp", "udp", "sctp"};

bool is_four(const Service& service) { return service.address.find(':') == std::string::npos; }

// The chains of one Service for one protocol; `name` is theirs.
std::string chains(const Family& family, const Service& service, const std::string& protocol, const std::string& name) {
  std::string out, choice;
  for (std::size_t i = 0; i < service.backends.size(); ++i) {
    const Backend& backend = service.backends[i];
    const std::string address = family.four ? backend.address : "[" + backend.address + "]";
    out += fmt::format(
        " chain endpoint-{0}-{1} {{\n  {2} saddr {3} jump mark-for-masquerade\n"
        "  meta l4proto {4} dnat to {5}:{6}\n }}\n",
        name, i, family.table, backend.address, protocol, address, backend.port);
    choice += fmt::format("{}{} : goto endpoint-{}-{}", i == 0 ? "" : ", ", i, name, i);
  }
  out += fmt::format(" chain service-{0} {{\n  {1} daddr {2} {1} saddr != {3} jump mark-for-masquerade\n", name,
                     family.table, service.address, family.pods);
  out += fmt::format("  numgen random mod {} vmap {{ {} }}\n }}\n", service.backends.size(), choice);
  out += fmt::format(" chain external-{0} {{\n  jump mark-for-masquerade\n  goto service-{0}\n }}\n", name);
  return out;
}

std::string table(const Family& family, const std::vector<Service>& services) {
  std::string bodies, addresses, ports;
  for (const Service& service : services) {
    if (is_four(service) != family.four) continue;
    for (const char* protocol : kProtocols) {
      const std::string name = fmt::format("{}-{}", service.name, protocol);
      bodies += chains(family, service, protocol, name);
      addresses += fmt::format("{} . {} . {} : goto service-{},\n", service.address, protocol, service.port, name);
      if (service.node_port != 0)
        ports += fmt::format("{} . {} : goto external-{},\n", protocol, service.node_port, name);
    }
  }
  const auto map = [](const char* name, const std::string& type, const std::string& elements) {
    return fmt::format(" map {} {{\n  type {} : verdict\n{} }}\n", name, type,
                       elements.empty() ? "" : "  elements = { " + elements + " }\n");
  };
  std::string out = fmt::format("table {} services {{\n", family.table);
  out += " chain mark-for-masquerade {\n  meta mark set meta mark or 0x4000\n }\n";
  out += bodies;
  out += map("service-ips", fmt::format("{} . inet_proto . inet_service", family.type), addresses);
  out += map("service-nodeports", "inet_proto . inet_service", ports);
  out += fmt::format(
      " chain services {{\n  {} daddr . meta l4proto . th dport vmap @service-ips\n"
      "  fib daddr type local meta l4proto . th dport vmap @service-nodeports\n }}\n",
      family.table);
  out += " chain nat-prerouting {\n  type nat hook prerouting priority -100;\n  jump services\n }\n";
  out += " chain nat-output {\n  type nat hook output priority -100;\n  jump services\n }\n";
  out +=
      " chain nat-postrouting {\n  type nat hook postrouting priority 100;\n  meta mark & 0x4000 == 0 return\n"
      "  meta mark set meta mark xor 0x4000\n  masquerade fully-random\n }\n}\n";
  return out;
}

}  // namespace

Services::Services(const std::vector<Service>& services) {
  std::string rules;
  for (const Family& family : kFamilies)
    rules += table(family, services);
  command("nft -f -", rules);
}

Services::~Services() {
  try {
    command("nft -f -", "delete table ip services\ndelete table ip6 services\n");
  } catch (const std::exception& problem) {
    std::fputs(problem.what(), stderr);
  }
}

}  // namespace omnitide::test
