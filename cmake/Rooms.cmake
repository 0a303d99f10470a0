# A room is a folder and a static library. It exports its own headers through a folder of links, so that
# `#include "agent/model/..."` compiles only in a room that USES agent/model. UNITY: its files are compiled eight at a time:
# headers and templates, made anew for each file, take most of the time. So no two of them may name a helper the same.
# Everything is made for size, which is memory on every node and a download on every link; FAST: the files in which the
# time goes, made for speed (docs/adr/0027-size.md).

function(omnitide_room path)
  cmake_parse_arguments(ROOM "UNITY" "" "USES;LIBS;FAST" ${ARGN})
  string(REPLACE "/" "_" target "${path}")
  file(GLOB sources CONFIGURE_DEPENDS "${CMAKE_SOURCE_DIR}/${path}/*.cpp")
  if(sources)
    add_library(${target} STATIC ${sources})
    if(ROOM_UNITY AND OMNITIDE_UNITY)
      set_target_properties(${target} PROPERTIES UNITY_BUILD ON UNITY_BUILD_BATCH_SIZE 8)
      if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")  # takes an included .cpp for a header
        target_compile_options(${target} PRIVATE -Wno-subobject-linkage)
      endif()
    endif()
    set(scope PUBLIC)
    set(inner PRIVATE)
  else()
    add_library(${target} INTERFACE)
    set(scope INTERFACE)
    set(inner INTERFACE)
  endif()
  if(sources AND CMAKE_BUILD_TYPE STREQUAL "Release")
    target_compile_options(${target} PRIVATE -Oz)
    foreach(file IN LISTS ROOM_FAST)
      set_source_files_properties("${CMAKE_SOURCE_DIR}/${path}/${file}.cpp" PROPERTIES COMPILE_OPTIONS -O2
        SKIP_UNITY_BUILD_INCLUSION ON)
    endforeach()
  endif()
  omnitide_export_headers(${target} ${path} ${scope})
  foreach(used IN LISTS ROOM_USES)
    string(REPLACE "/" "_" used_target "${used}")
    target_link_libraries(${target} ${inner} ${used_target})
  endforeach()
  target_link_libraries(${target} ${inner} ${ROOM_LIBS})
  # Optimised code takes its time elsewhere, and GCC does not see which warnings come from a precompiled system header.
  if(sources AND NOT CMAKE_BUILD_TYPE STREQUAL "Release" AND "fmt::fmt-header-only" IN_LIST ROOM_LIBS)
    if("omnitide::asio" IN_LIST ROOM_LIBS)
      omnitide_precompiled(${target} asio)
    else()
      omnitide_precompiled(${target} base)
    endif()
  endif()
  if(NOT path STREQUAL "agent/base")
    target_link_libraries(${target} ${inner} omnitide::boost)
  else()
    set_source_files_properties("${CMAKE_SOURCE_DIR}/agent/base/clock.cpp" "${CMAKE_SOURCE_DIR}/agent/base/version.cpp" PROPERTIES
      COMPILE_DEFINITIONS "OMNITIDE_BUILD_EPOCH=${OMNITIDE_EPOCH};OMNITIDE_VERSION=\"${PROJECT_VERSION}\";OMNITIDE_COMMIT=\"${OMNITIDE_COMMIT}\"")
  endif()
endfunction()

function(omnitide_export_headers target path scope)
  get_filename_component(parent "${path}" DIRECTORY)
  set(view "${CMAKE_BINARY_DIR}/rooms/${target}")
  file(MAKE_DIRECTORY "${view}/${parent}")
  file(CREATE_LINK "${CMAKE_SOURCE_DIR}/${path}" "${view}/${path}" SYMBOLIC)
  target_include_directories(${target} ${scope} "${view}")
endfunction()

# The generated code of messages; consumers include "omnitide/node/v1/....pb.h". It is protobuf's lite code, also that of what it
# takes from protobuf itself (ALSO), which is not in the lite library.
function(omnitide_protobuf path)
  cmake_parse_arguments(PROTO "" "" "ALSO" ${ARGN})
  string(REPLACE "/" "_" target "${path}")
  set(out "${CMAKE_BINARY_DIR}/generated")
  file(MAKE_DIRECTORY "${out}")
  file(GLOB_RECURSE protos CONFIGURE_DEPENDS RELATIVE "${CMAKE_SOURCE_DIR}/${path}" "${CMAKE_SOURCE_DIR}/${path}/*.proto")
  list(TRANSFORM protos PREPEND "${CMAKE_SOURCE_DIR}/${path}/" OUTPUT_VARIABLE sources)
  set(generated)
  foreach(proto IN LISTS protos PROTO_ALSO)
    string(REPLACE ".proto" ".pb" stem "${proto}")
    list(APPEND generated "${out}/${stem}.cc")
    add_custom_command(OUTPUT "${out}/${stem}.cc" "${out}/${stem}.h"
      COMMAND protobuf::protoc -I "${CMAKE_SOURCE_DIR}/${path}" "--cpp_out=lite:${out}" "${proto}"
      DEPENDS ${sources} VERBATIM)
  endforeach()
  add_library(${target} STATIC ${generated})
  target_include_directories(${target} SYSTEM PUBLIC "${out}")
  target_link_libraries(${target} PUBLIC protobuf::libprotobuf-lite)
  # Messages throw nothing, and what passes through them finds nothing to clean up but memory, which is what it lacks. They have no
  # arrays either.
  target_compile_options(${target} PRIVATE $<$<COMPILE_LANGUAGE:CXX>:-w> $<$<CONFIG:Release>:-Oz>
    "$<$<COMPILE_LANG_AND_ID:CXX,GNU>:$<$<CONFIG:Release>:-fno-exceptions;-fstack-protector>>")
  omnitide_schema(${target} "${path}" ${protos} ${PROTO_ALSO})
endfunction()

# What messages are made of, as one FileDescriptorSet inside the library: TARGET_schema_begin to TARGET_schema_end.
function(omnitide_schema target path)
  set(out "${CMAKE_BINARY_DIR}/generated/${target}")
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS "${CMAKE_SOURCE_DIR}/${path}/*.proto")
  add_custom_command(OUTPUT "${out}.schema"
    COMMAND protobuf::protoc -I "${CMAKE_SOURCE_DIR}/${path}" --include_imports "--descriptor_set_out=${out}.schema" ${ARGN}
    DEPENDS ${sources} VERBATIM)
  file(CONFIGURE OUTPUT "${out}_schema.S" CONTENT [[
.section .rodata.@target@_schema, "a", @progbits
.global @target@_schema_begin, @target@_schema_end
.hidden @target@_schema_begin, @target@_schema_end
@target@_schema_begin:
.incbin "@out@.schema"
@target@_schema_end:
.section .note.GNU-stack, "", @progbits
]] @ONLY)
  set_source_files_properties("${out}_schema.S" PROPERTIES OBJECT_DEPENDS "${out}.schema")
  target_sources(${target} PRIVATE "${out}_schema.S")
endfunction()

# Functions that run while the program runs stand side by side, in the order of cmake/order/NAME.txt (docs/adr/0015-order-of-code.md).
# STATIC: for nodes whose C library is another one, or is none.
function(omnitide_program name)
  cmake_parse_arguments(PROGRAM "STATIC" "MAIN" "USES;LIBS" ${ARGN})
  if(NOT EXISTS "${CMAKE_SOURCE_DIR}/${PROGRAM_MAIN}")
    return()
  endif()
  add_executable(${name} "${PROGRAM_MAIN}")
  foreach(used IN LISTS PROGRAM_USES)
    string(REPLACE "/" "_" used_target "${used}")
    target_link_libraries(${name} PRIVATE ${used_target})
  endforeach()
  target_link_libraries(${name} PRIVATE ${PROGRAM_LIBS} omnitide::boost)
  if(PROGRAM_STATIC AND NOT OMNITIDE_SANITIZE)
    set_target_properties(${name} PROPERTIES POSITION_INDEPENDENT_CODE OFF)
    target_link_options(${name} PRIVATE -static -s)
  else()
    target_sources(${name} PRIVATE agent/unwind.cpp agent/lean.cpp)
    if(NOT OMNITIDE_SANITIZE)
      target_link_options(${name} PRIVATE -static-libstdc++ -static-libgcc)
      if(LLD AND CMAKE_BUILD_TYPE STREQUAL "Release")
        target_link_options(${name} PRIVATE LINKER:--icf=all LINKER:-O2)
        # Addresses in data, in short form: agent/relocate.cpp puts them right.
        target_sources(${name} PRIVATE agent/relocate.cpp)
        set_source_files_properties(agent/relocate.cpp PROPERTIES COMPILE_OPTIONS -fno-stack-protector)
        target_link_options(${name} PRIVATE LINKER:--pack-dyn-relocs=relr LINKER:--use-android-relr-tags LINKER:-init=omnitide_relocate)
      endif()
    endif()
  endif()
  set(order "${CMAKE_SOURCE_DIR}/cmake/order/${name}.txt")
  if(LLD AND EXISTS "${order}" AND CMAKE_BUILD_TYPE STREQUAL "Release")
    # Names that are no more, or are inlined by another compiler, cost nothing.
    target_link_options(${name} PRIVATE "LINKER:--symbol-ordering-file=${order}" LINKER:--no-warn-symbol-ordering)
    set_property(TARGET ${name} APPEND PROPERTY LINK_DEPENDS "${order}")
  endif()
endfunction()

# Every *_test.cpp of a folder becomes one program and one ctest entry, with the labels given.
function(omnitide_tests path)
  cmake_parse_arguments(TESTS "" "" "USES;LIBS;LABELS" ${ARGN})
  string(REPLACE "/" "_" target "${path}")
  file(GLOB sources CONFIGURE_DEPENDS "${CMAKE_SOURCE_DIR}/${path}/*_test.cpp")
  if(NOT sources)
    return()
  endif()
  add_executable(${target} ${sources})
  foreach(used IN LISTS TESTS_USES)
    string(REPLACE "/" "_" used_target "${used}")
    target_link_libraries(${target} PRIVATE ${used_target})
  endforeach()
  target_link_libraries(${target} PRIVATE tests_main ${TESTS_LIBS} omnitide::boost fmt::fmt-header-only)
  target_compile_options(${target} PRIVATE ${OMNITIDE_TEST_OPTIONS})
  if("omnitide::asio" IN_LIST TESTS_LIBS)
    omnitide_precompiled(${target} asio_tests)
  else()
    omnitide_precompiled(${target} tests)
  endif()
  target_compile_definitions(${target} PRIVATE OMNITIDE_FIXTURES="${CMAKE_SOURCE_DIR}/tests/fixtures"
    OMNITIDE_PROGRAMS="${CMAKE_BINARY_DIR}/bin")
  if(CMAKE_CROSSCOMPILING)
    add_test(NAME ${path} COMMAND "${CMAKE_SOURCE_DIR}/tests/emulated/unit.sh" "$<TARGET_FILE:${target}>" ${CMAKE_CROSSCOMPILING_EMULATOR})
  else()
    add_test(NAME ${path} COMMAND ${target})
  endif()
  set_tests_properties(${path} PROPERTIES LABELS "${TESTS_LABELS}" TIMEOUT 600)
  if("unit" IN_LIST TESTS_LABELS)
    if(NOT TARGET unit_tests)
      add_custom_target(unit_tests)
    endif()
    add_dependencies(unit_tests ${target})
  endif()
endfunction()
