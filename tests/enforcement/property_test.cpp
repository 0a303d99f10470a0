// Random policy sets through compiler and publication into real maps: the maps must say what the oracle says, by a
// plain reader of them and by the programs themselves. OMNITIDE_MAP_SETS is how many, OMNITIDE_PROPERTY_SEED where they
// begin.
#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "agent/base/text.hpp"
#include "tests/harness/catch.hpp"
#include "tests/harness/links.hpp"
#include "tests/harness/policy_agreement.hpp"
#include "tests/harness/policy_judge.hpp"
#include "tests/harness/policy_maps.hpp"
#include "tests/harness/policy_oracle.hpp"

using namespace omnitide;
using policy::oracle::Oracle;
using policy::random_objects::Generator;
using test::PolicyJudge;
using test::Reader;
namespace agreement = policy::agreement;

namespace {

std::uint64_t from_environment(const char* name, std::uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : parse_number<std::uint64_t>(text).value_or(otherwise);
}

enforcement::Options options() {
  enforcement::Options out;
  out.limits = {.endpoints = 256,
                .addresses = 1024,
                .prefixes = 1024,
                .peers = 16384,
                .ports = 8192,
                .port_ranges = 8192,
                .words = 4096,
                .rules = 8192,
                .connections = 1024,
                .translations = 256,
                .fragments = 16,
                .budgets = 16,
                .deny = 256,
                .own = 16,
                .event_bytes = 4096};
  out.connection_rate = 1'000'000'000;
  return out;
}

// The addresses of the node itself, which no random object has.
const Address kOwn4 = *parse_address("203.0.113.250"), kOwn6 = *parse_address("2001:db8:eeee::250");

// A compiler and maps that go from one set to the next, on devices of a namespace of its own.
class Node {
 public:
  Node() : judge_(options()) {
    for (int i = 0; i < kDevices / 2; ++i)
      test::add_veth_pair("a" + std::to_string(i), "b" + std::to_string(i));
    for (int i = 0; i < kDevices; ++i)
      devices_.push_back(test::index_of((i % 2 == 0 ? "a" : "b") + std::to_string(i / 2)));
    must(judge_.publisher().set_own({kOwn4, kOwn6}));
  }

  void begin(const agreement::Objects& objects, const std::string& node_name) {
    name_ = node_name;
    compiler_.emplace(policy::Compiler::Options{
        .node_name = name_, .limits = {}, .first_set = set_ + 1, .first_identity = identity_ + 1});
    endpoints_.clear();
    take(must(compiler_->apply(agreement::all_of(objects))), true);
  }
  void change(const policy::Changes& changes) { take(must(compiler_->apply(changes)), false); }

  // Packets that the reader of the maps is asked about, and of those the ones that the programs judge, for each
  // endpoint and direction.
  struct Samples {
    unsigned read = 0, run = 0;
  };
  std::optional<std::string> disagreement(const agreement::Objects& objects, std::uint64_t seed, Samples samples) {
    const Oracle truth(agreement::list(objects), name_);
    const std::vector<Address> peers = Generator::addresses(objects);
    const std::vector<Generator::Probe> probes = Generator::probes(objects);
    Generator generator(seed);
    std::vector<const policy::Pod*> subjects = truth.endpoints();
    if (truth.has_host()) subjects.push_back(nullptr);
    if (subjects.size() != endpoints_.size()) return "another number of endpoints";
    for (const policy::Pod* pod : subjects) {
      const std::string name = pod == nullptr ? "host" : pod->name_space + "/" + pod->name;
      const auto endpoint = endpoints_.find(name);
      if (endpoint == endpoints_.end()) return name + " is no endpoint";
      for (unsigned i = 0; i < samples.read * 2; ++i) {
        const Question question{.pod = pod,
                                .ifindex = endpoint->second.ifindex,
                                .ingress = i % 2 == 0,
                                .peer = peers[generator.below(static_cast<unsigned>(peers.size()))],
                                .probe = probes[generator.below(static_cast<unsigned>(probes.size()))]};
        // What a pod sends to itself never comes to its device.
        if (std::ranges::count(endpoint->second.plan.addresses, question.peer) > 0) continue;
        if (auto problem = ask(truth, question, endpoint->second.plan, i < samples.run * 2)) return name + *problem;
      }
    }
    return std::nullopt;
  }
  [[nodiscard]] std::uint64_t run() const { return run_; }

 private:
  static constexpr int kDevices = 24;
  struct Placed {
    std::uint32_t ifindex = 0;
    policy::PlanEndpoint plan;
  };
  struct Question {
    const policy::Pod* pod = nullptr;  // null: the host
    std::uint32_t ifindex = 0;
    bool ingress = true;
    Address peer;
    Generator::Probe probe;
  };

  template <class T>
  static T must(Result<T> result) {
    if (result.has_error()) throw std::runtime_error(result.error().text());
    if constexpr (!std::is_void_v<T>) return std::move(*result);
  }

  void take(const policy::PlanUpdate& update, bool whole) {
    for (const policy::RuleSet& set : update.sets)
      set_ = std::max(set_, set.id);
    for (const policy::Location& location : update.locations)
      identity_ = std::max(identity_, location.identity & ~policy::kPodBit);
    for (const std::string& gone : update.gone_endpoints)
      endpoints_.erase(gone);
    for (const policy::PlanEndpoint& endpoint : update.endpoints) {
      const auto [placed, fresh] = endpoints_.try_emplace(endpoint.name);
      if (fresh) placed->second.ifindex = free_device();
      placed->second.plan = endpoint;
    }
    enforcement::Elements elements;
    for (const auto& [name, placed] : endpoints_)
      elements[placed.ifindex] = element(placed);
    enforcement::Publisher& publisher = judge_.publisher();
    must(publisher.publish(whole ? publisher.difference(update) : update, elements));
    must(publisher.retire());
  }

  [[nodiscard]] std::uint32_t free_device() const {
    for (const std::uint32_t device : devices_) {
      const auto holds = [device](const auto& entry) { return entry.second.ifindex == device; };
      if (std::ranges::none_of(endpoints_, holds)) return device;
    }
    throw std::runtime_error("too few devices");
  }

  static policy_endpoint element(const Placed& placed) {
    const policy::PlanEndpoint& plan = placed.plan;
    const bool host = plan.kind == policy::EndpointKind::host;
    policy_endpoint out{};
    out.flags = host ? POLICY_HOST : POLICY_POD;
    if (plan.any_source) out.flags |= POLICY_ANY_SOURCE;
    out.id = host ? 0 : placed.ifindex;
    out.identity = plan.identity;
    out.ingress_set = plan.ingress;
    out.egress_set = plan.egress;
    for (const Address& address : plan.addresses)
      out.addresses[address.is_v4() ? 0 : 1] = enforcement::encode(address);
    return out;
  }

  static std::string describe(const Question& question, bool wanted, std::string_view who) {
    return fmt::format(" {} {} {} port {}: the oracle says {}, not so {}", question.ingress ? "from" : "to",
                       format(question.peer), static_cast<unsigned>(question.probe.protocol), question.probe.port,
                       wanted ? "allow" : "deny", who);
  }

  std::optional<std::string> ask(const Oracle& truth, const Question& question, const policy::PlanEndpoint& plan,
                                 bool by_program) {
    const auto protocol = static_cast<std::uint8_t>(question.probe.protocol);
    const policy::oracle::Packet packet{
        .peer = question.peer, .protocol = question.probe.protocol, .port = question.probe.port};
    const bool wanted = question.pod == nullptr ? truth.host_allows(question.ingress, packet)
                        : question.ingress      ? truth.allows_ingress(*question.pod, packet)
                                                : truth.allows_egress(*question.pod, packet);
    const Reader reader(judge_.publisher().maps());
    const auto read = reader.judge(question.ifindex, question.ingress, question.peer, protocol, question.probe.port);
    const bool denied = question.pod == nullptr && reader.denied(question.peer);
    if (!read || (read->accepted && !denied) != wanted) return describe(question, wanted, "the maps");
    if (!by_program) return std::nullopt;
    const auto passed = send(question, plan, protocol);
    if (passed && *passed != wanted) return describe(question, wanted, "the programs");
    return std::nullopt;
  }

  // Nothing where no such packet can be: of a family that the endpoint does not have.
  std::optional<bool> send(const Question& question, const policy::PlanEndpoint& plan, std::uint8_t protocol) {
    const bool four = question.peer.is_v4();
    const auto icmp = question.probe.protocol;
    if (icmp == (four ? policy::Protocol::icmpv6 : policy::Protocol::icmp)) return std::nullopt;
    PolicyJudge::Packet packet{.local = four ? kOwn4 : kOwn6,
                               .remote = question.peer,
                               .protocol = protocol,
                               .port = question.probe.port,
                               .client = next_client()};
    if (question.pod == nullptr) {
      ++run_;
      return judge_.host_lets_pass(question.ifindex, question.ingress, packet);
    }
    const auto own = std::ranges::find_if(plan.addresses, [four](const Address& one) { return one.is_v4() == four; });
    if (own == plan.addresses.end()) return std::nullopt;
    packet.local = *own;
    ++run_;
    return judge_.pod_lets_pass(question.ifindex, question.ingress, packet);
  }

  // Each packet opens a connection: none that an earlier question left may answer it.
  std::uint16_t next_client() {
    constexpr std::uint16_t kFirst = 10'000, kLast = 60'000;
    client_ = client_ == kLast ? kFirst : static_cast<std::uint16_t>(client_ + 1);
    return client_;
  }

  PolicyJudge judge_;
  std::vector<std::uint32_t> devices_;
  std::string name_;
  std::optional<policy::Compiler> compiler_;
  std::map<std::string, Placed> endpoints_;
  policy::SetId set_ = 0;
  policy::IdentityId identity_ = policy::kWorld;
  std::uint16_t client_ = 10'000;
  std::uint64_t run_ = 0;
};

}  // namespace

TEST_CASE("property: maps and programs say what the policies say, for random policy sets and their changes") {
  const std::uint64_t sets = from_environment("OMNITIDE_MAP_SETS", 300);
  const std::uint64_t first = from_environment("OMNITIDE_PROPERTY_SEED", 1);
  test::in_network_namespace([&] {
    Node node;
    for (std::uint64_t seed = first; seed < first + sets; ++seed) {
      Generator generator(seed);
      agreement::Objects objects = generator.objects();
      node.begin(objects, seed % 3 == 0 ? policy::random_objects::kNodeName : "");
      auto problem = node.disagreement(objects, seed, {.read = 30, .run = 6});
      int step = 0;
      for (; step < 2 && !problem; ++step) {
        node.change(generator.change(objects));
        problem = node.disagreement(objects, seed + 1, {.read = 15, .run = 3});
      }
      if (problem)
        FAIL("seed " << seed << ", after " << step << " changes: " << *problem << "\n" << agreement::text(objects));
    }
    CHECK(node.run() > sets * 10);  // the programs were asked
  });
}
