// Shared libraries that are loaded with the first call of one of their functions (cmake/LazyLibrary.cmake). The caller
// sees nothing of it. A library that cannot be loaded ends the process with a sentence, as the dynamic linker would
// have done at the start.
#pragma once

#include "agent/base/error.hpp"

namespace omnitide {

// Two words of the generated table: where a call goes, and under which name the library has it.
struct LazySlot {
  void* function;
  const char* name;  // static storage
};

struct LazyTable {
  const char* soname;
  LazySlot *begin, *end;  // whole pages
};

// Loads a library ahead of its first use, for who would rather have an error: unavailable, with what to do.
[[nodiscard]] Result<> load_library(const char* soname);

}  // namespace omnitide

// Called by the generated code, on any thread. Afterwards each slot of the table holds the library's function, and its
// pages are read-only.
extern "C" void omnitide_lazy_load(const omnitide::LazyTable* table) noexcept;
