# Debian's cross compiler for arm64, and libraries from a sysroot: what `./dev package --arch arm64` builds with. Tools that the build
# runs (protoc, clang for BPF, lld) are this machine's; programs of ours run under qemu-user. See docs/adr/0020-cross-build.md.
set(OMNITIDE_ARM64 "${CMAKE_CURRENT_LIST_DIR}/../.omnitide/arm64" CACHE PATH "a folder with `sysroot` and `qemu-aarch64`")
get_filename_component(omnitide_arm64 "${OMNITIDE_ARM64}" ABSOLUTE)
list(APPEND CMAKE_TRY_COMPILE_PLATFORM_VARIABLES OMNITIDE_ARM64)

set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_C_COMPILER aarch64-linux-gnu-gcc)
set(CMAKE_CXX_COMPILER aarch64-linux-gnu-g++)
set(CMAKE_LIBRARY_ARCHITECTURE aarch64-linux-gnu)
set(CMAKE_SYSROOT "${omnitide_arm64}/sysroot")
# By the loader of the sysroot. With -L, the emulator would put the sysroot in front of each path, and "/" would be another machine.
set(CMAKE_CROSSCOMPILING_EMULATOR "${omnitide_arm64}/qemu-aarch64" "${CMAKE_SYSROOT}/usr/lib/aarch64-linux-gnu/ld-linux-aarch64.so.1"
  --library-path "${CMAKE_SYSROOT}/usr/lib/aarch64-linux-gnu")

set(CPACK_DEBIAN_PACKAGE_ARCHITECTURE arm64)
set(CPACK_RPM_PACKAGE_ARCHITECTURE aarch64)

set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE ONLY)
set(ENV{PKG_CONFIG_SYSROOT_DIR} "${CMAKE_SYSROOT}")
set(ENV{PKG_CONFIG_LIBDIR} "${CMAKE_SYSROOT}/usr/lib/aarch64-linux-gnu/pkgconfig:${CMAKE_SYSROOT}/usr/share/pkgconfig")
