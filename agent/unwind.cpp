// Static libgcc finds the unwind tables of an address by _dl_find_object, which only glibc 2.35 has. This one does it
// by dl_iterate_phdr, as libgcc did before: so the programs throw with glibc 2.34 too.
#include <dlfcn.h>
#include <link.h>

#include <cstdint>

#ifdef DLFO_STRUCT_HAS_EH_DBASE  // the glibc that it is built with has the function

namespace {

struct Search {
  std::uintptr_t address;
  dl_find_object* result;
};

int look(dl_phdr_info* object, std::size_t /*size*/, void* data) {
  auto& search = *static_cast<Search*>(data);
  bool inside = false;
  const ElfW(Phdr)* tables = nullptr;
  for (int i = 0; i < object->dlpi_phnum; ++i) {
    const ElfW(Phdr)& part = object->dlpi_phdr[i];
    const std::uintptr_t begin = object->dlpi_addr + part.p_vaddr;
    if (part.p_type == PT_LOAD && search.address - begin < part.p_memsz) {
      inside = true;
      search.result->dlfo_map_start = reinterpret_cast<void*>(begin);
      search.result->dlfo_map_end = reinterpret_cast<void*>(begin + part.p_memsz);
    }
    if (part.p_type == PT_GNU_EH_FRAME) tables = &part;
  }
  if (!inside || tables == nullptr) return 0;
  search.result->dlfo_flags = 0;
  search.result->dlfo_link_map = nullptr;
  search.result->dlfo_eh_frame = reinterpret_cast<void*>(object->dlpi_addr + tables->p_vaddr);
  return 1;
}

}  // namespace

// The face is that of dlfcn.h: 0 when it was found.
extern "C" __attribute__((visibility("hidden"))) int _dl_find_object(void* address, dl_find_object* result) noexcept {
  Search search{reinterpret_cast<std::uintptr_t>(address), result};
  return ::dl_iterate_phdr(look, &search) == 1 ? 0 : -1;
}

#endif
