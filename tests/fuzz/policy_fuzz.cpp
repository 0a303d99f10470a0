// Any bytes as policy objects: faults or objects, never a crash; and what the quick reader of YAML takes, it reads as
// yaml-cpp does.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "agent/policy/events.hpp"
#include "agent/policy/parse.hpp"
#include "agent/policy/words.hpp"

namespace {

namespace policy = omnitide::policy;

// Events as text. The line of a null is where the parser noticed that there is nothing, which is not compared.
class Recorder final : public policy::Events {
 public:
  void open_map(std::uint32_t line) override { add('{', line, {}); }
  void open_list(std::uint32_t line) override { add('[', line, {}); }
  void close() override { add('.', 0, {}); }
  void scalar(std::uint32_t line, std::string_view text, policy::Style style) override {
    if (style == policy::Style::null) return add('0', 0, {});
    add(style == policy::Style::plain ? 'p' : 'q', line, text);
  }
  void odd(std::uint32_t line, std::string_view what) override { add('!', line, what); }
  [[nodiscard]] bool stopped() const override { return false; }
  [[nodiscard]] const std::vector<std::string>& told() const { return told_; }
  [[nodiscard]] bool nothing() const { return told_.empty() || (told_.size() == 1 && told_[0][0] == '0'); }

 private:
  void add(char what, std::uint32_t line, std::string_view text) {
    told_.push_back(std::string(1, what) + std::to_string(line) + " " + std::string(text));
  }
  std::vector<std::string> told_;
};

[[noreturn]] void differ(std::string_view text, const Recorder& quick, const Recorder& whole, const char* why) {
  std::fprintf(stderr, "the readers differ: %s\n%.*s\n", why, static_cast<int>(text.size()), text.data());
  for (const Recorder* one : {&quick, &whole}) {
    std::fprintf(stderr, one == &quick ? "-- quick\n" : "-- yaml-cpp\n");
    for (const std::string& event : one->told())
      std::fprintf(stderr, "  %s\n", event.c_str());
  }
  std::abort();
}

void compare_readers(std::string_view text) {
  if (policy::first_bad_byte(text) != std::string_view::npos || text.find("\n---") != std::string_view::npos) return;
  Recorder quick, whole;
  if (!policy::read_block_yaml(text, 1, quick)) return;
  if (const auto broken = policy::read_yaml(text, 1, whole)) differ(text, quick, whole, broken->message.c_str());
  if (quick.nothing() && whole.nothing()) return;
  if (quick.told() != whole.told()) differ(text, quick, whole, "other events");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  compare_readers(text);
  policy::ParseLimits limits;
  limits.faults = 50;
  const policy::Parsed parsed = policy::parse(text, "f.yaml", limits);
  for (const policy::Fault& fault : parsed.faults) {
    if (fault.text().empty() || fault.message.empty() || fault.file != "f.yaml") std::abort();
  }
  if (!parsed.complete && parsed.faults.empty()) std::abort();
  if (!parsed.refused.empty() && parsed.faults.empty()) std::abort();
  for (const policy::Object& object : parsed.objects) {
    if (policy::key_of(object).name.empty() || policy::origin_of(object).line == 0) std::abort();
  }
  return 0;
}
