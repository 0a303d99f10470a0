#include "agent/registry/survey.hpp"

#include <algorithm>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "agent/base/text.hpp"
#include "agent/codec/time.hpp"
#include "agent/registry/handlers.hpp"
#include "agent/registry/policy_repository.hpp"
#include "agent/registry/wire.hpp"

namespace omnitide::registry {

namespace asio = boost::asio;

namespace {

constexpr std::size_t kSlice = 500, kShownFaults = 10;

void count(Survey& survey, const NodeRecord& node, const SetRef& set) {
  const AppliedRecord& said = node.applied;
  Standing& wanted = survey[set->sha256];
  wanted.set = set;
  wanted.version = set->version;
  ++wanted.nodes;
  if (said.held_sha256 == set->sha256) ++wanted.holding;
  if (said.faults > 0) {
    ++wanted.faulty;
    if (wanted.faults.size() < kShownFaults)
      wanted.faults.push_back({node.node_id, node.hostname, said.first_fault, said.faults});
  }
  if (said.applied_sha256.empty()) return;
  if (said.applied_sha256 == set->sha256) {
    if (said.faults == 0) ++wanted.applied;
    return;
  }
  Standing& other = survey[said.applied_sha256];
  ++other.outdated;
  if (!other.set) other.version = said.applied_version;
}

v1::DesiredStateVersion message_of(const std::string& sha256, const Standing& standing) {
  v1::DesiredStateVersion out;
  out.set_version(standing.version);
  out.set_sha256(sha256);
  out.set_nodes(standing.nodes);
  out.set_holding(standing.holding);
  out.set_applied(standing.applied);
  out.set_faulty(standing.faulty);
  out.set_outdated(standing.outdated);
  for (const Standing::Faulty& faulty : standing.faults) {
    v1::DesiredFault& row = *out.add_faults();
    row.set_node_id(faulty.node_id);
    row.set_hostname(faulty.hostname);
    row.set_faults(faulty.faults);
    row.set_first_fault(faulty.first_fault);
  }
  return out;
}

void add_record(v1::DesiredStateVersion& out, const VersionRecord& record) {
  out.set_version(record.version);
  out.set_sha256(record.sha256);
  codec::set_time(record.created, *out.mutable_created());
  for (const std::string_view line : split(record.documents, '\n')) {
    const std::size_t blank = line.find(' ');
    if (blank == std::string_view::npos) continue;
    v1::DesiredDocumentName& row = *out.add_documents();
    row.set_name(std::string(line.substr(0, blank)));
    row.set_revision(parse_number<std::uint64_t>(line.substr(blank + 1)).value_or(0));
  }
}

// Numbers that nothing has asked for yet: an operator who looks right after a change sees the version already.
asio::awaitable<Result<>> number_all(Context& context, Survey& survey) {
  std::vector<SetRef> sets;
  for (const auto& [sha256, standing] : survey) {
    if (standing.set && !standing.set->stated()) sets.push_back(standing.set);
  }
  if (sets.empty()) co_return Result<>();
  Result<> numbered = co_await number_sets(context, std::move(sets));
  for (auto& [sha256, standing] : survey) {
    if (standing.set) standing.version = standing.set->version;
  }
  co_return numbered;
}

}  // namespace

asio::awaitable<Survey> survey_nodes(Context& context) {
  Survey out;
  std::string last;
  while (true) {
    const NodeIndex::Map& all = context.nodes.all();
    std::size_t seen = 0;
    for (auto at = all.upper_bound(last); at != all.end() && seen < kSlice; ++at, ++seen) {
      last = at->first;
      if (at->second.state == State::approved) count(out, at->second, context.desired.of(at->second));
    }
    if (seen < kSlice) break;
    co_await asio::post(context.loop, asio::use_awaitable);
  }
  co_return out;
}

Answer<v1::DesiredStateVersionList> list_desired_states(Context& context, io::HttpRequest& request) {
  const bool all = query(request, "all") == "true";
  Survey survey = co_await survey_nodes(context);
  const Result<> numbered = co_await number_all(context, survey);
  if (numbered.has_error()) co_return numbered.error();
  const auto known = std::make_shared<std::vector<VersionRecord>>();
  auto running = context.reader.run([known](Database& database) -> Result<> {
    Result<std::vector<VersionRecord>> loaded = load_versions(database);
    if (loaded.has_error()) return std::move(loaded).error();
    *known = std::move(*loaded);
    return {};
  });
  const Result<> done = co_await std::move(running);
  if (done.has_error()) co_return done.error();
  std::vector<v1::DesiredStateVersion> rows;
  for (const VersionRecord& record : *known) {
    const auto found = survey.find(record.sha256);
    if (found == survey.end() && !all) continue;
    rows.push_back(message_of(record.sha256, found == survey.end() ? Standing{} : found->second));
    add_record(rows.back(), record);
    if (found != survey.end()) survey.erase(found);
  }
  // What is left has no row: no documents, or a number that was forgotten.
  for (const auto& [sha256, standing] : survey)
    rows.push_back(message_of(sha256, standing));
  std::ranges::stable_sort(rows, [](const auto& a, const auto& b) { return a.version() > b.version(); });
  v1::DesiredStateVersionList out;
  for (v1::DesiredStateVersion& row : rows)
    *out.add_items() = std::move(row);
  co_return out;
}

}  // namespace omnitide::registry
