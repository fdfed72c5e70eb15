// SPDX-License-Identifier: Apache-2.0
#include <cstddef>
#include <vector>

#include <doctest/doctest.h>
#include <bitdial/data/file_bytes.hpp>

#include "scratch_file.hpp"

using bitdial::FileError;
using bitdial::data::is_readable;
using bitdial::data::read_file;

TEST_CASE("a file comes back byte for byte, at sizes around the block size") {
  for (const std::size_t size :
       {0U, 1U, 1000U, (1U << 20) - 1, 1U << 20, (1U << 20) + 1, 3000000U}) {
    std::vector<std::byte> content(size);
    for (std::size_t i = 0; i < size; ++i)
      content[i] = static_cast<std::byte>(i * 2654435761U >> 24);
    const scratch::File file(content);
    CHECK(read_file(file.path()) == content);
    CHECK(read_file(file.path(), size) == content);
    if (size > 0) {
      CHECK_THROWS_WITH_AS(
          static_cast<void>(read_file(file.path(), size - 1)),
          (file.path() + ": expected at most " + std::to_string(size - 1) + " bytes, found more")
              .c_str(),
          FileError);
    }
  }
}

TEST_CASE("a file that cannot be read is an error with name and reason") {
  CHECK_THROWS_WITH_AS(static_cast<void>(read_file("/nowhere/at/all")),
                       "/nowhere/at/all: cannot open: No such file or directory", FileError);
  CHECK_THROWS_WITH_AS(static_cast<void>(read_file("/")), "/: cannot read: Is a directory",
                       FileError);
  CHECK_FALSE(is_readable("/nowhere/at/all"));
  CHECK(is_readable(scratch::File({}).path()));
}
