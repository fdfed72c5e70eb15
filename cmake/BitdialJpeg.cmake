# SPDX-License-Identifier: Apache-2.0
# Finds the TurboJPEG library of libjpeg-turbo: the target bitdial_turbojpeg, where it is there.

find_path(BITDIAL_TURBOJPEG_INCLUDE_DIR turbojpeg.h)
find_library(BITDIAL_TURBOJPEG_LIBRARY turbojpeg)
mark_as_advanced(BITDIAL_TURBOJPEG_INCLUDE_DIR BITDIAL_TURBOJPEG_LIBRARY)
if(BITDIAL_TURBOJPEG_INCLUDE_DIR AND BITDIAL_TURBOJPEG_LIBRARY AND NOT TARGET bitdial_turbojpeg)
  add_library(bitdial_turbojpeg UNKNOWN IMPORTED)
  set_target_properties(
    bitdial_turbojpeg PROPERTIES IMPORTED_LOCATION "${BITDIAL_TURBOJPEG_LIBRARY}"
                                 INTERFACE_INCLUDE_DIRECTORIES "${BITDIAL_TURBOJPEG_INCLUDE_DIR}")
endif()
