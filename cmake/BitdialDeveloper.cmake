# SPDX-License-Identifier: Apache-2.0
# What tests, examples and benchmarks are compiled with, and users never see.

add_library(bitdial_warnings INTERFACE)
target_compile_options(bitdial_warnings INTERFACE -Wall -Wextra -Wpedantic -Wshadow -Wconversion)
if(BITDIAL_WARNINGS_AS_ERRORS)
  target_compile_options(bitdial_warnings INTERFACE -Werror)
endif()

# One executable from one source file. Programs that include a reader get its library with it.
function(bitdial_add_program name source)
  add_executable(${name} "${source}")
  target_link_libraries(${name} PRIVATE bitdial::bitdial bitdial_warnings)
  foreach(reader IN ITEMS gzip jpeg)
    if(TARGET bitdial::${reader})
      target_link_libraries(${name} PRIVATE bitdial::${reader})
    endif()
  endforeach()
endfunction()

# The kernels, compiled once for all programs that ask for them.
add_library(bitdial_emitted_kernels OBJECT EXCLUDE_FROM_ALL
            "${PROJECT_SOURCE_DIR}/tests/support/kernels.cpp")
target_link_libraries(bitdial_emitted_kernels PRIVATE bitdial::bitdial bitdial_warnings)
target_compile_definitions(bitdial_emitted_kernels PRIVATE BITDIAL_ODD_KERNELS)

function(bitdial_share_kernels name)
  target_compile_definitions(${name} PRIVATE BITDIAL_EXTERN_KERNELS BITDIAL_ODD_KERNELS)
  target_sources(${name} PRIVATE $<TARGET_OBJECTS:bitdial_emitted_kernels>)
endfunction()
