// One kind of the API server's objects: which are there, and what each says for policy.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <iterator>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "agent/daemon/kubernetes_text.hpp"
#include "agent/daemon/policy_engine.hpp"
#include "agent/kubernetes/decode.hpp"
#include "agent/kubernetes/watcher.hpp"

namespace omnitide::daemon {

// Keeps the names and a hash of what was said: most events of pods and nodes change nothing that policy reads.
class KindFollower : public kubernetes::Receiver {
 public:
  struct Kind {
    std::string_view name;  // "Pod"
    kubernetes::Resource resource;
    bool optional = false;  // its definition need not be installed
    kubernetes::Decoding decoding{};
  };
  // `take` gets each change; `on_whole` is called after each whole state.
  KindFollower(Kind kind, std::function<void(PolicyText)> take, std::function<void()> on_whole)
      : kind_(kind), take_(std::move(take)), on_whole_(std::move(on_whole)) {}

  void begin() override { ++round_; }
  void remove(const kubernetes::Name& name) override { forget(held_.find(source_of(name))); }
  void whole() override {
    for (auto each = held_.begin(); each != held_.end();)
      each = each->second.round == round_ ? std::next(each) : forget(each);
    whole_ = true;
    on_whole_();
  }
  // An object that held in an earlier life of the agent: gone with the first whole state that has it not.
  void remember(const std::string& source, std::string_view text) { held_[source] = {hash_of(text), 0}; }
  // What this kind's definition is, seen from time to time: the objects of one that stays away are gone.
  void look(SteadyTime now) {
    const std::optional<Error>& problem = watcher->followed().problem;
    if (!kind_.optional || !problem || problem->code != Code::not_found) {
      absent_since_.reset();
      absent_ = false;
      return;
    }
    if (!absent_since_) absent_since_ = now;
    absent_ = now - *absent_since_ >= std::chrono::seconds(2);  // a server that starts does not know its kinds at once
    if (now - *absent_since_ < std::chrono::minutes(1) || held_.empty()) return;
    begin();
    whole();
  }

  [[nodiscard]] const Kind& kind() const { return kind_; }
  [[nodiscard]] std::string prefix() const { return "kubernetes:" + std::string(kind_.name) + "/"; }
  // Whether all of them are known: a whole state came, or there is no such kind.
  [[nodiscard]] bool known() const { return whole_ || absent_; }
  [[nodiscard]] bool absent() const { return absent_since_.has_value(); }

  std::unique_ptr<kubernetes::Watcher> watcher;

 protected:
  void say(const kubernetes::Name& name, std::string text) {
    const std::uint64_t hash = hash_of(text);
    const auto [found, added] = held_.try_emplace(source_of(name), Held{hash, round_});
    const bool same = !added && found->second.hash == hash;
    found->second = {hash, round_};
    if (!same) take_({found->first, std::move(text)});
  }
  [[nodiscard]] std::string source_of(const kubernetes::Name& name) const {
    return prefix() + (name.space.empty() ? name.name : name.space + "/" + name.name);
  }
  // One that cannot be read stays as it was.
  void hold(std::string_view bytes, kubernetes::Encoding encoding) {
    const Result<kubernetes::Head> head = kubernetes::decode_head(bytes, encoding);
    const auto found = head.has_value() ? held_.find(source_of(head->name)) : held_.end();
    if (found != held_.end()) found->second.round = round_;
  }

 private:
  struct Held {
    std::uint64_t hash = 0;
    std::uint32_t round = 0;
  };
  using Map = std::unordered_map<std::string, Held>;

  static std::uint64_t hash_of(std::string_view text) { return std::hash<std::string_view>()(text); }
  Map::iterator forget(Map::iterator found) {
    if (found == held_.end()) return found;
    take_({found->first, {}});
    return held_.erase(found);
  }

  Kind kind_;
  std::function<void(PolicyText)> take_;
  std::function<void()> on_whole_;
  Map held_;
  std::uint32_t round_ = 0;
  bool whole_ = false, absent_ = false;
  std::optional<SteadyTime> absent_since_;
};

template <class T>
class TypedFollower final : public KindFollower {
 public:
  using KindFollower::KindFollower;
  Result<> put(std::string_view bytes, kubernetes::Encoding encoding) override {
    const Result<T> object = kubernetes::decode<T>(bytes, encoding, kind().decoding);
    if (object.has_error()) {
      hold(bytes, encoding);
      return object.error();
    }
    if (on_object) on_object(source_of(object->meta.name), *object);
    say(object->meta.name, policy_text(*object));
    return {};
  }
  std::function<void(const std::string& source, const T&)> on_object;  // may be empty; of each object that is put
};

}  // namespace omnitide::daemon
