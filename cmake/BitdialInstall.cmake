# SPDX-License-Identifier: Apache-2.0
# Install rules: headers, the licence, and a relocatable package configuration.

include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set(_bitdial_package_dir "${CMAKE_INSTALL_DATADIR}/cmake/bitdial")

install(TARGETS bitdial_runtime EXPORT bitdialTargets FILE_SET HEADERS FILE_SET fragments)
install(TARGETS bitdial EXPORT bitdialTargets FILE_SET HEADERS)
install(EXPORT bitdialTargets NAMESPACE bitdial:: DESTINATION "${_bitdial_package_dir}")

configure_package_config_file(
  "${PROJECT_SOURCE_DIR}/cmake/bitdialConfig.cmake.in" "${PROJECT_BINARY_DIR}/bitdialConfig.cmake"
  INSTALL_DESTINATION "${_bitdial_package_dir}")
write_basic_package_version_file("${PROJECT_BINARY_DIR}/bitdialConfigVersion.cmake"
                                 COMPATIBILITY SameMinorVersion ARCH_INDEPENDENT)
install(FILES "${PROJECT_BINARY_DIR}/bitdialConfig.cmake"
              "${PROJECT_BINARY_DIR}/bitdialConfigVersion.cmake"
              "${PROJECT_SOURCE_DIR}/cmake/BitdialJpeg.cmake"
        DESTINATION "${_bitdial_package_dir}")
install(FILES "${PROJECT_SOURCE_DIR}/LICENSE" DESTINATION "${CMAKE_INSTALL_DOCDIR}")
