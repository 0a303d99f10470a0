#include "tests/harness/traffic_cluster.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <stdexcept>

#include "agent/base/text.hpp"

namespace omnitide::test {

using policy::ObjectKey;
using policy::Pod;
using policy::Protocol;

namespace {

constexpr const char* kNode = "node-1";
const std::vector<std::uint16_t> kPorts{22, 80, 81, 443, 999, 1000, 1003, 1004, 7000, 8000, 8080, 9000, 65535};

void enter_cgroup(const std::string& folder) {
  std::ofstream file(folder + "/cgroup.procs");
  file << ::getpid() << std::flush;
  if (!file) throw std::runtime_error("cannot enter the cgroup " + folder);
}

Protocol protocol_of(std::string_view name) {
  if (name == "TCP") return Protocol::tcp;
  if (name == "UDP") return Protocol::udp;
  if (name == "SCTP") return Protocol::sctp;
  if (name == "ICMP") return Protocol::icmp;
  throw std::invalid_argument("no protocol: " + std::string(name));
}

// "80", "80/UDP", "ICMP"
void read_port(std::string_view text, Protocol& protocol, std::uint16_t& port) {
  const std::vector<std::string_view> parts = split(text, '/');
  protocol = Protocol::tcp;
  port = 0;
  if (parts.size() > 1 || text == "ICMP") protocol = protocol_of(parts.back());
  if (text != "ICMP") port = parse_number<std::uint16_t>(parts[0]).value();
}

std::string port_text(Protocol protocol, std::uint16_t port) {
  switch (protocol) {
    case Protocol::tcp: return std::to_string(port);
    case Protocol::udp: return fmt::format("{}/UDP", port);
    case Protocol::sctp: return fmt::format("{}/SCTP", port);
    default: return "ICMP";
  }
}

}  // namespace

std::string local_pod(std::string_view name_space, std::string_view name, std::string_view labels,
                      std::string_view addresses, std::string_view spec, std::string_view status) {
  std::string ips;
  for (const std::string_view address : split(addresses, ','))
    ips += fmt::format("{}{{ip: \"{}\"}}", ips.empty() ? "" : ", ", trim(address));
  return policy::pod(name_space, name, labels,
                     fmt::format("spec: {{nodeName: {}{}{}}}\nstatus: {{{}, podIPs: [{}]}}", kNode,
                                 spec.empty() ? "" : ", ", spec, status, ips));
}

std::string real_cluster() {
  std::string out = policy::conformance_cluster();
  const std::string_view before = "spec:\n", added = "  nodeName: node-1\n";
  for (std::size_t at = out.find(before); at != std::string::npos; at = out.find(before, at + 1))
    out.insert(at + before.size(), added);
  for (const auto& [name, four, six] : {std::array{"node-1", "10.9.0.1", "fd09::1"}, {"node-2", "10.9.0.2", "fd09::2"}})
    out += fmt::format(
        "---\napiVersion: v1\nkind: Node\nmetadata: {{name: {0}, labels: {{node: {0}}}}}\n"
        "status: {{addresses: [{{type: InternalIP, address: {1}}}, {{type: InternalIP, address: \"{2}\"}}]}}\n",
        name, four, six);
  return out + policy::pod("y", "far", "pod: far",
                           "spec: {nodeName: node-2}\n"
                           "status: {phase: Running, podIPs: [{ip: 10.1.2.9}, {ip: \"fd01::2:9\"}]}");
}

struct Cluster::Question {
  std::string line;
  End from, seen_from, to, judged_to;
  bool reaches = true;
  Protocol protocol = Protocol::tcp;
  std::uint16_t port = 0, judged_port = 0;
};

struct Cluster::Asked {
  Probe probe;
  Address judged_from, judged_to, seen_from;
  std::uint16_t judged_port = 0;
  std::string server;  // who has to answer
};

const Address* Cluster::End::of_family(bool four) const {
  const auto found = std::ranges::find_if(addresses, [four](const Address& one) { return one.is_v4() == four; });
  return found == addresses.end() ? nullptr : &*found;
}

Cluster::Cluster(const std::string& bpffs, Topology topology)
    : network_(topology), node_(bpffs), membership_(node_.options.cgroup), world_(real_cluster(), kNode) {
  node_.options.limits = {};
  node_.options.limits.connections = 16384;
  node_.options.interfaces = {"pod*"};
  responder_.serve("node", kPorts);
  network_.outside().run([this] { responder_.serve("outside", kPorts); });
  plug_new_pods();
  publish(world_.compiler().everything(), true);
  find_devices();
}

Cluster::Membership::Membership(std::string folder) : folder_(std::move(folder)) { enter_cgroup(folder_); }

Cluster::Membership::~Membership() {
  try {
    enter_cgroup(std::filesystem::path(folder_).parent_path());
  } catch (const std::exception& problem) {
    std::fputs(problem.what(), stderr);
  }
}

void Cluster::publish(const policy::PlanUpdate& update, bool whole) {
  if (const Result<> done = node_->links_changed(); done.has_error()) throw std::runtime_error(done.error().text());
  if (const Result<> done = node_->publish(update, whole); done.has_error())
    throw std::runtime_error(done.error().text());
  if (const Result<> done = node_->settle(); done.has_error()) throw std::runtime_error(done.error().text());
}

void Cluster::apply(const std::string& yaml) {
  const policy::PlanUpdate update = world_.apply(yaml);
  plug_new_pods();
  publish(update);
  find_devices();
}

void Cluster::remove(ObjectKey::Kind kind, std::string_view name_space, std::string_view name) {
  publish(world_.remove(kind, name_space, name));
}

void Cluster::reset() {
  const policy::agreement::Objects base = policy::World(real_cluster(), kNode).objects();
  std::vector<ObjectKey> extra;
  for (const auto& [key, object] : world_.objects()) {
    if (!base.contains(key)) extra.push_back(key);
  }
  for (const ObjectKey& key : extra)
    publish(world_.remove(key.kind, key.name_space, key.name));
  apply(real_cluster());
  unplug_gone_pods();
}

// Pods of this node with an address have a namespace of their own.
void Cluster::plug_new_pods() {
  for (const auto& [key, object] : world_.objects()) {
    const auto* pod = std::get_if<Pod>(&*object);
    if (pod == nullptr || pod->node != kNode || pod->host_network || pod->addresses.empty()) continue;
    const std::string name = pod->name_space + "/" + pod->name;
    if (!plugged_.contains(name)) plug(name, pod->addresses);
  }
}

void Cluster::plug(const std::string& name, const std::vector<Address>& addresses) {
  network_.add_pod(name, addresses);
  network_.pod(name)->run([this, &name] { responder_.serve(name, kPorts); });
  plugged_.insert(name);
}

void Cluster::unplug_gone_pods() {
  std::erase_if(plugged_, [this](const std::string& name) {
    const std::size_t slash = name.find('/');
    if (world_.objects().contains({ObjectKey::Kind::pod, name.substr(0, slash), name.substr(slash + 1)})) return false;
    responder_.stop(name);
    network_.remove_pod(name);
    return true;
  });
  if (const Result<> done = node_->links_changed(); done.has_error()) throw std::runtime_error(done.error().text());
}

// What the daemon does: asks where pods are until bridges have learnt it.
void Cluster::find_devices() {
  constexpr int kTries = 200;
  for (int i = 0; i < kTries; ++i) {
    const std::vector<enforcement::EndpointStatus> all = node_->status().endpoints;
    const auto lost = std::ranges::find_if(all, [](const auto& one) { return !one.pending.empty(); });
    if (lost == all.end()) return;
    if (i + 1 == kTries) throw std::runtime_error(lost->name + ": " + lost->pending);
    if (i % 50 == 0) node_->search();
    ::usleep(5000);
    if (const Result<> done = node_->links_changed(); done.has_error()) throw std::runtime_error(done.error().text());
  }
}

Cluster::End Cluster::end(std::string_view text) const {
  End out;
  out.name = "outside";
  out.space = &network_.outside();
  if (text == "node") return {"node", nullptr, NodeNetwork::node_addresses(), true};
  if (text == "masq") return {"node", nullptr, network_.masquerade_addresses(), false};
  if (text == "node-2") {
    out.addresses = NodeNetwork::other_node_addresses();
    return out;
  }
  const std::optional<Address> literal = parse_address(text);
  const bool of_node = literal && std::ranges::count(NodeNetwork::node_addresses(), *literal) > 0;
  if (of_node) return {"node", nullptr, {*literal}, false};
  for (const auto& [key, object] : world_.objects()) {
    const auto* pod = std::get_if<Pod>(&*object);
    if (pod == nullptr || pod->host_network) continue;
    const std::string name = pod->name_space + "/" + pod->name;
    if (literal ? std::ranges::count(pod->addresses, *literal) == 0 : name != text) continue;
    out.addresses = literal ? std::vector{*literal} : pod->addresses;
    if (network_.pod(name) == nullptr) return out;
    out.name = name;
    out.space = network_.pod(name);
    return out;
  }
  if (!literal) throw std::invalid_argument("no end: " + std::string(text));
  out.addresses = {*literal};
  return out;
}

Cluster::Question Cluster::read(const std::string& line) const {
  const std::vector<std::string_view> words = split_words(line);
  std::size_t at = 0;
  const auto next = [&] { return words.at(at++); };
  const auto is = [&](std::string_view word) { return at < words.size() && words[at] == word && ++at; };
  Question out;
  out.line = line;
  out.seen_from = out.from = end(next());
  if (is("as")) out.seen_from = end(next());
  const std::string_view arrow = next();
  if (arrow != "->" && arrow != "-x") throw std::invalid_argument("no arrow: " + line);
  out.reaches = arrow == "->";
  out.judged_to = out.to = end(next());
  read_port(next(), out.protocol, out.port);
  out.judged_port = out.port;
  if (is("as")) {
    out.judged_to = end(next());
    Protocol same = out.protocol;
    read_port(next(), same, out.judged_port);
  }
  if (at != words.size()) throw std::invalid_argument("too many words: " + line);
  return out;
}

std::optional<Cluster::Asked> Cluster::over(const Question& question, bool four) const {
  const Address* from = question.from.of_family(four);
  const Address* to = question.to.of_family(four);
  const Address* seen_from = question.seen_from.of_family(four);
  const Address* judged_to = question.judged_to.of_family(four);
  if (from == nullptr || to == nullptr) return std::nullopt;
  if (seen_from == nullptr || judged_to == nullptr) throw std::invalid_argument("other families: " + question.line);
  Asked out;
  out.probe.from = question.from.space;
  if (!question.from.any_source) out.probe.source = *from;
  out.probe.destination = *to;
  out.probe.protocol = question.protocol;
  out.probe.port = question.port;
  out.probe.hopeful = question.reaches;
  out.seen_from = *seen_from;
  out.judged_from = network_.pod(question.from.name) != nullptr ? *from : *seen_from;
  out.judged_to = *judged_to;
  out.judged_port = question.judged_port;
  out.server = question.judged_to.name;
  return out;
}

// Over the uplink HostPolicy has a say, too: its deny list about everybody, its rules about the node.
bool Cluster::plan_allows(const Asked& asked) const {
  const std::string from = format(asked.judged_from), to = format(asked.judged_to);
  const std::string port = port_text(asked.probe.protocol, asked.judged_port);
  const bool from_node = asked.probe.from == nullptr, to_node = asked.server == "node";
  const bool comes_in = asked.probe.from == &network_.outside(), goes_out = asked.server == "outside";
  if (comes_in != goes_out) {
    const Address& far = comes_in ? asked.judged_from : asked.judged_to;
    const auto& denied = world_.plan().host_deny();
    if (std::ranges::any_of(denied, [&far](const Prefix& prefix) { return prefix.contains(far); })) return false;
    if (to_node) return world_.host(policy::Direction::ingress, from, port);
    if (from_node) return world_.host(policy::Direction::egress, to, port);
  }
  return world_.egress(from, to, port) && (from_node || world_.ingress(from, to, port));
}

Lines Cluster::wrong(const Lines& lines) {
  std::vector<Question> questions;
  for (const std::string& line : lines)
    questions.push_back(read(line));
  return answers_that_are_wrong(questions);
}

Lines Cluster::answers_that_are_wrong(const std::vector<Question>& questions) {
  std::vector<Asked> all;
  std::vector<const Question*> owners;
  for (const Question& question : questions) {
    const std::size_t before = all.size();
    for (const bool four : {true, false}) {
      if (auto asked = over(question, four)) {
        all.push_back(std::move(*asked));
        owners.push_back(&question);
      }
    }
    if (all.size() == before) throw std::invalid_argument("no family in common: " + question.line);
  }
  std::vector<Probe> probes;
  for (const Asked& asked : all)
    probes.push_back(asked.probe);
  const std::vector<Answer> answers = ask(probes, responder_);
  Lines out;
  for (std::size_t i = 0; i < all.size(); ++i) {
    const Question& question = *owners[i];
    const Answer& answer = answers[i];
    const std::string family = all[i].probe.destination.is_v4() ? "IPv4" : "IPv6";
    const auto complain = [&](const std::string& what) {
      out.push_back(fmt::format("{} [{}]: {}", question.line, family, what));
    };
    if (plan_allows(all[i]) != question.reaches)
      complain(fmt::format("the plan says {}", question.reaches ? "deny" : "allow"));
    if (answer.reached != question.reaches) complain(answer.how);
    if (!answer.reached || question.protocol == Protocol::icmp) continue;
    if (answer.server != all[i].server) complain("answered by " + answer.server);
    if (!question.from.any_source && answer.client != format(all[i].seen_from))
      complain("the server saw " + answer.client);
  }
  return out;
}

Lines Cluster::wrong_in_matrix(const std::vector<std::string>& ports) {
  std::vector<Question> questions;
  const auto add = [&](const Address& from, const Address& to, const std::string& port) {
    if (from.is_v4() != to.is_v4()) return;
    const std::string a = format(from), b = format(to);
    questions.push_back(read(fmt::format("{} {} {} {}", a, world_.reaches(a, b, port) ? "->" : "-x", b, port)));
  };
  for (const std::string& from : plugged_) {
    for (const std::string& to : plugged_) {
      for (const Address& source : end(from).addresses) {
        for (const Address& destination : end(to).addresses) {
          for (const std::string& port : ports)
            add(source, destination, port);
        }
      }
    }
  }
  return answers_that_are_wrong(questions);
}

Flow Cluster::open(const std::string& line) { return Flow(probe(line)); }

Probe Cluster::probe(const std::string& line) const {
  const Question question = read(line);
  for (const bool four : {true, false}) {
    if (const auto asked = over(question, four)) return asked->probe;
  }
  throw std::invalid_argument("no family in common: " + line);
}

std::uint64_t Cluster::counted(std::string_view reason) {
  const Result<enforcement::Counters> counters = node_->counters();
  if (counters.has_error()) throw std::runtime_error(counters.error().text());
  std::uint64_t out = 0;
  for (const enforcement::Counter& counter : counters->verdicts) {
    if (enforcement::reason_name(counter.reason) == reason) out += counter.packets;
  }
  return out;
}

}  // namespace omnitide::test
