# SPDX-License-Identifier: Apache-2.0
# The targets a user links:
#   bitdial::runtime   packed networks: load, switch, run (bitdial/runtime.hpp)
#   bitdial::bitdial   everything: training and packing too (bitdial/bitdial.hpp)
#   bitdial::gzip      bitdial::bitdial and zlib, for bitdial/data/gzip.hpp; only where zlib is found
#   bitdial::jpeg      the same with libjpeg-turbo, for bitdial/data/jpeg.hpp
#   bitdial::mpi       the same with MPI, for bitdial/train/distributed_mpi.hpp (BITDIAL_MPI)
# They carry C++20, the include directory and OpenMP (if chosen); no -m flag, no definition.

file(GLOB_RECURSE _bitdial_headers CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/include/bitdial/*.hpp")
file(GLOB_RECURSE _bitdial_fragments CONFIGURE_DEPENDS
     "${PROJECT_SOURCE_DIR}/include/bitdial/*.ipp")

# The runtime is made of whole layers; fragments (.ipp) belong to kernels, so to the runtime.
set(_bitdial_runtime_headers ${_bitdial_headers})
list(FILTER _bitdial_runtime_headers INCLUDE
     REGEX "/include/bitdial/((core|io|kernels|quant|ops|deploy)/|runtime\\.hpp|version\\.hpp)")
list(FILTER _bitdial_runtime_headers EXCLUDE REGEX "/deploy/pack\\.hpp$")
set(_bitdial_training_headers ${_bitdial_headers})
list(REMOVE_ITEM _bitdial_training_headers ${_bitdial_runtime_headers})

add_library(bitdial_runtime INTERFACE)
add_library(bitdial::runtime ALIAS bitdial_runtime)
set_target_properties(bitdial_runtime PROPERTIES EXPORT_NAME runtime)
target_compile_features(bitdial_runtime INTERFACE cxx_std_20)
target_sources(
  bitdial_runtime
  INTERFACE FILE_SET HEADERS BASE_DIRS "${PROJECT_SOURCE_DIR}/include"
            FILES ${_bitdial_runtime_headers}
  INTERFACE FILE_SET fragments TYPE HEADERS BASE_DIRS "${PROJECT_SOURCE_DIR}/include"
            FILES ${_bitdial_fragments})
if(BITDIAL_THREADS STREQUAL "openmp")
  find_package(OpenMP REQUIRED COMPONENTS CXX)
  target_link_libraries(bitdial_runtime INTERFACE OpenMP::OpenMP_CXX)
endif()

add_library(bitdial INTERFACE)
add_library(bitdial::bitdial ALIAS bitdial)
target_link_libraries(bitdial INTERFACE bitdial_runtime)
target_sources(
  bitdial INTERFACE FILE_SET HEADERS BASE_DIRS "${PROJECT_SOURCE_DIR}/include"
                    FILES ${_bitdial_training_headers})

find_package(ZLIB QUIET)
if(ZLIB_FOUND)
  add_library(bitdial_gzip INTERFACE)
  add_library(bitdial::gzip ALIAS bitdial_gzip)
  set_target_properties(bitdial_gzip PROPERTIES EXPORT_NAME gzip)
  target_link_libraries(bitdial_gzip INTERFACE bitdial ZLIB::ZLIB)
endif()

include(BitdialJpeg)
if(TARGET bitdial_turbojpeg)
  add_library(bitdial_jpeg INTERFACE)
  add_library(bitdial::jpeg ALIAS bitdial_jpeg)
  target_link_libraries(bitdial_jpeg INTERFACE bitdial bitdial_turbojpeg)
endif()

if(BITDIAL_MPI STREQUAL "ON")
  find_package(MPI REQUIRED COMPONENTS CXX)
elseif(BITDIAL_MPI STREQUAL "AUTO" AND PROJECT_IS_TOP_LEVEL)
  find_package(MPI QUIET COMPONENTS CXX)
endif()
if(MPI_CXX_FOUND AND NOT BITDIAL_MPI STREQUAL "OFF")
  add_library(bitdial_mpi INTERFACE)
  add_library(bitdial::mpi ALIAS bitdial_mpi)
  target_link_libraries(bitdial_mpi INTERFACE bitdial MPI::MPI_CXX)
endif()
