#include "agent/config/reload.hpp"

#include "agent/config/schema.hpp"

namespace omnitide::config {

ReloadDiff reload_diff(const Config& running, const Config& next) {
  ReloadDiff out;
  for (const Key& key : keys()) {
    if (key.get(running).same(key.get(next))) continue;
    (key.reloadable ? out.applied : out.needs_restart).emplace_back(key.path);
  }
  return out;
}

Config after_reload(const Config& running, const Config& next) {
  Config out = running;
  Problems none;
  // A map is put together by its setter, so it is emptied first.
  out.node.labels.clear();
  for (const Key& key : keys())
    key.set(out, key.get(key.reloadable ? next : running), none);
  out.files = next.files;
  return out;
}

}  // namespace omnitide::config
