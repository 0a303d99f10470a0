# Debian's packages as targets. Everything but glibc, libsystemd, OpenSSL and libmosquitto is linked statically, so that
# one build serves many distributions.
include(FindPkgConfig)

find_package(Boost 1.81 REQUIRED)
find_package(OpenSSL 3 REQUIRED)
find_package(Threads REQUIRED)
set(ZLIB_USE_STATIC_LIBS ON)
find_package(ZLIB REQUIRED)
find_package(fmt 9 REQUIRED)
find_package(CLI11 2.1 REQUIRED)
set(Protobuf_USE_STATIC_LIBS ON)
find_package(Protobuf REQUIRED)

add_library(omnitide_boost INTERFACE)
target_link_libraries(omnitide_boost INTERFACE Boost::headers)
# Until 1.81 Boost.URL can be compiled from its headers (agent/io/url.cpp), later it is a library of its own.
if(Boost_VERSION VERSION_GREATER_EQUAL 1.82)
  set(Boost_USE_STATIC_LIBS ON)
  find_package(Boost ${Boost_VERSION} EXACT REQUIRED COMPONENTS url)
  target_link_libraries(omnitide_boost INTERFACE Boost::url)
endif()
add_library(omnitide::boost ALIAS omnitide_boost)

# Asio and Beast: no exceptions across threads, no deprecated names; io_uring off, since epoll is what every kernel has.
add_library(omnitide_asio INTERFACE)
target_link_libraries(omnitide_asio INTERFACE Boost::headers Threads::Threads)
target_compile_definitions(omnitide_asio INTERFACE BOOST_ASIO_NO_DEPRECATED BOOST_ASIO_DISABLE_VISIBILITY)
add_library(omnitide::asio ALIAS omnitide_asio)

function(omnitide_static_library target name header)
  find_library(${target}_LIBRARY NAMES lib${name}.a ${name} REQUIRED)
  find_path(${target}_INCLUDE ${header} REQUIRED)
  # An imported library, not a path: so the linker sees it before what it needs itself.
  add_library(omnitide_${target} UNKNOWN IMPORTED)
  set_target_properties(omnitide_${target} PROPERTIES IMPORTED_LOCATION "${${target}_LIBRARY}"
    INTERFACE_SYSTEM_INCLUDE_DIRECTORIES "${${target}_INCLUDE}")
endfunction()

omnitide_static_library(bpf bpf bpf/libbpf.h)
omnitide_static_library(elf elf libelf.h)
pkg_check_modules(ZSTD IMPORTED_TARGET libzstd)
target_link_libraries(omnitide_elf INTERFACE ZLIB::ZLIB)
target_link_libraries(omnitide_bpf INTERFACE omnitide_elf ZLIB::ZLIB)
if(ZSTD_FOUND)
  target_link_libraries(omnitide_elf INTERFACE PkgConfig::ZSTD)
endif()
# The static libelf of elfutils 0.192 (Debian 13) lacks functions of its own: there the shared one serves.
include(CheckCXXSourceCompiles)
set(CMAKE_REQUIRED_LIBRARIES "${elf_LIBRARY}" ZLIB::ZLIB ${ZSTD_LINK_LIBRARIES})
check_cxx_source_compiles("#include <libelf.h>
int main() { return elf_end(elf_begin(0, ELF_C_READ, nullptr)); }" OMNITIDE_STATIC_LIBELF)
unset(CMAKE_REQUIRED_LIBRARIES)
if(NOT OMNITIDE_STATIC_LIBELF)
  find_library(ELF_SHARED_LIBRARY NAMES elf REQUIRED)
  set_target_properties(omnitide_elf PROPERTIES IMPORTED_LOCATION "${ELF_SHARED_LIBRARY}")
endif()
add_library(omnitide::bpf ALIAS omnitide_bpf)

omnitide_static_library(yaml yaml-cpp yaml-cpp/yaml.h)
add_library(yaml-cpp ALIAS omnitide_yaml)

omnitide_static_library(re2 re2 re2/re2.h)
target_link_libraries(omnitide_re2 INTERFACE Threads::Threads)
# Newer releases are built on Abseil.
pkg_check_modules(RE2 IMPORTED_TARGET re2)
if(RE2_FOUND AND "${RE2_REQUIRES}${RE2_STATIC_LIBRARIES}" MATCHES "absl")
  target_link_libraries(omnitide_re2 INTERFACE ${RE2_STATIC_LINK_LIBRARIES})
endif()
add_library(omnitide::re2 ALIAS omnitide_re2)

omnitide_static_library(nghttp2 nghttp2 nghttp2/nghttp2.h)
add_library(omnitide::nghttp2 ALIAS omnitide_nghttp2)

# For tests: the agent opens it, since its name differs between distributions.
find_library(CRYPT_LIBRARY crypt REQUIRED)
add_library(omnitide_crypt INTERFACE)
target_link_libraries(omnitide_crypt INTERFACE "${CRYPT_LIBRARY}")
add_library(omnitide::crypt ALIAS omnitide_crypt)

pkg_check_modules(SYSTEMD REQUIRED IMPORTED_TARGET libsystemd)
add_library(omnitide::systemd ALIAS PkgConfig::SYSTEMD)

pkg_check_modules(MOSQUITTO REQUIRED IMPORTED_TARGET libmosquitto)

# OpenSSL, libmosquitto and SQLite are there when they are needed: most commands never do, and only a registry has a database.
include(LazyLibrary)
find_library(SQLITE_LIBRARY sqlite3 REQUIRED)
pkg_get_variable(MOSQUITTO_LIBDIR libmosquitto libdir)
find_library(MOSQUITTO_LIBRARY mosquitto HINTS "${MOSQUITTO_LIBDIR}" REQUIRED)
if(OMNITIDE_LAZY)
  omnitide_lazy_library(crypto libcrypto.so.3 "${OPENSSL_CRYPTO_LIBRARY}")
  omnitide_lazy_library(ssl libssl.so.3 "${OPENSSL_SSL_LIBRARY}")
  omnitide_lazy_library(mosquitto libmosquitto.so.1 "${MOSQUITTO_LIBRARY}")
  omnitide_lazy_library(sqlite libsqlite3.so.0 "${SQLITE_LIBRARY}")
  add_library(omnitide::sqlite ALIAS omnitide_lazy_sqlite)
  add_library(omnitide_openssl INTERFACE)
  target_include_directories(omnitide_openssl SYSTEM INTERFACE "${OPENSSL_INCLUDE_DIR}")
  target_link_libraries(omnitide_openssl INTERFACE omnitide_lazy_ssl omnitide_lazy_crypto)
  add_library(omnitide::openssl ALIAS omnitide_openssl)
  target_include_directories(omnitide_lazy_mosquitto SYSTEM INTERFACE ${MOSQUITTO_INCLUDE_DIRS})
  add_library(omnitide::mosquitto ALIAS omnitide_lazy_mosquitto)
else()
  add_library(omnitide_sqlite INTERFACE)
  target_link_libraries(omnitide_sqlite INTERFACE "${SQLITE_LIBRARY}")
  add_library(omnitide::sqlite ALIAS omnitide_sqlite)
  add_library(omnitide_openssl INTERFACE)
  target_link_libraries(omnitide_openssl INTERFACE OpenSSL::SSL)
  add_library(omnitide::openssl ALIAS omnitide_openssl)
  add_library(omnitide::mosquitto ALIAS PkgConfig::MOSQUITTO)
endif()
