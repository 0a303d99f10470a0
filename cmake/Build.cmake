# Compiler settings for every target of the project.
option(OMNITIDE_TESTS "build the tests" ON)
option(OMNITIDE_WERROR "warnings are errors" OFF)
option(OMNITIDE_UNITY "compile the files of some rooms together: less than half the time, but a missing include goes unseen" ON)
option(OMNITIDE_FUZZ "build the libFuzzer targets (clang)" OFF)
set(OMNITIDE_SANITIZE "" CACHE STRING "sanitizers, e.g. address,undefined")

if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "" FORCE)
endif()
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/bin")
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_CXX_VISIBILITY_PRESET hidden)
set(CMAKE_VISIBILITY_INLINES_HIDDEN ON)
include(CheckPIESupported)
check_pie_supported()

find_program(CCACHE ccache)
if(CCACHE)
  # Objects are shared between presets and clones: paths count relative to the source, and a precompiled header by its content.
  set(CCACHE_LAUNCHER env "CCACHE_BASEDIR=${CMAKE_SOURCE_DIR}" CCACHE_NOHASHDIR=1
    CCACHE_SLOPPINESS=pch_defines,time_macros "${CCACHE}")
  set(CMAKE_CXX_COMPILER_LAUNCHER "${CCACHE_LAUNCHER}")
  set(CMAKE_C_COMPILER_LAUNCHER "${CCACHE_LAUNCHER}")
endif()

add_compile_options(-Wall -Wextra -Wpedantic -Wshadow -Wnon-virtual-dtor -Woverloaded-virtual -Wcast-align -Wconversion
  -Wsign-conversion -Wformat=2 -Wundef -Wno-error=deprecated-declarations)
if(OMNITIDE_WERROR)
  add_compile_options(-Werror)
endif()
# GCC 12 and 13 report false positives in std::string and coroutine code at -O2 (GCC bugs 105329, 105651).
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  add_compile_options(-Wno-restrict -Wno-maybe-uninitialized -Wno-stringop-overflow -Wno-array-bounds)
endif()
add_compile_options(-ffunction-sections -fdata-sections -fstack-protector-strong)
# lld links a program in a sixth of the time of GNU ld, and puts functions in an order that is named (omnitide_program).
find_program(LLD ld.lld)
if(LLD)
  add_link_options(-fuse-ld=lld)
  if(CMAKE_CROSSCOMPILING) # GCC's cross compiler looks for it under its own prefix, or in folders that it is told
    file(MAKE_DIRECTORY "${CMAKE_BINARY_DIR}/linker")
    file(CREATE_LINK "${LLD}" "${CMAKE_BINARY_DIR}/linker/ld.lld" SYMBOLIC)
    add_link_options("-B${CMAKE_BINARY_DIR}/linker")
  endif()
endif()
add_link_options(-Wl,--gc-sections -Wl,--as-needed -Wl,-z,relro -Wl,-z,now)
if(CMAKE_BUILD_TYPE STREQUAL "Release")
  set(CMAKE_CXX_FLAGS_RELEASE "-O2 -g1 -DNDEBUG")
  set(CMAKE_C_FLAGS_RELEASE "-O2 -g1 -DNDEBUG")
  add_compile_definitions(_FORTIFY_SOURCE=2)
  # Asio recycles coroutine frames by an operator new that GCC, when it inlines, does not see as the pair of delete.
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    # Nobody asks for a type at run time; each function that is stored would bring the name of its type along.
    add_compile_options($<$<COMPILE_LANGUAGE:CXX>:-Wno-mismatched-new-delete> $<$<COMPILE_LANGUAGE:CXX>:-fno-rtti>)
  endif()
  # Paths of the build machine stay out of the programs.
  add_compile_options("-ffile-prefix-map=${CMAKE_SOURCE_DIR}=." "-ffile-prefix-map=${CMAKE_BINARY_DIR}=build")
else()
  set(CMAKE_CXX_FLAGS_DEBUG "-O0 -g1")
endif()
if(OMNITIDE_SANITIZE)
  add_compile_options(-fsanitize=${OMNITIDE_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  add_link_options(-fsanitize=${OMNITIDE_SANITIZE})
endif()
if(OMNITIDE_FUZZ)
  # Without "function": clang 14 cannot place its data before the pieces of a coroutine.
  add_compile_options(-fsanitize=fuzzer-no-link -fno-sanitize=function)
endif()

# Version, commit and time are compiled into one file only (agent/base), so that a new commit rebuilds little.
execute_process(COMMAND git -C "${CMAKE_SOURCE_DIR}" rev-parse --short=12 HEAD OUTPUT_VARIABLE OMNITIDE_COMMIT
  OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
execute_process(COMMAND git -C "${CMAKE_SOURCE_DIR}" log -1 --format=%ct OUTPUT_VARIABLE OMNITIDE_EPOCH
  OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
if(DEFINED ENV{SOURCE_DATE_EPOCH})
  set(OMNITIDE_EPOCH "$ENV{SOURCE_DATE_EPOCH}")
endif()
if(NOT OMNITIDE_EPOCH)
  string(TIMESTAMP OMNITIDE_EPOCH "%s" UTC)
endif()
