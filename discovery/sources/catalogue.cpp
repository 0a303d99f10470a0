#include "discovery/sources/catalogue.hpp"

namespace omnitide::discovery {

std::vector<Source> all_sources() {
  return {cpu_source(),     memory_source(), smbios_source(),      edac_source(),       system_source(),
          runtime_source(), block_source(),  nvme_source(),        filesystem_source(), network_source(),
          pci_source(),     usb_source(),    accelerator_source(), platform_source()};
}

}  // namespace omnitide::discovery
