#include "agent/policy/comparison.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <tuple>
#include <utility>

namespace omnitide::policy {

namespace {

constexpr std::size_t kMostQuestions = 200'000'000;  // about a minute
constexpr std::size_t kMostDifferences = 1'000'000;
constexpr std::uint32_t kLastPort = 65'535;

// All that a verdict depends on, in both sets: ends with the same key are judged alike by and towards everybody else.
struct Likeness {
  std::vector<std::uint64_t> numbers;
  std::string node;  // of pods on the host's network, and of those that they always reach
  auto operator<=>(const Likeness&) const = default;
};

struct Pair {
  End before, after;
};
using Groups = std::map<Likeness, std::vector<Pair>>;

void describe(const Examiner& examiner, const End& end, Likeness& out) {
  out.numbers.push_back(end.identities.size());
  for (std::size_t i = 0; i < end.identities.size(); ++i) {
    out.numbers.push_back(examiner.peer_class(end.identities[i]));
    out.numbers.push_back(end.addresses[i].is_v4() ? 1 : 0);
  }
  out.numbers.push_back(end.endpoint == nullptr ? 0 : 1);
  out.numbers.push_back(end.endpoint == nullptr ? kOpen : end.endpoint->ingress);
  out.numbers.push_back(end.endpoint == nullptr ? kOpen : end.endpoint->egress);
  out.numbers.push_back(end.pod == nullptr ? 0 : end.pod->host_network ? 2 : 1);
}

class Grouper {
 public:
  Grouper(const Examiner& before, const Examiner& after) : before_(before), after_(after) {
    for (const Examiner* examiner : {&before, &after}) {
      for (const End& end : examiner->pods())
        if (end.pod->host_network) nodes_.insert(end.pod->node);
    }
  }
  void add(Pair pair) { groups_[key_of(pair)].push_back(std::move(pair)); }
  // Unless there is one like it.
  void add_first(Pair pair) {
    std::vector<Pair>& group = groups_[key_of(pair)];
    if (group.empty()) group.push_back(std::move(pair));
  }
  [[nodiscard]] const Groups& groups() const { return groups_; }

 private:
  [[nodiscard]] Likeness key_of(const Pair& pair) const {
    Likeness key;
    describe(before_, pair.before, key);
    describe(after_, pair.after, key);
    for (const End* end : {&pair.before, &pair.after}) {
      if (end->pod != nullptr && nodes_.contains(end->pod->node)) key.node += end->pod->node;
      key.node += '\n';
    }
    return key;
  }

  const Examiner& before_;
  const Examiner& after_;
  std::set<std::string> nodes_;  // that pods on the host's network speak for
  Groups groups_;
};

// The pods of both sets; the others' names go to `out`.
void pair_pods(const Examiner& before, const Examiner& after, Grouper& groups, Comparison& out) {
  auto old = before.pods().begin();
  auto now = after.pods().begin();
  while (old != before.pods().end() || now != after.pods().end()) {
    if (now == after.pods().end() || (old != before.pods().end() && old->name < now->name)) {
      out.only_old.push_back((old++)->name);
    } else if (old == before.pods().end() || now->name < old->name) {
      out.only_new.push_back((now++)->name);
    } else {
      groups.add({*old++, *now++});
    }
  }
}

// One address for each part outside of pods that either set tells apart: where one of them begins to see something
// else.
void pair_outside(const Examiner& before, const Examiner& after, Grouper& groups) {
  std::set<Address> addresses = before.borders();
  addresses.merge(after.borders());
  for (const Address& address : addresses) {
    const std::string text = format(address);
    Pair pair{before.find(text)->front(), after.find(text)->front()};
    if (pair.before.pod == nullptr && pair.after.pod == nullptr) groups.add_first(std::move(pair));
  }
}

// Where a set of rules begins to say something else about a port, by protocol.
using Borders = std::map<Protocol, std::vector<std::uint32_t>>;

Borders borders_of(const RuleSet& set) {
  constexpr unsigned kPortBits = 16;
  Borders out;
  for (const PortRow& row : set.ports) {
    if (row.length == 0) continue;
    std::vector<std::uint32_t>& ports = out[static_cast<Protocol>(row.protocol)];
    ports.push_back(row.port);
    ports.push_back(row.port + (1U << (kPortBits - row.length)));
  }
  return out;
}

class Comparer {
 public:
  Comparer(Examiner& before, Examiner& after, Comparison& out) : before_(before), after_(after), out_(out) {}

  // False when it would be too much.
  [[nodiscard]] bool compare(const std::vector<Pair>& from, const std::vector<Pair>& to) {
    const bool same = &from == &to;
    if (same && from.size() == 1) return true;  // a pod reaches itself whatever is said
    const Pair& source = from.front();
    const Pair& destination = to[same ? 1 : 0];
    if (source.before.pod == nullptr && destination.before.pod == nullptr) return true;
    const std::vector<bool> after = Examiner::common_families(source.after, destination.after);
    for (const bool v4 : Examiner::common_families(source.before, destination.before)) {
      if (std::ranges::find(after, v4) == after.end()) continue;
      for (const Protocol protocol : {Protocol::tcp, Protocol::udp, Protocol::sctp, Protocol::icmp})
        ask(source, destination, protocol, v4, from, to);
    }
    return asked_ <= kMostQuestions && out_.differences.size() <= kMostDifferences;
  }

 private:
  struct Outcome {
    bool before = false, after = false;
    bool operator==(const Outcome&) const = default;
  };

  [[nodiscard]] const Borders& borders(const Examiner& examiner, SetId set) {
    const auto [at, fresh] = borders_.try_emplace({&examiner, set});
    if (fresh) at->second = borders_of(examiner.plan().sets().at(set).rules);
    return at->second;
  }

  // The first port of each range in which no rule about these two ends tells ports apart. ICMP: 0.
  [[nodiscard]] std::vector<std::uint32_t> ranges(const Pair& source, const Pair& destination, Protocol protocol) {
    if (protocol == Protocol::icmp) return {0};
    std::vector<std::uint32_t> out{1};
    const auto add = [&](const Examiner& examiner, const End& end, Direction direction) {
      if (end.endpoint == nullptr) return;
      const SetId set = direction == Direction::ingress ? end.endpoint->ingress : end.endpoint->egress;
      if (set == kOpen) return;
      const Borders& all = borders(examiner, set);
      if (const auto found = all.find(protocol); found != all.end())
        out.insert(out.end(), found->second.begin(), found->second.end());
    };
    add(before_, source.before, Direction::egress);
    add(before_, destination.before, Direction::ingress);
    add(after_, source.after, Direction::egress);
    add(after_, destination.after, Direction::ingress);
    std::ranges::sort(out);
    out.erase(std::unique(out.begin(), out.end()), out.end());
    std::erase_if(out, [](std::uint32_t port) { return port == 0 || port > kLastPort; });
    return out;
  }

  void ask(const Pair& source, const Pair& destination, Protocol protocol, bool v4, const std::vector<Pair>& from,
           const std::vector<Pair>& to) {
    std::optional<Outcome> last;
    for (const std::uint32_t first : ranges(source, destination, protocol)) {
      ++asked_;
      const auto port = static_cast<std::uint16_t>(first);
      const Outcome outcome{before_.ask(source.before, destination.before, protocol, port, v4)->allowed(),
                            after_.ask(source.after, destination.after, protocol, port, v4)->allowed()};
      if (last && last->before != last->after) {
        out_.differences.back().port.last = static_cast<std::uint16_t>(outcome == *last ? kLastPort : first - 1);
      }
      if (outcome.before != outcome.after && (!last || *last != outcome)) tell(protocol, port, v4, outcome, from, to);
      last = outcome;
    }
  }

  void tell(Protocol protocol, std::uint16_t first, bool v4, const Outcome& outcome, const std::vector<Pair>& from,
            const std::vector<Pair>& to) {
    Difference difference;
    difference.port = {.protocol = protocol,
                       .first = first,
                       .last = static_cast<std::uint16_t>(protocol == Protocol::icmp ? 0 : kLastPort)};
    difference.v4 = v4;
    difference.before = outcome.before;
    difference.after = outcome.after;
    for (const Pair& each : from)
      difference.from.push_back(each.after.name);
    for (const Pair& each : to)
      difference.to.push_back(each.after.name);
    out_.differences.push_back(std::move(difference));
  }

  Examiner& before_;
  Examiner& after_;
  Comparison& out_;
  std::map<std::pair<const Examiner*, SetId>, Borders> borders_;
  std::size_t asked_ = 0;
};

// Puts together what differs in the names of one end only: identities that no rule in question tells apart.
void merge(std::vector<Difference>& all, std::vector<std::string> Difference::*merged,
           std::vector<std::string> Difference::*kept) {
  using Key = std::tuple<std::vector<std::string>, PortProbe, bool, bool, bool>;
  std::map<Key, Difference> out;
  for (Difference& each : all) {
    const Key key{each.*kept, each.port, each.v4, each.before, each.after};
    const auto [at, fresh] = out.try_emplace(key, each);
    if (fresh) continue;
    std::vector<std::string>& names = at->second.*merged;
    names.insert(names.end(), (each.*merged).begin(), (each.*merged).end());
  }
  all.clear();
  for (auto& [key, each] : out) {
    std::ranges::sort(each.*merged);
    all.push_back(std::move(each));
  }
}

}  // namespace

Result<Comparison> compare(Examiner& before, Examiner& after) {
  Comparison out;
  Grouper groups(before, after);
  pair_pods(before, after, groups, out);
  pair_outside(before, after, groups);
  Comparer comparer(before, after, out);
  for (const auto& [one, from] : groups.groups()) {
    for (const auto& [other, to] : groups.groups()) {
      if (comparer.compare(from, to)) continue;
      return fail(Code::resource_exhausted,
                  fmt::format("the policies tell {} ends apart, too many to compare each with each or to tell all that "
                              "is different",
                              groups.groups().size()))
          .with_hint("compare fewer at once, by namespaces or applications");
    }
  }
  merge(out.differences, &Difference::from, &Difference::to);
  merge(out.differences, &Difference::to, &Difference::from);
  std::ranges::sort(out.differences, {},
                    [](const Difference& each) { return std::tie(each.from, each.to, each.port, each.v4); });
  return out;
}

}  // namespace omnitide::policy
