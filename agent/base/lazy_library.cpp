#include "agent/base/lazy_library.hpp"

#include <dlfcn.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <mutex>
#include <set>

namespace omnitide {

namespace {

// Never closed. RTLD_NOW: what it lacks itself is known here and not in the middle of its work.
void* open_library(const char* soname) { return ::dlopen(soname, RTLD_NOW | RTLD_LOCAL); }

Error dl_failure() {
  const char* reason = ::dlerror();
  return fail(Code::unavailable, reason == nullptr ? "unknown reason" : reason)
      .within("cannot load a library")
      .with_hint("install the package that has it, as this system's release carries it");
}

[[noreturn]] void end_process(const Error& error) {
  std::fprintf(stderr, "error: %s\n", error.text().c_str());
  std::fflush(nullptr);
  ::_exit(1);
}

// As RELRO would have it. Where it fails the pointers work all the same; nor is it done where a page is larger than
// those that the table has for itself (arm64 has kernels with 16 and 64 KiB), since others' data would be on it.
void protect(const LazyTable& table) {
  const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
  const auto begin = reinterpret_cast<std::uintptr_t>(table.begin);
  const auto end = reinterpret_cast<std::uintptr_t>(table.end);
  if (begin % page == 0 && end % page == 0) (void)::mprotect(table.begin, end - begin, PROT_READ);
}

void fill(const LazyTable& table) {
  void* library = open_library(table.soname);
  if (library == nullptr) end_process(dl_failure());
  for (LazySlot* slot = table.begin; slot != table.end && slot->name != nullptr; ++slot) {
    void* function = ::dlsym(library, slot->name);
    if (function == nullptr) end_process(dl_failure());
    __atomic_store_n(&slot->function, function, __ATOMIC_RELEASE);
  }
  protect(table);
}

}  // namespace

Result<> load_library(const char* soname) {
  if (open_library(soname) == nullptr) return dl_failure();
  return {};
}

}  // namespace omnitide

extern "C" void omnitide_lazy_load(const omnitide::LazyTable* table) noexcept {
  static std::mutex mutex;
  static std::set<const omnitide::LazyTable*> filled;
  const std::lock_guard lock(mutex);
  if (filled.insert(table).second) omnitide::fill(*table);
}
