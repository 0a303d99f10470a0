// The model's values as the messages of agent/api, and back. The generated code stays behind these declarations:
// include "omnitide/node/v1/....pb.h" only where a message itself is wanted.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "agent/base/error.hpp"
#include "agent/model/condition.hpp"
#include "agent/model/node_facts.hpp"
#include "agent/model/sample.hpp"

namespace omnitide::node::v1 {
class Conditions;
class NodeFacts;
class Sample;
}  // namespace omnitide::node::v1

namespace omnitide::codec {

// Serialised facts or conditions above this are refused on both sides.
inline constexpr std::size_t kMaxFactsBytes = 4U << 20U;

// Replaces what `out` held. Text that is not UTF-8 gets U+FFFD in place of the wrong bytes.
void to_proto(const model::NodeFacts& facts, node::v1::NodeFacts& out);
void from_proto(const node::v1::NodeFacts& facts, model::NodeFacts& out);

void to_proto(std::span<const model::Condition> conditions, node::v1::Conditions& out);
[[nodiscard]] std::vector<model::Condition> from_proto(const node::v1::Conditions& conditions);

void to_proto(const model::Sample& sample, node::v1::Sample& out);

// The bytes that travel and are hashed: the same facts give the same bytes, in every run and on every machine.
[[nodiscard]] std::string serialize_facts(const model::NodeFacts& facts);
[[nodiscard]] std::string serialize_conditions(std::span<const model::Condition> conditions);

// data_loss when the bytes are no such message, resource_exhausted when they are too many.
[[nodiscard]] Result<model::NodeFacts> parse_facts(std::string_view bytes);
[[nodiscard]] Result<std::vector<model::Condition>> parse_conditions(std::string_view bytes);

}  // namespace omnitide::codec
