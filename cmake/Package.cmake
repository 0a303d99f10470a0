# What is installed, and the packages of it: `./dev package`. One staged tree for both kinds.
include(GNUInstallDirs)
set(AGENT_FILES "${CMAKE_BINARY_DIR}/package")
file(MAKE_DIRECTORY "${AGENT_FILES}")

execute_process(COMMAND date -u -R -d "@${OMNITIDE_EPOCH}" OUTPUT_VARIABLE package_date OUTPUT_STRIP_TRAILING_WHITESPACE)
file(WRITE "${AGENT_FILES}/changelog.Debian" "omnitide-agent (${PROJECT_VERSION}-1) stable; urgency=medium

  * Release ${PROJECT_VERSION}; what changed stands in changelog.gz.

 -- The Omnitide authors <agent@omnitide.io>  ${package_date}
")

# Texts that the program writes about itself, and compressed texts without a time in them, so that two builds are equal.
add_custom_command(OUTPUT "${AGENT_FILES}/omnitide-agent.8.gz"
  COMMAND omnitide-agent manual >"${AGENT_FILES}/omnitide-agent.8"
  COMMAND omnitide-agent completion bash >"${AGENT_FILES}/omnitide-agent"
  COMMAND omnitide-agent completion zsh >"${AGENT_FILES}/_omnitide-agent"
  COMMAND omnitide-agent completion fish >"${AGENT_FILES}/omnitide-agent.fish"
  COMMAND gzip -9nkf "${AGENT_FILES}/omnitide-agent.8"
  COMMAND gzip -9nc "${CMAKE_SOURCE_DIR}/CHANGELOG.md" >"${AGENT_FILES}/changelog.gz"
  COMMAND gzip -9nkf "${AGENT_FILES}/changelog.Debian"
  DEPENDS omnitide-agent "${CMAKE_SOURCE_DIR}/CHANGELOG.md" "${AGENT_FILES}/changelog.Debian")
add_custom_target(package_texts DEPENDS "${AGENT_FILES}/omnitide-agent.8.gz")

set_target_properties(omnitide-agent PROPERTIES INSTALL_RPATH /usr/lib/omnitide-agent)
install(TARGETS omnitide-agent DESTINATION bin)
install(FILES packaging/agent.yaml DESTINATION /etc/omnitide)
install(FILES packaging/omnitide-agent.service packaging/omnitide-agent-vacuum.service packaging/omnitide-agent-clean.service
  packaging/omnitide-agent-smart.service packaging/omnitide-agent-smart.timer DESTINATION lib/systemd/system)
install(FILES packaging/polkit.rules DESTINATION share/polkit-1/rules.d RENAME 50-omnitide-agent.rules)
install(FILES packaging/sysusers.conf DESTINATION lib/sysusers.d RENAME omnitide-agent.conf)
install(FILES packaging/tmpfiles.conf DESTINATION lib/tmpfiles.d RENAME omnitide-agent.conf)
install(FILES "${AGENT_FILES}/omnitide-agent.8.gz" DESTINATION share/man/man8)
install(FILES "${AGENT_FILES}/omnitide-agent" DESTINATION share/bash-completion/completions)
install(FILES "${AGENT_FILES}/_omnitide-agent" DESTINATION share/zsh/vendor-completions)
install(FILES "${AGENT_FILES}/omnitide-agent.fish" DESTINATION share/fish/vendor_completions.d)
install(FILES packaging/deb/copyright "${AGENT_FILES}/changelog.gz" "${AGENT_FILES}/changelog.Debian.gz" DESTINATION share/doc/omnitide-agent)
install(DIRECTORY packaging/examples DESTINATION share/doc/omnitide-agent)
install(FILES packaging/deb/lintian-overrides DESTINATION share/lintian/overrides RENAME omnitide-agent)
# The library whose name differs between distributions is carried along, in a folder of ours.
file(REAL_PATH "${MOSQUITTO_LIBRARY}" MOSQUITTO_FILE)
install(FILES "${MOSQUITTO_FILE}" DESTINATION lib/omnitide-agent RENAME libmosquitto.so.1)

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME omnitide-agent)
set(CPACK_PACKAGE_VENDOR Omnitide)
set(CPACK_PACKAGE_CONTACT "The Omnitide authors <agent@omnitide.io>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "node agent: discovery, metrics, network policy, telemetry in one process")
set(CPACK_PACKAGE_DESCRIPTION "One process on each node that finds out what hardware it has, registers\nit with a control plane, enforces Kubernetes network policy with eBPF,\nserves what node_exporter serves and what only eBPF sees, and sends it\nover MQTT.")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_PACKAGE_DIRECTORY "${CMAKE_BINARY_DIR}/packages")
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)
set(CMAKE_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS "${CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS}")

set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_RELEASE 1)
set(CPACK_DEBIAN_PACKAGE_SECTION admin)
set(CPACK_DEBIAN_PACKAGE_PRIORITY optional)
set(CPACK_DEBIAN_COMPRESSION_TYPE xz)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS OFF) # libraries that are opened when they are called stand nowhere in the program
set(CPACK_DEBIAN_PACKAGE_DEPENDS "libc6 (>= 2.34), libssl3 | libssl3t64, libsystemd0, init-system-helpers (>= 1.54)")
set(CPACK_DEBIAN_PACKAGE_RECOMMENDS libcrypt1) # passwords of the web configuration
set(CPACK_DEBIAN_PACKAGE_SUGGESTS libsqlite3-0) # an embedded registry
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA packaging/deb/postinst packaging/deb/prerm packaging/deb/postrm packaging/deb/conffiles)
list(TRANSFORM CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA PREPEND "${CMAKE_SOURCE_DIR}/")

set(CPACK_RPM_FILE_NAME RPM-DEFAULT)
set(CPACK_RPM_PACKAGE_RELEASE 1)
set(CPACK_RPM_PACKAGE_LICENSE MIT)
set(CPACK_RPM_PACKAGE_AUTOREQPROV OFF)
# Nothing of the build's time and place: rpmbuild clamps times to SOURCE_DATE_EPOCH.
set(CPACK_RPM_SPEC_MORE_DEFINE "%define _build_id_links none
%define _buildhost localhost
%define use_source_date_epoch_as_buildtime Y
%define clamp_mtime_to_source_date_epoch Y
%define packager ${CPACK_PACKAGE_CONTACT}")
set(CPACK_RPM_PACKAGE_SUMMARY "Node agent: discovery, metrics, network policy, telemetry in one process")
set(CPACK_RPM_PACKAGE_DESCRIPTION "${CPACK_PACKAGE_DESCRIPTION}")
set(CPACK_RPM_PACKAGE_REQUIRES "glibc >= 2.34, openssl-libs >= 3.0, systemd-libs, systemd")
set(CPACK_RPM_PACKAGE_SUGGESTS "libxcrypt, sqlite-libs") # passwords of the web configuration; an embedded registry
set(CPACK_RPM_POST_INSTALL_SCRIPT_FILE "${CMAKE_SOURCE_DIR}/packaging/rpm/post")
set(CPACK_RPM_PRE_UNINSTALL_SCRIPT_FILE "${CMAKE_SOURCE_DIR}/packaging/rpm/preun")
set(CPACK_RPM_POST_UNINSTALL_SCRIPT_FILE "${CMAKE_SOURCE_DIR}/packaging/rpm/postun")
set(CPACK_RPM_USER_FILELIST "%config(noreplace) /etc/omnitide/agent.yaml")
set(CPACK_RPM_EXCLUDE_FROM_AUTO_FILELIST_ADDITION /etc /usr/lib/systemd /usr/lib/systemd/system /usr/lib/sysusers.d /usr/lib/tmpfiles.d
  /usr/share/man /usr/share/man/man8 /usr/share/bash-completion /usr/share/bash-completion/completions
  /usr/share/polkit-1 /usr/share/polkit-1/rules.d)
include(CPack)
