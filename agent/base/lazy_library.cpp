#include "agent/base/lazy_library.hpp"

#include <dlfcn.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
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

void fill(const LazyTable& table) {
  void* library = open_library(table.soname);
  if (library == nullptr) end_process(dl_failure());
  for (LazySlot* slot = table.begin; slot != table.end && slot->name != nullptr; ++slot) {
    void* function = ::dlsym(library, slot->name);
    if (function == nullptr) end_process(dl_failure());
    __atomic_store_n(&slot->function, function, __ATOMIC_RELEASE);
  }
  // As RELRO would have it. Where it fails the pointers work all the same.
  const auto bytes = static_cast<std::size_t>(table.end - table.begin) * sizeof(LazySlot);
  (void)::mprotect(table.begin, bytes, PROT_READ);
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
