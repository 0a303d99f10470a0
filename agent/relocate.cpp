// A position-independent program has addresses in its data (tables of functions, texts in tables) that hold only once
// it is known where it was put. glibc reads a list of them in short form (RELR) from 2.36 on, and 2.34 is what this
// program runs on; the long form takes 24 bytes an address. So the linker writes the short form under tags that glibc
// passes over (--use-android-relr-tags), and this is DT_INIT: it runs before all constructors of the program, after
// glibc has bound what other libraries have, and does what glibc would have done. Until then nothing may be used that
// needs an address from data. The format: the generic ABI's chapter on dynamic linking, "Relative relocation entries".
#include <elf.h>
#include <link.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>

extern "C" {
// The linker's. NOLINTNEXTLINE(bugprone-reserved-identifier)
[[gnu::visibility("hidden")]] extern const ElfW(Ehdr) __ehdr_start;
[[gnu::visibility("hidden")]] void omnitide_relocate();
}

namespace {

constexpr ElfW(Sxword) kRelr = 0x6fffe000, kRelrSize = 0x6fffe001;  // DT_ANDROID_RELR, DT_ANDROID_RELRSZ

struct Range {
  std::uintptr_t begin = 0, end = 0;
};

// An even entry is the place of an address; each bit of an odd one stands for a word behind the places before it.
void relocate(std::uintptr_t base, Range entries) {
  constexpr unsigned kBits = 8 * sizeof(std::uintptr_t) - 1;
  auto* place = reinterpret_cast<std::uintptr_t*>(base);
  const auto* const end = reinterpret_cast<const std::uintptr_t*>(entries.end);
  for (const auto* entry = reinterpret_cast<const std::uintptr_t*>(entries.begin); entry != end; ++entry) {
    if ((*entry & 1) == 0) {
      place = reinterpret_cast<std::uintptr_t*>(base + *entry);
      *place++ += base;
      continue;
    }
    auto* word = place;
    for (std::uintptr_t bits = *entry >> 1; bits != 0; bits >>= 1, ++word)
      if ((bits & 1) != 0) *word += base;
    place += kBits;
  }
}

// What glibc has made read-only by now, in whole pages.
Range read_only(std::uintptr_t base, const ElfW(Phdr) * segments, unsigned count) {
  const std::uintptr_t page = ::getauxval(AT_PAGESZ);
  for (unsigned i = 0; i < count; ++i) {
    if (segments[i].p_type != PT_GNU_RELRO) continue;
    const std::uintptr_t begin = base + segments[i].p_vaddr;
    return {.begin = begin & ~(page - 1), .end = (begin + segments[i].p_memsz) & ~(page - 1)};
  }
  return {};
}

bool protect(Range range, int protection) {
  return range.begin == range.end ||
         ::mprotect(reinterpret_cast<void*>(range.begin), range.end - range.begin, protection) == 0;
}

}  // namespace

void omnitide_relocate() {
  const auto base = reinterpret_cast<std::uintptr_t>(&__ehdr_start);
  Range entries;
  for (const ElfW(Dyn)* each = _DYNAMIC; each->d_tag != DT_NULL; ++each) {
    if (each->d_tag == kRelr) entries.begin = base + each->d_un.d_ptr;
    if (each->d_tag == kRelrSize) entries.end = each->d_un.d_val;
  }
  entries.end += entries.begin;
  const Range sealed =
      read_only(base, reinterpret_cast<const ElfW(Phdr)*>(base + __ehdr_start.e_phoff), __ehdr_start.e_phnum);
  if (!protect(sealed, PROT_READ | PROT_WRITE)) ::_exit(127);
  relocate(base, entries);
  if (!protect(sealed, PROT_READ)) ::_exit(127);
}
