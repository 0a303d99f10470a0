#include "agent/policy/lint_view.hpp"

#include <algorithm>
#include <variant>

namespace omnitide::policy {

namespace {

// A text that differs wherever two selectors differ.
void append(std::string& out, const Selector& selector) {
  const auto word = [&out](const std::string& text) { out += std::to_string(text.size()) + ":" + text; };
  for (const Requirement& requirement : selector.requirements) {
    out += static_cast<char>('a' + static_cast<int>(requirement.op));
    word(requirement.key);
    for (const std::string& value : requirement.values)
      word(value);
  }
  out += '/';
}

void take(const LintView::Group& group, const Selector& pods, Selected& out) {
  for (const Pod* pod : group.pods) {
    if (pod->finished || !matches(pods, pod->labels)) continue;
    if (!pod->host_network) {
      out.pods.push_back(pod);
    } else if (out.host_network == nullptr) {
      out.host_network = pod;
    }
  }
}

}  // namespace

LintView::LintView(std::span<const ObjectRef> objects) {
  for (const ObjectRef& object : objects) {
    if (const auto* name_space = std::get_if<Namespace>(object.get())) {
      groups_[name_space->name].object = name_space;
      has_namespaces_ = true;
    } else if (const auto* pod = std::get_if<Pod>(object.get())) {
      groups_[pod->name_space].pods.push_back(pod);
      pods_.push_back(pod);
    } else if (const auto* node = std::get_if<Node>(object.get())) {
      nodes_.push_back(node);
    }
  }
  for (const Pod* pod : pods_) {
    if (pod->finished || pod->host_network) continue;
    for (const Address& address : pod->addresses)
      addresses_.emplace_back(address, pod);
  }
  std::sort(addresses_.begin(), addresses_.end());
}

const Selected& LintView::select(const std::string& name_space, const Selector& namespaces, const Selector& pods) {
  std::string question = name_space + "/";
  append(question, namespaces);
  append(question, pods);
  const auto [found, added] = answers_.try_emplace(std::move(question));
  Selected& out = found->second;
  if (!added) return out;
  if (!name_space.empty()) {
    const auto group = groups_.find(name_space);
    out.any_namespace = group != groups_.end();
    if (out.any_namespace) take(group->second, pods, out);
    return out;
  }
  for (const auto& [name, group] : groups_) {
    // The labels of a namespace that is not here match nothing, but what selects all namespaces selects it too.
    if (group.object == nullptr ? !namespaces.requirements.empty() : !matches(namespaces, group.object->labels))
      continue;
    out.any_namespace = true;
    take(group, pods, out);
  }
  return out;
}

const Pod* LintView::pod_inside(const Block& block, Address& address) const {
  const auto from = std::lower_bound(addresses_.begin(), addresses_.end(), block.cidr.address,
                                     [](const auto& entry, const Address& wanted) { return entry.first < wanted; });
  for (auto at = from;
       at != addresses_.end() && make_prefix(at->first, block.cidr.length).address == block.cidr.address; ++at) {
    if (!block.cidr.contains(at->first)) continue;  // ::/0 has no IPv4 address
    const bool excepted = std::any_of(block.except.begin(), block.except.end(),
                                      [&at](const Prefix& except) { return except.contains(at->first); });
    if (excepted) continue;
    address = at->first;
    return at->second;
  }
  return nullptr;
}

}  // namespace omnitide::policy
