// Any bytes as a configuration file: faults or a configuration, never a crash, and what is shown is valid again.
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "agent/base/fd.hpp"
#include "agent/config/load.hpp"
#include "agent/config/render.hpp"

namespace {

omnitide::config::Loaded load_text(std::string_view text) {
  const omnitide::UniqueFd file(::memfd_create("config", MFD_CLOEXEC));
  if (!file || ::write(file.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size())) std::abort();
  omnitide::config::LoadOptions options;
  options.directory = "/nonexistent";
  options.hostname = "node";
  options.file = "/proc/self/fd/" + std::to_string(file.get());
  return omnitide::config::load(options);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const omnitide::config::Loaded loaded = load_text({reinterpret_cast<const char*>(data), size});
  for (const omnitide::config::Fault& fault : loaded.faults) {
    if (fault.text().empty()) std::abort();
  }
  const std::string shown = omnitide::config::show_yaml(loaded);
  if (omnitide::config::show_json(loaded).empty()) std::abort();
  if (loaded.valid() && !load_text(shown).valid()) std::abort();
  return 0;
}
