// SPDX-License-Identifier: Apache-2.0
// A file in memory: both ways give its bytes; a copy does not care what happens to the file.
#include <bitdial/io/mapped_file.hpp>
#include <bitdial/io/write_file.hpp>

#include <doctest/doctest.h>

#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

namespace {

using namespace bitdial;

std::string scratch() {
  return (std::filesystem::temp_directory_path() /
          ("bitdial_mapped_file_test_" + std::to_string(::getpid())))
      .string();
}

TEST_CASE("mapped and copied: the same bytes; a copy outlives the file") {
  const std::string path = scratch();
  std::vector<std::byte> bytes(70'001);
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::byte>(i * 7 / 3);
  REQUIRE(io::write_file(path, bytes));
  const auto mapped = io::MappedFile::open(path);
  REQUIRE_MESSAGE(mapped.ok(), mapped.error());
  CHECK(std::ranges::equal(mapped->bytes(), bytes));
  const auto copied = io::MappedFile::open(path, io::FileAccess::copied);
  REQUIRE_MESSAGE(copied.ok(), copied.error());
  REQUIRE(::truncate(path.c_str(), 0) == 0);  // the mapped pages may no longer be touched
  CHECK(std::ranges::equal(copied->bytes(), bytes));
  std::filesystem::remove(path);
}

TEST_CASE("what cannot be opened is refused in both ways with the path and the reason") {
  for (const io::FileAccess access : {io::FileAccess::mapped, io::FileAccess::copied}) {
    const std::string path = scratch();
    const auto error = [&](const std::string& of) {
      const auto file = io::MappedFile::open(of, access);
      return file ? std::string{} : file.error();
    };
    CHECK(error(path) == path + ": cannot open: No such file or directory");
    CHECK(error("/tmp") == "/tmp: is a directory, expected a file");
    CHECK(error("/dev/null") == "/dev/null: is not a regular file");
    REQUIRE(io::write_file(path, {}));
    CHECK(error(path) == path + ": is empty");
    std::filesystem::remove(path);
  }
}

}  // namespace
