# A BPF program, compiled by clang against the UAPI headers and libbpf's only, and its bytes, packed, inside a static library:
# omnitide_bpf(NAME [FOLDER]) makes `bpf_NAME` of FOLDER/NAME.bpf.c, whose header "FOLDER/NAME.bpf.hpp" gives them. FOLDER
# is ebpf/programs if it is not given.
find_program(BPF_CLANG NAMES clang clang-19 clang-18 clang-17 clang-16 clang-15 clang-14 REQUIRED)
find_program(BPF_STRIP NAMES llvm-strip llvm-strip-19 llvm-strip-18 llvm-strip-17 llvm-strip-16 llvm-strip-15 llvm-strip-14 REQUIRED)
enable_language(ASM)

# Linux 5.10 allows a loop only if its end jumps back: one that falls into its head from above is a "back-edge" to it. LLVM's
# placement of blocks makes such loops; tests/bpf holds the result against that rule.
set(BPF_LAYOUT -mllvm -disable-block-placement)

set(BPF_SYSROOT)
if(CMAKE_SYSROOT)
  set(BPF_SYSROOT "--sysroot=${CMAKE_SYSROOT}")
endif()

function(omnitide_bpf name)
  set(folder ebpf/programs)
  if(ARGC GREATER 1)
    set(folder "${ARGV1}")
  endif()
  set(source "${CMAKE_SOURCE_DIR}/${folder}/${name}.bpf.c")
  set(out "${CMAKE_BINARY_DIR}/generated/${folder}")
  file(MAKE_DIRECTORY "${out}")
  add_custom_command(OUTPUT "${out}/${name}.bpf.o"
    COMMAND "${BPF_CLANG}" -target bpf ${BPF_SYSROOT} -mcpu=v3 -O2 ${BPF_LAYOUT} -g -std=gnu11 -Wall -Wextra -Werror -Wno-address-of-packed-member
      -I "${CMAKE_SOURCE_DIR}" -idirafter "${CMAKE_SYSROOT}/usr/include/${CMAKE_LIBRARY_ARCHITECTURE}" "-ffile-prefix-map=${CMAKE_SOURCE_DIR}=." -ffile-compilation-dir=.
      -MD -MF "${out}/${name}.d" -MT "${out}/${name}.bpf.o" -c "${source}" -o "${out}/${name}.bpf.o"
    COMMAND "${BPF_STRIP}" -g "${out}/${name}.bpf.o"
    COMMAND gzip -9nkf "${out}/${name}.bpf.o"
    BYPRODUCTS "${out}/${name}.bpf.o.gz" DEPENDS "${source}" DEPFILE "${out}/${name}.d" VERBATIM)
  file(CONFIGURE OUTPUT "${out}/${name}.S" CONTENT [[
.section .rodata
.global omnitide_bpf_@name@_begin, omnitide_bpf_@name@_end
.hidden omnitide_bpf_@name@_begin, omnitide_bpf_@name@_end
.balign 16
omnitide_bpf_@name@_begin:
.incbin "@out@/@name@.bpf.o.gz"
omnitide_bpf_@name@_end:
.section .note.GNU-stack,"",%progbits
]] @ONLY)
  file(CONFIGURE OUTPUT "${out}/${name}.bpf.hpp" CONTENT [[
// The compiled @folder@/@name@.bpf.c, packed, in static storage.
#pragma once
#include <cstddef>
#include "ebpf/loader/packed_object.hpp"
extern "C" const std::byte omnitide_bpf_@name@_begin[], omnitide_bpf_@name@_end[];
namespace omnitide::ebpf {
inline PackedObject @name@_object() { return {{omnitide_bpf_@name@_begin, omnitide_bpf_@name@_end}}; }
}  // namespace omnitide::ebpf
]] @ONLY)
  set_source_files_properties("${out}/${name}.S" PROPERTIES OBJECT_DEPENDS "${out}/${name}.bpf.o")
  add_library(bpf_${name} STATIC "${out}/${name}.S" "${out}/${name}.bpf.o")
  target_include_directories(bpf_${name} PUBLIC "${CMAKE_BINARY_DIR}/generated")
  target_link_libraries(bpf_${name} PUBLIC ebpf_loader)
endfunction()
