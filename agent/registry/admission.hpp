// Whether a node may speak: its state, and which of its incarnations this is.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "agent/base/error.hpp"
#include "agent/io/http.hpp"
#include "agent/registry/clone.hpp"
#include "agent/registry/database.hpp"
#include "agent/registry/labels.hpp"
#include "agent/registry/records.hpp"

namespace google::protobuf {
template <class Key, class T>
class Map;
}

namespace omnitide::registry {

// Who speaks, taken from a request.
struct Speaker {
  Incarnation incarnation;
  SteadyTime connected{};
  std::int64_t run = 0;  // of the registry
};
// invalid_argument when boot_id or start_id is empty, longer than 64 bytes or not printable ASCII.
[[nodiscard]] Result<Speaker> speaker_of(const io::HttpRequest& request, const std::string& boot_id,
                                         const std::string& start_id, std::int64_t run);

// Nothing when the node is approved; else why it is refused and who can change that.
[[nodiscard]] std::optional<Error> refusal_of(const NodeRecord& node);
[[nodiscard]] Error superseded_error(const NodeRecord& node);

// Inside the writer's transaction: judges the speaker against the stored incarnations. A newer one is entered into
// `node`, a clone quarantines it; then the caller saves the node in either case. `changed` says whether there is
// something to save; `refusal` what to answer instead of success.
struct Admission {
  bool changed = false;
  bool clone = false;
  std::optional<Error> refusal;
};
[[nodiscard]] Result<Admission> admit(Database& database, NodeRecord& node, const Speaker& speaker);

// Replaces one source of labels; raises labels_version when the effective labels change.
[[nodiscard]] bool set_labels(NodeRecord& node, std::string NodeRecord::*source, std::string encoded);

// The labels of a message, checked.
[[nodiscard]] Result<Labels> labels_of(const google::protobuf::Map<std::string, std::string>& labels);

}  // namespace omnitide::registry
