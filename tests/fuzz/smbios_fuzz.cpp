// The SMBIOS parser on any bytes: two of version, then the table. What it says must be bounded and fit to be printed.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "agent/base/text.hpp"
#include "discovery/sources/smbios.hpp"

using namespace omnitide;

namespace {

void require(bool promise) {
  if (!promise) std::abort();
}

void require_text(const std::string& text) {
  require(text.size() <= 4 * 256 + 3);
  require(printable(text) == text);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  (void)discovery::parse_smbios_entry_point(bytes);
  if (size < 2) return 0;
  const discovery::SmbiosFacts facts = discovery::parse_smbios(bytes.substr(2), {data[0], data[1]});
  require(facts.structures <= size / 4);
  require(facts.dimms.size() <= facts.structures);
  for (const model::Dimm& dimm : facts.dimms) {
    for (const std::string* text : {&dimm.locator, &dimm.bank, &dimm.type, &dimm.form_factor, &dimm.manufacturer,
                                    &dimm.part_number, &dimm.serial})
      require_text(*text);
    require(dimm.size_bytes < std::uint64_t{1} << 52U);
  }
  require_text(facts.dmi.product_name);
  require(facts.dmi.product_uuid.empty() || facts.dmi.product_uuid.size() == 36);
  return 0;
}
