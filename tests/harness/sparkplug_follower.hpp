// A Sparkplug host for tests: follows one edge node by its messages and rebuilds what it says of itself, with a decoder
// that is not the agent's. What the specification forbids becomes a problem that begins with the statement's tck-id.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace omnitide::test {

class SparkplugFollower {
 public:
  // monostate: is_null. A signed number is int64_t, an unsigned one uint64_t.
  using Value = std::variant<std::monostate, std::int64_t, std::uint64_t, double, bool, std::string>;
  struct Metric {
    std::uint32_t datatype = 0;
    Value value;                  // the last that is not historical
    std::uint64_t timestamp = 0;  // of that value
    std::optional<std::uint64_t> alias;
    std::string unit;
    std::uint64_t historical = 0;  // historical values of it since the birth
  };
  struct Device {
    bool online = false;
    std::uint64_t births = 0, deaths = 0;
    std::map<std::string, Metric> metrics;  // of the last birth
  };
  struct Told {
    std::string device, name;
    Value value;
    std::uint64_t timestamp = 0;
    bool historical = false, birth = false;
  };

  SparkplugFollower(std::string group, std::string node) : group_(std::move(group)), node_(std::move(node)) {}

  // The will of the CONNECT that follows; without it only bdSeq of births and deaths are compared.
  void will(std::string_view topic, std::string_view payload, unsigned qos, bool retain);
  void message(std::string_view topic, std::string_view payload, unsigned qos, bool retain);
  // "QOS RETAIN HEX TOPIC", as `mosquitto_sub -F '%q %r %x %t'` prints it.
  void line(std::string_view text);

  [[nodiscard]] bool online() const { return devices_.contains("") && devices_.at("").online; }
  [[nodiscard]] const std::map<std::string, Device>& devices() const { return devices_; }  // "": the node
  // Null: not in the last birth.
  [[nodiscard]] const Metric* find(const std::string& device, const std::string& name) const;
  [[nodiscard]] std::optional<std::uint64_t> bd_seq() const { return bd_seq_; }
  [[nodiscard]] std::uint64_t messages() const { return messages_; }
  [[nodiscard]] std::uint64_t stale_deaths() const { return stale_deaths_; }            // NDEATH of an earlier session
  [[nodiscard]] const std::vector<std::string>& problems() const { return problems_; }  // the first thousand
  // Every value in the order in which it came, when it is asked for.
  void keep_values(bool on) { keep_ = on; }
  [[nodiscard]] const std::vector<Told>& values() const { return values_; }
  // What is known, a line each: for comparison and for people.
  [[nodiscard]] std::string text() const;

 private:
  struct Parsed;
  void problem(std::string_view id, const std::string& what);
  void check_id(std::string_view id, std::string_view statement);
  void node_birth(const Parsed& message);
  void device_birth(const Parsed& message, const std::string& device);
  void data(const Parsed& message, const std::string& device);
  void device_death(const Parsed& message, const std::string& device);
  void node_death(const Parsed& message);
  void take_birth(const Parsed& message, const std::string& device);
  void check_delivery(const Parsed& message, std::string_view statement);
  void check_seq(const Parsed& message, std::string_view statement);
  void check_controls(const Parsed& message);

  std::string group_, node_;
  std::map<std::string, Device> devices_;
  std::map<std::uint64_t, std::pair<std::string, std::string>> aliases_;  // device and name
  std::optional<std::uint64_t> bd_seq_, will_bd_seq_;
  std::uint64_t next_seq_ = 0, messages_ = 0, stale_deaths_ = 0;
  bool keep_ = false;
  std::vector<Told> values_;
  std::vector<std::string> problems_;
};

[[nodiscard]] std::string to_text(const SparkplugFollower::Value& value);

}  // namespace omnitide::test
