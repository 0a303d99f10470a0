// What static libraries would bring into a program that has no use for it, 170 KB together: in their place stand
// functions of the same names that do without. A library that gets a second use for what it replaced fails to link.
#include <google/protobuf/extension_set.h>

#include <cstdio>
#include <cstdlib>
#include <exception>

// Our messages are proto3's: none has a range for extensions, and so neither is ever called.
#if GOOGLE_PROTOBUF_VERSION / 1000 == 3021

namespace google::protobuf::internal {

const char* ExtensionSet::ParseField(std::uint64_t /*tag*/, const char* /*text*/, const MessageLite* /*extendee*/,
                                     InternalMetadata* /*metadata*/, ParseContext* /*context*/) {
  return nullptr;  // malformed
}

std::uint8_t* ExtensionSet::_InternalSerializeImpl(const MessageLite* /*extendee*/, int /*first*/, int /*end*/,
                                                   std::uint8_t* target, io::EpsCopyOutputStream* /*stream*/) const {
  return target;
}

}  // namespace google::protobuf::internal

#endif

// libstdc++'s own spells out the exception's type, for which it has a reader of mangled names.
void __gnu_cxx::__verbose_terminate_handler() {
  try {
    if (const std::exception_ptr thrown = std::current_exception()) std::rethrow_exception(thrown);
    std::fputs("terminated without an exception\n", stderr);
  } catch (const std::exception& thrown) {
    std::fprintf(stderr, "an exception that nobody caught: %s\n", thrown.what());
  } catch (...) {
    std::fputs("an exception of an unknown kind that nobody caught\n", stderr);
  }
  std::abort();
}
