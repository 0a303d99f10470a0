#include "agent/base/shared_library.hpp"

#include <dlfcn.h>

namespace omnitide {

SharedLibrary::SharedLibrary(const char* soname) : handle_(::dlopen(soname, RTLD_NOW | RTLD_LOCAL)) {
  if (handle_ == nullptr) fail();
}

void* SharedLibrary::symbol(const char* name) {
  if (handle_ == nullptr) return nullptr;
  void* found = ::dlsym(handle_, name);
  if (found == nullptr) fail();
  return found;
}

void SharedLibrary::fail() {
  const char* reason = ::dlerror();
  if (good_ && reason != nullptr) problem_ = reason;
  good_ = false;
}

}  // namespace omnitide
