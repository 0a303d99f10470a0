#include "discovery/inventory/merge.hpp"

#include <fmt/format.h>

#include <concepts>
#include <cstddef>
#include <map>
#include <optional>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "agent/model/fields.hpp"

namespace omnitide::discovery {

namespace {

// What makes two items the same thing: the name that the kernel or the firmware gives it.
std::string key(const model::CpuCache& item) { return fmt::format("L{} {}", item.level, item.type); }
std::string key(const model::NumaNode& item) { return fmt::format("{}", item.id); }
std::string key(const model::CpuVulnerability& item) { return item.name; }
std::string key(const model::HugePages& item) {
  return item.numa_node ? fmt::format("{}@{}", item.page_bytes, *item.numa_node) : fmt::format("{}", item.page_bytes);
}
std::string key(const model::Dimm& item) { return fmt::format("{} {}", item.bank, item.locator); }
std::string key(const model::EdacController& item) { return item.name; }
std::string key(const model::SwapArea& item) { return item.path; }
std::string key(const model::BlockDevice& item) { return item.name; }
std::string key(const model::Filesystem& item) { return fmt::format("{} {}", item.mount_point, item.device); }
std::string key(const model::NetworkInterface& item) { return item.name; }
std::string key(const model::PciDevice& item) { return item.address; }
std::string key(const model::UsbDevice& item) { return item.path; }
std::string key(const model::Accelerator& item) { return fmt::format("{} {}", item.bus_address, item.name); }
std::string key(const model::TpmFacts& item) { return item.name; }
std::string key(const model::WatchdogDevice& item) { return item.name; }
std::string key(const model::SensorDevice& item) { return item.name; }
std::string key(const model::ContainerRuntime& item) { return fmt::format("{} {}", item.name, item.socket); }
std::string key(const model::EbpfFeature& item) { return item.name; }

template <class T>
concept Keyed = requires(const T& item) {
  { key(item) } -> std::same_as<std::string>;
};

std::string below(std::string_view path, std::string_view name) {
  return path.empty() ? std::string(name) : fmt::format("{}.{}", path, name);
}
std::string item_name(std::string_view path, std::string_view item) { return fmt::format("{}/{}", path, item); }

// A list that has two items of one key keeps them apart by their order.
template <Keyed T>
std::vector<std::string> names_of(const std::vector<T>& items, std::string_view path) {
  std::vector<std::string> names;
  std::map<std::string, int> seen;
  for (const T& item : items) {
    std::string name = item_name(path, key(item));
    const int before = seen[name]++;
    names.push_back(before == 0 ? std::move(name) : fmt::format("{}#{}", name, before));
  }
  return names;
}

struct Filler {
  const ItemNames& gone;

  void operator()(std::string& later, const std::string& earlier, std::string_view /*path*/) const {
    if (later.empty()) later = earlier;
  }
  template <class T>
  requires std::is_arithmetic_v<T>
  void operator()(T& later, const T& earlier, std::string_view /*path*/) const {
    if (later == T{}) later = earlier;
  }
  void operator()(std::vector<std::string>& later, const std::vector<std::string>& earlier,
                  std::string_view /*path*/) const {
    if (later.empty()) later = earlier;
  }
  template <class T>
  void operator()(std::optional<T>& later, const std::optional<T>& earlier, std::string_view path) const {
    if (!later) {
      later = earlier;
    } else if constexpr (model::HasFields<T>) {
      if (earlier) (*this)(*later, *earlier, path);
    }
  }
  template <model::HasFields S>
  void operator()(S& later, const S& earlier, std::string_view path) const {
    model::for_each_field<S>(
        [&](const auto& field) { (*this)(later.*field.member, earlier.*field.member, below(path, field.name)); });
  }
  template <Keyed T>
  void operator()(std::vector<T>& later, const std::vector<T>& earlier, std::string_view path) const {
    std::map<std::string, std::size_t> place;
    for (const std::string& name : names_of(later, path))
      place.emplace(name, place.size());
    std::vector<std::vector<T>> kept(later.size() + 1);  // kept[i] goes before later[i]
    const std::vector<std::string> names = names_of(earlier, path);
    std::size_t next = 0;
    for (std::size_t i = 0; i < earlier.size(); ++i) {
      if (const auto found = place.find(names[i]); found != place.end()) {
        (*this)(later[found->second], earlier[i], path);
        next = found->second + 1;
      } else if (!gone.contains(names[i])) {
        kept[next].push_back(earlier[i]);
      }
    }
    std::vector<T> merged;
    merged.reserve(later.size() + earlier.size());
    for (std::size_t i = 0; i <= later.size(); ++i) {
      std::move(kept[i].begin(), kept[i].end(), std::back_inserter(merged));
      if (i < later.size()) merged.push_back(std::move(later[i]));
    }
    later = std::move(merged);
  }
};

struct Namer {
  ItemNames& names;

  template <class T>
  void operator()(const T& value, std::string_view path) const {
    if constexpr (model::HasFields<T>) {
      model::for_each_field<T>([&](const auto& field) { (*this)(value.*field.member, below(path, field.name)); });
    }
  }
  template <Keyed T>
  void operator()(const std::vector<T>& items, std::string_view path) const {
    for (std::string& name : names_of(items, path))
      names.insert(std::move(name));
  }
};

}  // namespace

void fill(model::NodeFacts& later, const model::NodeFacts& earlier, const ItemNames& gone) {
  Filler{gone}(later, earlier, "");
}

ItemNames item_names(const model::NodeFacts& facts) {
  ItemNames names;
  Namer{names}(facts, "");
  return names;
}

}  // namespace omnitide::discovery
