# SPDX-License-Identifier: Apache-2.0
# embed_file(TARGET FILE SYMBOL [AS_ARRAY]): the bytes of FILE become a constant of TARGET,
#   extern "C" const unsigned char SYMBOL[];  extern "C" const unsigned long SYMBOL_size;
# in read-only memory, on a boundary of 64 bytes. The assembler copies the file with .incbin; with
# AS_ARRAY it becomes a C++ array first, for compilers whose assembler cannot do that.

set(_embed_file_script "${CMAKE_CURRENT_LIST_DIR}/write_array.cmake")

function(embed_file target file symbol)
  cmake_parse_arguments(PARSE_ARGV 3 arg "AS_ARRAY" "" "")
  get_filename_component(file "${file}" ABSOLUTE)
  if(NOT EXISTS "${file}")
    message(FATAL_ERROR "embed_file: ${file} does not exist")
  endif()
  if(arg_AS_ARRAY)
    set(source "${CMAKE_CURRENT_BINARY_DIR}/${symbol}_array.cpp")
    add_custom_command(
      OUTPUT "${source}"
      COMMAND "${CMAKE_COMMAND}" "-DINPUT=${file}" "-DOUTPUT=${source}" "-DSYMBOL=${symbol}" -P
              "${_embed_file_script}"
      DEPENDS "${file}" "${_embed_file_script}"
      VERBATIM)
  else()
    set(source "${CMAKE_CURRENT_BINARY_DIR}/${symbol}_incbin.cpp")
    file(CONFIGURE OUTPUT "${source}" @ONLY CONTENT [=[
// Written by embed_file.
__asm__(
    ".pushsection .rodata\n"
    ".balign 64\n"
    ".globl @symbol@\n"
    "@symbol@:\n"
    ".incbin \"@file@\"\n"
    ".Lend_of_@symbol@:\n"
    ".balign 8\n"
    ".globl @symbol@_size\n"
    "@symbol@_size:\n"
    ".dc.a .Lend_of_@symbol@ - @symbol@\n"
    ".popsection\n");
]=])
    set_source_files_properties("${source}" PROPERTIES OBJECT_DEPENDS "${file}")
  endif()
  target_sources(${target} PRIVATE "${source}")
endfunction()
