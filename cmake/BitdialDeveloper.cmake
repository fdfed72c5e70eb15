# SPDX-License-Identifier: Apache-2.0
# What tests, examples and benchmarks are compiled with, and users never see.

add_library(bitdial_warnings INTERFACE)
target_compile_options(bitdial_warnings INTERFACE -Wall -Wextra -Wpedantic -Wshadow -Wconversion
                                                  -Werror)

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
