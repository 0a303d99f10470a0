#include "discovery/inventory/inventory.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "discovery/inventory/merge.hpp"

namespace omnitide::discovery {

namespace {

// Reports that are kept beside the current one, each of a source: more than one only while its troubles change.
constexpr std::size_t kEarlier = 4;
constexpr std::size_t kProblems = 256;

constexpr std::array<std::string_view, 1> kSourceLabel{"source"};
constexpr model::MetricDescriptor kSuccess{"omnitide_discovery_source_success", "",
                                           "Whether the last read of a discovery source gave a complete report.",
                                           model::MetricType::gauge, kSourceLabel};
constexpr model::MetricDescriptor kDuration{"omnitide_discovery_source_duration_seconds", "seconds",
                                            "How long the last read of a discovery source took.",
                                            model::MetricType::gauge, kSourceLabel};

// Sorted, each once, bounded: as a set to compare.
void tidy(std::vector<std::string>& problems) {
  std::sort(problems.begin(), problems.end());
  problems.erase(std::unique(problems.begin(), problems.end()), problems.end());
  if (problems.size() > kProblems) problems.resize(kProblems);
}

// Whether whoever had the troubles `more` could read nothing that one with the troubles `fewer` could not.
bool covers(const std::vector<std::string>& fewer, const std::vector<std::string>& more) {
  return std::includes(more.begin(), more.end(), fewer.begin(), fewer.end());
}

template <class Wanted>
std::vector<std::size_t> select(const std::vector<Source>& sources, Wanted wanted) {
  std::vector<std::size_t> indices;
  for (std::size_t i = 0; i < sources.size(); ++i) {
    if (wanted(sources[i])) indices.push_back(i);
  }
  return indices;
}

}  // namespace

Inventory::Inventory(std::vector<Source> sources) : sources_(std::move(sources)), held_(sources_.size()) {
  for (std::size_t i = 0; i < sources_.size(); ++i)
    held_[i].status.name = sources_[i].name;
}

void Inventory::accept(std::size_t index, Result<Report> outcome, std::chrono::steady_clock::duration duration,
                       WallTime now) {
  Held& held = held_.at(index);
  held.status.duration = duration;
  held.status.last_attempt = now;
  held.status.problems.clear();
  if (!outcome) {
    held.status.ok = false;
    held.status.error = outcome.error().text();
    if (held.current) held.current->samples.clear();
    return;
  }
  Report report = std::move(*outcome);
  tidy(report.problems);
  held.status.ok = report.problems.empty();
  held.status.error.clear();
  held.status.problems = report.problems;
  held.status.last_success = now;
  if (held.current && !report.problems.empty()) {
    accept_partial(index, std::move(report));
  } else {
    held.earlier.clear();
    held.gone.clear();
    held.current = std::move(report);
  }
  stale_ = true;
}

// An earlier report that had all of the new one's troubles is superseded: what it had and the new one has not is gone,
// not unreadable. Without this rule one file that is never readable would keep every unplugged device for ever.
void Inventory::accept_partial(std::size_t index, Report report) {
  Held& held = held_[index];
  const model::NodeFacts before = fold(index);
  const auto items_of = [&before](const Report& of) {
    model::NodeFacts facts = before;
    if (of.patch) of.patch(facts);
    return item_names(facts);
  };
  std::vector<Report> candidates;
  candidates.push_back(std::move(*held.current));
  std::move(held.earlier.begin(), held.earlier.end(), std::back_inserter(candidates));
  held.earlier.clear();

  ItemNames vanished = std::move(held.gone), still_known;
  for (Report& candidate : candidates) {
    candidate.samples.clear();
    if (covers(report.problems, candidate.problems)) {
      vanished.merge(items_of(candidate));
    } else if (held.earlier.size() < kEarlier) {
      still_known.merge(items_of(candidate));
      held.earlier.push_back(std::move(candidate));
    }
  }
  const ItemNames present = items_of(report);
  held.gone.clear();
  for (const std::string& name : vanished) {
    if (!present.contains(name) && still_known.contains(name)) held.gone.insert(name);
  }
  held.current = std::move(report);
}

model::NodeFacts Inventory::fold(std::size_t count) const {
  model::NodeFacts facts;
  for (std::size_t i = 0; i < count; ++i) {
    const Held& held = held_[i];
    if (!held.current || !held.current->patch) continue;
    if (held.earlier.empty()) {
      held.current->patch(facts);
      continue;
    }
    const model::NodeFacts before = facts;
    held.current->patch(facts);
    for (const Report& report : held.earlier) {
      model::NodeFacts earlier = before;
      if (report.patch) report.patch(earlier);
      fill(facts, earlier, held.gone);
    }
  }
  return facts;
}

const model::NodeFacts& Inventory::facts() {
  if (stale_) {
    model::NodeFacts now = fold(held_.size());
    stale_ = false;
    if (now != facts_) {
      facts_ = std::move(now);
      changed_ = true;
    }
  }
  return facts_;
}

bool Inventory::changed() {
  (void)facts();
  return std::exchange(changed_, false);
}

std::vector<model::Sample> Inventory::samples() const {
  std::vector<model::Sample> samples;
  for (const Held& held : held_) {
    if (held.current) samples.insert(samples.end(), held.current->samples.begin(), held.current->samples.end());
  }
  for (const Held& held : held_) {
    if (!held.status.last_attempt) continue;
    const std::string name(held.status.name);
    samples.push_back({&kSuccess, {name}, held.status.ok ? 1.0 : 0.0});
    samples.push_back({&kDuration, {name}, std::chrono::duration<double>(held.status.duration).count()});
  }
  return samples;
}

std::vector<SourceStatus> Inventory::status() const {
  std::vector<SourceStatus> all;
  all.reserve(held_.size());
  for (const Held& held : held_)
    all.push_back(held.status);
  return all;
}

bool Inventory::complete() const {
  return std::all_of(held_.begin(), held_.end(), [](const Held& held) { return held.status.last_attempt.has_value(); });
}

std::vector<std::size_t> Inventory::wanted_by_uevent(std::string_view subsystem) const {
  return select(sources_, [subsystem](const Source& source) {
    return std::find(source.subsystems.begin(), source.subsystems.end(), subsystem) != source.subsystems.end();
  });
}

std::vector<std::size_t> Inventory::wanted_by_rtnetlink() const {
  return select(sources_, [](const Source& source) { return source.on_rtnetlink; });
}

std::vector<std::size_t> Inventory::wanted_by_mounts() const {
  return select(sources_, [](const Source& source) { return source.on_mounts; });
}

void Debouncer::event(SteadyTime now) {
  if (!first_) first_ = now;
  last_ = now;
}

std::optional<SteadyTime> Debouncer::due() const {
  if (!first_) return std::nullopt;
  return std::min(*last_ + quiet_, *first_ + cap_);
}

bool Debouncer::take(SteadyTime now) {
  const std::optional<SteadyTime> when = due();
  if (!when || now < *when) return false;
  first_.reset();
  last_.reset();
  return true;
}

}  // namespace omnitide::discovery
