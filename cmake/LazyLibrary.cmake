# A shared library that is loaded when one of its functions is called for the first time, and not when the program starts:
# loading OpenSSL takes as long as a whole `discover`. See docs/adr/0010-lazy-libraries.md.
#
# omnitide_lazy_library(NAME SONAME FILE) makes `omnitide_lazy_NAME`: a static library with a small function for each one that
# FILE exports, of which the linker keeps those that are called. Called code links with it instead of FILE.
enable_language(ASM)

# Other processors have no such functions here and link with the libraries themselves. So do sanitizers and fuzzers.
set(OMNITIDE_LAZY OFF)
if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|aarch64)$" AND NOT OMNITIDE_SANITIZE AND NOT OMNITIDE_FUZZ)
  include(CheckLinkerFlag)
  check_linker_flag(CXX -Wl,-z,start-stop-gc OMNITIDE_START_STOP_GC)
  set(OMNITIDE_LAZY ${OMNITIDE_START_STOP_GC})
endif()

function(omnitide_lazy_library name soname file)
  set(out "${CMAKE_BINARY_DIR}/generated/lazy_${name}.S")
  file(REAL_PATH "${file}" real)
  add_custom_command(OUTPUT "${out}"
    COMMAND sh "${CMAKE_SOURCE_DIR}/cmake/lazy_library.sh" "${CMAKE_SYSTEM_PROCESSOR}" "${CMAKE_NM}" "${real}" "${name}" "${soname}" "${out}"
    DEPENDS "${CMAKE_SOURCE_DIR}/cmake/lazy_library.sh" "${real}" VERBATIM)
  add_library(omnitide_lazy_${name} STATIC "${out}")
  target_link_libraries(omnitide_lazy_${name} INTERFACE agent_base ${CMAKE_DL_LIBS})
  target_link_options(omnitide_lazy_${name} INTERFACE -Wl,-z,start-stop-gc)
endfunction()
