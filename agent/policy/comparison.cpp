#include "agent/policy/comparison.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <tuple>

namespace omnitide::policy {

namespace {

constexpr std::size_t kMostQuestions = 200'000'000;  // about a minute

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

class Comparer {
 public:
  Comparer(Examiner& before, Examiner& after, const std::vector<PortProbe>& probes, Comparison& out)
      : before_(before), after_(after), probes_(probes), out_(out) {}

  void compare(const std::vector<Pair>& from, const std::vector<Pair>& to) {
    const bool same = &from == &to;
    if (same && from.size() == 1) return;  // a pod reaches itself whatever is said
    const Pair& source = from.front();
    const Pair& destination = to[same ? 1 : 0];
    if (source.before.pod == nullptr && destination.before.pod == nullptr) return;
    const std::vector<bool> after = Examiner::common_families(source.after, destination.after);
    for (const bool v4 : Examiner::common_families(source.before, destination.before)) {
      if (std::ranges::find(after, v4) != after.end()) ask(source, destination, v4, from, to);
    }
  }

 private:
  void ask(const Pair& source, const Pair& destination, bool v4, const std::vector<Pair>& from,
           const std::vector<Pair>& to) {
    for (const PortProbe& probe : probes_) {
      const auto old = before_.ask(source.before, destination.before, probe.protocol, probe.first, v4);
      const auto now = after_.ask(source.after, destination.after, probe.protocol, probe.first, v4);
      if (!old || !now || old->allowed() == now->allowed()) continue;
      Difference difference{
          .from = {}, .to = {}, .port = probe, .v4 = v4, .before = old->allowed(), .after = now->allowed()};
      for (const Pair& each : from)
        difference.from.push_back(each.after.name);
      for (const Pair& each : to)
        difference.to.push_back(each.after.name);
      out_.differences.push_back(std::move(difference));
    }
  }

  Examiner& before_;
  Examiner& after_;
  const std::vector<PortProbe>& probes_;
  Comparison& out_;
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

Result<Comparison> compare(Examiner& before, Examiner& after, const std::vector<PortProbe>& probes) {
  Comparison out;
  Grouper groups(before, after);
  pair_pods(before, after, groups, out);
  pair_outside(before, after, groups);
  const std::size_t questions = groups.groups().size() * groups.groups().size() * probes.size();
  if (questions > kMostQuestions) {
    return fail(Code::resource_exhausted,
                fmt::format("the policies tell {} ends and {} ports apart, too many to compare each with each",
                            groups.groups().size(), probes.size()))
        .with_hint("compare fewer at once, by namespaces or applications");
  }
  Comparer comparer(before, after, probes, out);
  for (const auto& [one, from] : groups.groups()) {
    for (const auto& [other, to] : groups.groups())
      comparer.compare(from, to);
  }
  merge(out.differences, &Difference::from, &Difference::to);
  merge(out.differences, &Difference::to, &Difference::from);
  std::ranges::sort(out.differences, {},
                    [](const Difference& each) { return std::tie(each.from, each.to, each.port, each.v4); });
  return out;
}

}  // namespace omnitide::policy
