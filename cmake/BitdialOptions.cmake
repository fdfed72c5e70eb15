# SPDX-License-Identifier: Apache-2.0
# Every option of the build. As a sub-project everything is off and nothing of the parent changes.

option(BITDIAL_BUILD_TESTS "Build the tests" ${PROJECT_IS_TOP_LEVEL})
option(BITDIAL_BUILD_EXAMPLES "Build the example programs" ${PROJECT_IS_TOP_LEVEL})
option(BITDIAL_BUILD_BENCH "Build the benchmarks (needs Google Benchmark)" OFF)
option(BITDIAL_WARNINGS_AS_ERRORS "Warnings end the build; the presets set it" OFF)
option(BITDIAL_INSTALL "Create the install rules" ${PROJECT_IS_TOP_LEVEL})

# Threads: OpenMP where the compiler has it, unless the user decides.
if(NOT DEFINED BITDIAL_THREADS)
  find_package(OpenMP QUIET COMPONENTS CXX)
  if(OpenMP_CXX_FOUND)
    set(_bitdial_threads openmp)
  else()
    set(_bitdial_threads none)
  endif()
  message(STATUS "bitdial: threads: ${_bitdial_threads}")
endif()
set(BITDIAL_THREADS "${_bitdial_threads}" CACHE STRING "Threads of parallel loops: openmp or none")
set_property(CACHE BITDIAL_THREADS PROPERTY STRINGS openmp none)
if(NOT BITDIAL_THREADS MATCHES "^(openmp|none)$")
  message(FATAL_ERROR "bitdial: BITDIAL_THREADS is \"${BITDIAL_THREADS}\", expected openmp or none")
endif()

# MPI for training on several machines: looked for, demanded or left alone.
set(BITDIAL_MPI AUTO CACHE STRING "Distributed training (bitdial::mpi): AUTO, ON or OFF")
set_property(CACHE BITDIAL_MPI PROPERTY STRINGS AUTO ON OFF)
if(NOT BITDIAL_MPI MATCHES "^(AUTO|ON|OFF)$")
  message(FATAL_ERROR "bitdial: BITDIAL_MPI is \"${BITDIAL_MPI}\", expected AUTO, ON or OFF")
endif()

# A measured library built without optimisation by accident helps nobody.
get_property(_bitdial_multi_config GLOBAL PROPERTY GENERATOR_IS_MULTI_CONFIG)
if(PROJECT_IS_TOP_LEVEL AND NOT CMAKE_BUILD_TYPE AND NOT _bitdial_multi_config)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "Debug, Release, RelWithDebInfo or MinSizeRel" FORCE)
endif()
