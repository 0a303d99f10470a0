#include "discovery/sources/catalogue.hpp"

namespace omnitide::discovery {

std::vector<Source> all_sources() {
  // Those that wait for a device, or take long, first: the others are read meanwhile.
  return {block_source(),      nvme_source(),   pci_source(),         cpu_source(),     network_source(),
          memory_source(),     smbios_source(), edac_source(),        system_source(),  runtime_source(),
          filesystem_source(), usb_source(),    accelerator_source(), platform_source()};
}

}  // namespace omnitide::discovery
