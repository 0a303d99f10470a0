// A shared library that is opened when it is first needed, and functions of it by their names: for libsystemd, which
// brings five more libraries that most runs of this program never use. Larger ones: docs/adr/0010-lazy-libraries.md.
#pragma once

#include <string>

namespace omnitide {

inline constexpr const char* kLibSystemd = "libsystemd.so.0";

// Never closed: what was found stays valid.
class SharedLibrary {
 public:
  explicit SharedLibrary(const char* soname);

  // Whether it is there and has had everything that was looked for so far.
  [[nodiscard]] bool good() const { return good_; }
  // Why not, in the dynamic linker's words; empty while it is good.
  [[nodiscard]] const std::string& problem() const { return problem_; }
  // Null when it has none of that name.
  template <class Function>
  void find(const char* name, Function*& out) {
    out = reinterpret_cast<Function*>(symbol(name));
  }

 private:
  [[nodiscard]] void* symbol(const char* name);
  void fail();

  void* handle_;
  bool good_ = true;
  std::string problem_;
};

}  // namespace omnitide
