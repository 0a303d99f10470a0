#include "agent/policy/store.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <set>
#include <tuple>
#include <type_traits>
#include <utility>

namespace omnitide::policy {

namespace {

bool same_rules(const std::vector<Rule>& a, const std::vector<Rule>& b) {
  const auto content = [](const Rule& rule) {
    return std::tie(rule.action, rule.name, rule.any_peer, rule.peers, rule.ports);
  };
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [&content](const Rule& one, const Rule& other) { return content(one) == content(other); });
}

bool same_lines(const std::vector<Rule>& a, const std::vector<Rule>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](const Rule& one, const Rule& other) { return one.line == other.line; });
}

auto fields_of(const Namespace& o) { return std::tie(o.name, o.labels); }
auto fields_of(const Pod& o) {
  return std::tie(o.name_space, o.name, o.labels, o.node, o.addresses, o.ports, o.host_network, o.finished, o.interface,
                  o.any_source);
}
auto fields_of(const Node& o) { return std::tie(o.name, o.labels, o.addresses); }
auto fields_of(const NetworkPolicy& o) {
  return std::tie(o.name_space, o.name, o.pods, o.isolates_ingress, o.isolates_egress, o.keep_established);
}
auto fields_of(const ClusterNetworkPolicy& o) {
  return std::tie(o.name, o.tier, o.priority, o.subject_namespaces, o.subject_pods);
}
auto fields_of(const HostPolicy& o) {
  return std::tie(o.name, o.nodes, o.interfaces, o.isolates_ingress, o.isolates_egress, o.deny, o.fail_safe_ingress,
                  o.fail_safe_egress);
}

template <class T>
constexpr bool kHasRules = requires(const T& object) {
  object.ingress;
};

bool same_place(const Object& a, const Object& b) {
  const Origin &one = origin_of(a), &other = origin_of(b);
  if (one.line != other.line || one.file != other.file) return false;
  return std::visit(
      [&b](const auto& object) {
        using Kind = std::decay_t<decltype(object)>;
        if constexpr (kHasRules<Kind>) {
          const Kind& twin = std::get<Kind>(b);
          return same_lines(object.ingress, twin.ingress) && same_lines(object.egress, twin.egress);
        }
        return true;
      },
      a);
}

Fault kept_object(const ObjectKey& key, const Object& old, const std::vector<Fault>& faults) {
  const std::string name = describe(key);
  const auto cause =
      std::find_if(faults.begin(), faults.end(), [&name](const Fault& fault) { return fault.object == name; });
  return {.file = origin_of(old).file,
          .line = cause == faults.end() ? 0 : cause->line,
          .object = name,
          .message = "its last good version holds",
          .hint = "put the object right, or take it away"};
}

}  // namespace

bool same_content(const Object& a, const Object& b) {
  if (a.index() != b.index()) return false;
  return std::visit(
      [&b](const auto& object) {
        using Kind = std::decay_t<decltype(object)>;
        const Kind& twin = std::get<Kind>(b);
        if (fields_of(object) != fields_of(twin)) return false;
        if constexpr (kHasRules<Kind>)
          return same_rules(object.ingress, twin.ingress) && same_rules(object.egress, twin.egress);
        return true;
      },
      a);
}

void Store::touch(Held::iterator entry, std::vector<Held::iterator>& touched) {
  Entry& held = entry->second;
  if (held.touched) return;
  held.touched = true;
  held.before = held.claims.empty() ? nullptr : held.claims.front().object;
  touched.push_back(entry);
}

void Store::claim(const Source& source, Object object, std::vector<Held::iterator>& touched, Content& content) {
  const auto entry = held_.try_emplace(key_of(object)).first;
  touch(entry, touched);
  content.entries.push_back(entry);
  std::vector<Claim>& claims = entry->second.claims;
  const auto at = std::lower_bound(claims.begin(), claims.end(), source,
                                   [](const Claim& claim, const Source& wanted) { return *claim.source < wanted; });
  if (at == claims.end() || *at->source != source) {
    claims.insert(at, {&source, std::make_shared<const Object>(std::move(object))});
  } else if (!same_content(*at->object, object) || !same_place(*at->object, object)) {
    at->object = std::make_shared<const Object>(std::move(object));
  }
}

void Store::drop(const Source& source, Held::iterator entry, std::vector<Held::iterator>& touched) {
  touch(entry, touched);
  std::erase_if(entry->second.claims, [&source](const Claim& claim) { return *claim.source == source; });
}

void Store::replace(const Source& source, Content& content, Parsed parsed, std::vector<Held::iterator>& touched) {
  std::vector<Held::iterator> old = std::exchange(content.entries, {});
  content.faults = std::move(parsed.faults);
  if (!parsed.complete && !old.empty()) {
    content.entries = std::move(old);
    content.faults.push_back({.file = source.name,
                              .message = "nothing of it is applied; its last good content holds",
                              .hint = "put the file right"});
    return;
  }
  content.skipped = parsed.skipped;
  content.entries.reserve(parsed.objects.size());
  for (Object& object : parsed.objects)
    claim(source, std::move(object), touched, content);
  // By address: entries of a map stay where they are.
  const auto less = [](Held::iterator a, Held::iterator b) { return std::less<>{}(&*a, &*b); };
  std::sort(content.entries.begin(), content.entries.end(), less);
  content.entries.erase(std::unique(content.entries.begin(), content.entries.end()), content.entries.end());
  std::sort(parsed.refused.begin(), parsed.refused.end());
  std::vector<Held::iterator> kept;
  for (const Held::iterator entry : old) {
    if (std::binary_search(content.entries.begin(), content.entries.end(), entry, less)) continue;
    if (std::binary_search(parsed.refused.begin(), parsed.refused.end(), entry->first)) {
      const auto own = std::find_if(entry->second.claims.begin(), entry->second.claims.end(),
                                    [&source](const Claim& claim) { return *claim.source == source; });
      content.faults.push_back(kept_object(entry->first, *own->object, content.faults));
      kept.push_back(entry);
    } else {
      drop(source, entry, touched);
    }
  }
  content.entries.insert(content.entries.end(), kept.begin(), kept.end());
}

Changes Store::settle(const std::vector<Held::iterator>& touched) {
  Changes out;
  for (const Held::iterator entry : touched) {
    Entry& held = entry->second;
    const ObjectRef before = std::exchange(held.before, nullptr);
    held.touched = false;
    if (held.claims.size() > 1)
      contested_.insert(entry->first);
    else
      contested_.erase(entry->first);
    if (held.claims.empty()) {
      if (before) out.removals.push_back(entry->first);
      held_.erase(entry);
      continue;
    }
    const ObjectRef& now = held.claims.front().object;
    if (now == before) continue;
    const bool same = before && same_content(*before, *now);
    (same ? out.relocated : out.upserts).push_back(now);
  }
  return out;
}

Changes Store::apply(std::vector<SourceUpdate> updates) {
  std::vector<Held::iterator> touched;
  std::vector<Source> gone;
  for (SourceUpdate& update : updates) {
    if (update.content) {
      const auto at = sources_.try_emplace(std::move(update.source)).first;
      replace(at->first, at->second, std::move(*update.content), touched);
      if (at->second.faults.empty())
        faulty_.erase(at->first);
      else
        faulty_.insert(at->first);
    } else if (const auto at = sources_.find(update.source); at != sources_.end()) {
      for (const Held::iterator entry : std::exchange(at->second.entries, {}))
        drop(at->first, entry, touched);
      at->second.faults.clear();
      at->second.skipped = 0;
      faulty_.erase(at->first);
      gone.push_back(at->first);
    }
  }
  Changes changes = settle(touched);
  for (const Source& source : gone) {
    const auto at = sources_.find(source);
    if (at != sources_.end() && at->second.entries.empty() && at->second.faults.empty()) sources_.erase(at);
  }
  return changes;
}

ObjectRef Store::find(const ObjectKey& key) const {
  const auto at = held_.find(key);
  return at == held_.end() ? nullptr : at->second.claims.front().object;
}

std::vector<ObjectRef> Store::objects() const {
  std::vector<ObjectRef> out;
  out.reserve(held_.size());
  for (const auto& [key, entry] : held_)
    out.push_back(entry.claims.front().object);
  return out;
}

std::size_t Store::skipped() const {
  std::size_t count = 0;
  for (const auto& [source, content] : sources_)
    count += content.skipped;
  return count;
}

std::vector<Fault> Store::faults() const {
  std::vector<Fault> out;
  for (const Source& source : faulty_) {
    const Content& content = sources_.at(source);
    out.insert(out.end(), content.faults.begin(), content.faults.end());
  }
  for (const ObjectKey& key : contested_) {
    const Entry& entry = held_.at(key);
    const Object& first = *entry.claims.front().object;
    for (std::size_t i = 1; i < entry.claims.size(); ++i) {
      const Object& later = *entry.claims[i].object;
      const Origin &there = origin_of(first), &here = origin_of(later);
      out.push_back({.file = here.file,
                     .line = here.line,
                     .object = describe(key),
                     .message = fmt::format("{}:{} says it too, and comes first", there.file, there.line),
                     .hint = "take one of the two away",
                     .applied = same_content(first, later)});
    }
  }
  return out;
}

}  // namespace omnitide::policy
