// What a runtime streams to the plugin, what the plugin streams to the agent, and a runtime's list: each text ends in
// an answer or a refusal, and a list that was chained is the old one again when the entry is taken out.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "agent/cni/conflist.hpp"
#include "agent/cni/json.hpp"
#include "agent/cni/protocol.hpp"
#include "agent/cni/sandbox.hpp"

using namespace omnitide;
using namespace omnitide::cni;

namespace {

void require(bool good) {
  if (!good) std::abort();
}

void as_list(std::string_view text) {
  const std::string entry = entry_of({.socket = "/s", .pins = "/p"});
  const Result<std::string> chained = chain(text, entry);
  if (chained.has_error()) return;
  require(Json::parse(*chained).has_value());
  require(*chain(*chained, entry) == *chained);
  const Result<std::string> before = unchain(text);
  require(before.has_value());
  // Where there was no entry the bytes are the same; where there was one, it is gone.
  if (*before == text) require(*unchain(*chained) == text);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size > 32768) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  for (const char* command : {"ADD", "DEL", "GC"}) {
    const Outcome<Request> request = parse_request({.command = command,
                                                    .container = "c",
                                                    .netns = "/n",
                                                    .interface = "eth0",
                                                    .arguments = "K8S_POD_NAME=p;K8S_POD_NAMESPACE=s"},
                                                   text);
    if (request.has_error()) {
      const std::string failure = failure_text(request.error());
      require(Json::parse(failure).has_value());
    } else if (!request->previous.empty()) {
      require(Json::parse(request->previous).has_value());
      require(addresses_in(request->previous, "eth0").size() <= 2);
    }
  }
  if (const Result<Sandbox> sandbox = parse_sandbox(text); sandbox.has_value())
    require(parse_sandbox(to_json(*sandbox)).has_value());
  if (const Result<Answer> answer = parse_answer(text); answer.has_value())
    require(parse_answer(to_json(*answer)).has_value());
  as_list(text);
  return 0;
}
