// Random policy sets: the plan must say what the oracle says. OMNITIDE_PROPERTY_SETS is how many,
// OMNITIDE_PROPERTY_SEED where they begin; a failure prints its seed and the fewest objects that still fail.
#include <chrono>
#include <cstdlib>

#include "agent/base/text.hpp"
#include "tests/harness/catch.hpp"
#include "tests/harness/policy_agreement.hpp"

using namespace omnitide;
using namespace omnitide::policy;
using agreement::Objects;
using random_objects::Generator;

namespace {

std::uint64_t from_environment(const char* name, std::uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : parse_number<std::uint64_t>(text).value_or(otherwise);
}

std::optional<std::string> compiled_wrong(const Objects& objects, const std::string& node, std::uint64_t seed,
                                          unsigned most) {
  Compiler compiler({.node_name = node});
  const Result<PlanUpdate> update = compiler.apply(agreement::all_of(objects));
  if (update.has_error()) return update.error().text();
  Plan plan;
  plan.apply(*update);
  if (auto problem = agreement::waste(plan)) return problem;
  return agreement::disagreement(plan, objects, node, seed, most);
}

// Takes objects away for as long as what is left still fails.
Objects shrink(Objects objects, const std::string& node) {
  for (bool smaller = true; smaller;) {
    smaller = false;
    for (auto at = objects.begin(); at != objects.end();) {
      Objects without = objects;
      without.erase(at->first);
      const ObjectKey next = std::next(at) == objects.end() ? ObjectKey{} : std::next(at)->first;
      const bool last = std::next(at) == objects.end();
      if (compiled_wrong(without, node, 0, 0)) {
        objects = std::move(without);
        smaller = true;
        at = last ? objects.end() : objects.find(next);
      } else {
        ++at;
      }
    }
  }
  return objects;
}

}  // namespace

TEST_CASE("property: the plan says what the policies say, for random policy sets") {
  const std::uint64_t sets = from_environment("OMNITIDE_PROPERTY_SETS", 1500);
  const std::uint64_t first = from_environment("OMNITIDE_PROPERTY_SEED", 1);
  std::uint64_t rules = 0;
  for (std::uint64_t seed = first; seed < first + sets; ++seed) {
    const Objects objects = Generator(seed).objects();
    rules += objects.size();
    const std::string node = seed % 3 == 0 ? random_objects::kNodeName : "";
    const auto problem = compiled_wrong(objects, node, seed, 40);
    if (!problem) continue;
    const bool again = compiled_wrong(objects, node, 0, 0).has_value();
    const Objects fewest = again ? shrink(objects, node) : objects;
    FAIL("seed " << seed << ", node \"" << node << "\": " << *problem << "\nfewest objects: "
                 << compiled_wrong(fewest, node, 0, 0).value_or("(not with all packets)") << "\n"
                 << agreement::text(fewest));
  }
  CHECK(rules > sets);  // the sets were not empty
}
