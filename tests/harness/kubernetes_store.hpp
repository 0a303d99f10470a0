// The objects of one kind as a watch tells of them, whole and with word of each change: what a test looks at.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "agent/kubernetes/decode.hpp"
#include "agent/kubernetes/watcher.hpp"

namespace omnitide::test {

template <class T>
class KubernetesStore final : public kubernetes::Receiver {
 public:
  // `before` null: new; `after` null: gone. Both are valid within the call alone.
  using Listener = std::function<void(const T* before, const T* after)>;
  // `on_whole`: after each whole state, when what is no more there has been told.
  explicit KubernetesStore(kubernetes::Decoding decoding = {}, Listener listener = {},
                           std::function<void()> on_whole = {})
      : decoding_(std::move(decoding)), listener_(std::move(listener)), on_whole_(std::move(on_whole)) {}

  void begin() override { ++round_; }
  Result<> put(std::string_view bytes, kubernetes::Encoding encoding) override {
    Result<T> object = kubernetes::decode<T>(bytes, encoding, decoding_);
    if (object.has_error()) return std::move(object).error();
    std::string key = key_of(object->meta.name);
    const auto found = kept_.find(key);
    if (found == kept_.end()) {
      const auto added = kept_.emplace(std::move(key), Kept{std::move(*object), round_}).first;
      tell(nullptr, &added->second.object);
      return {};
    }
    tell(&found->second.object, &*object);
    found->second = Kept{std::move(*object), round_};
    return {};
  }
  void remove(const kubernetes::Name& name) override {
    const auto found = kept_.find(key_of(name));
    if (found == kept_.end()) return;
    tell(&found->second.object, nullptr);
    kept_.erase(found);
  }
  void whole() override {
    for (auto each = kept_.begin(); each != kept_.end();) {
      if (each->second.round == round_) {
        ++each;
        continue;
      }
      tell(&each->second.object, nullptr);
      each = kept_.erase(each);
    }
    synced_ = true;
    if (on_whole_) on_whole_();
  }

  [[nodiscard]] bool synced() const { return synced_; }  // a whole state was there once
  [[nodiscard]] std::size_t size() const { return kept_.size(); }
  [[nodiscard]] const T* find(const kubernetes::Name& name) const {
    const auto found = kept_.find(key_of(name));
    return found == kept_.end() ? nullptr : &found->second.object;
  }

 private:
  struct Kept {
    T object;
    std::uint32_t round = 0;  // of the last whole state that had it, or the changes after it
  };
  static std::string key_of(const kubernetes::Name& name) { return name.space + "/" + name.name; }
  void tell(const T* before, const T* after) const {
    if (listener_) listener_(before, after);
  }

  kubernetes::Decoding decoding_;
  Listener listener_;
  std::function<void()> on_whole_;
  std::unordered_map<std::string, Kept> kept_;
  std::uint32_t round_ = 0;
  bool synced_ = false;
};

}  // namespace omnitide::test
