// Policies and versions of desired state in the database.
#include "agent/registry/policy_repository.hpp"
#include "agent/registry/schema.hpp"
#include "tests/harness/catch.hpp"
#include "tests/harness/registry.hpp"

using namespace omnitide;
using namespace omnitide::test;

TEST_CASE("history is bounded by bytes and by the number of names that are gone") {
  const Folder folder;
  auto database = must(registry::open_store(folder.path + "/registry.db"));
  const auto save = [&database](const std::string& name, std::size_t bytes, bool deleted) {
    registry::PolicyRecord record;
    record.name = name;
    record.bytes = bytes;  // what is counted; the text itself may be short here
    record.deleted = deleted;
    must(registry::save_policy(database, record));
    return record.revision;
  };
  const std::uint64_t oldest = save("big", registry::kHistoryKept / 2 + 1, false);
  save("big", registry::kHistoryKept / 2 + 1, false);
  CHECK(must(registry::find_revision(database, "big", oldest)).has_value());
  save("big", 1, false);
  CHECK_FALSE(must(registry::find_revision(database, "big", oldest)).has_value());
  CHECK(must(registry::policy_history(database, "big")).size() == 2);
  must(database.execute("BEGIN"));
  for (std::size_t i = 0; i < registry::kGoneKept + 5; ++i)
    save("gone-" + std::to_string(i), 0, true);
  must(database.execute("COMMIT"));
  CHECK(must(registry::policy_history(database, "gone-0")).empty());
  CHECK(must(registry::policy_history(database, "gone-5")).size() == 1);
  CHECK(must(registry::load_policies(database)).size() == 1);
  CHECK(must(registry::policy_totals(database)).documents == 1);
}

TEST_CASE("numbers of contents are given once each, and the last thousand are kept") {
  const Folder folder;
  auto database = must(registry::open_store(folder.path + "/registry.db"));
  must(database.execute("BEGIN"));
  for (std::uint64_t i = 1; i <= registry::kVersionsKept + 10; ++i) {
    const registry::VersionRecord record{
        .version = 0, .sha256 = io::sha256(std::to_string(i)), .documents = "a 1\n", .created = {}};
    REQUIRE(must(registry::number_version(database, record)) == i);
    REQUIRE(must(registry::number_version(database, record)) == i);
  }
  must(database.execute("COMMIT"));
  const auto kept = must(registry::load_versions(database));
  CHECK(kept.size() == registry::kVersionsKept);
  CHECK(kept.front().version == registry::kVersionsKept + 10);
}
