// SPDX-License-Identifier: Apache-2.0
// Files in and out: atomic replacement, mapping, and the sentences when it cannot be done.
#include <bitdial/io/mapped_file.hpp>
#include <bitdial/io/write_file.hpp>

#include <doctest/doctest.h>

#include <unistd.h>

#include <cstddef>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

namespace {

using bitdial::io::MappedFile;
using bitdial::io::write_file;

struct Folder {
  Folder() {
    path = std::filesystem::temp_directory_path() /
           ("bitdial_write_file_" + std::to_string(::getpid()));
    std::filesystem::create_directories(path);
  }
  ~Folder() { std::filesystem::remove_all(path); }
  std::string operator/(const char* name) const { return (path / name).string(); }
  std::filesystem::path path;
};

std::vector<std::byte> pattern(std::size_t size, int first) {
  std::vector<std::byte> bytes(size);
  for (std::size_t i = 0; i < size; ++i) {
    bytes[i] = static_cast<std::byte>((first + static_cast<int>(i)) & 0xFF);
  }
  return bytes;
}

bool same(const MappedFile& file, const std::vector<std::byte>& bytes) {
  return std::vector<std::byte>(file.bytes().begin(), file.bytes().end()) == bytes;
}

TEST_CASE("a written file maps back, and replacing it keeps old readers intact") {
  const Folder folder;
  const std::string path = folder / "model";
  REQUIRE(write_file(path, pattern(100'000, 1)));
  auto old_file = MappedFile::open(path);
  REQUIRE(old_file);
  REQUIRE(write_file(path, pattern(50, 9)));
  CHECK(same(*old_file, pattern(100'000, 1)));
  auto new_file = MappedFile::open(path);
  REQUIRE(new_file);
  CHECK(same(*new_file, pattern(50, 9)));
  MappedFile moved = std::move(*new_file);
  CHECK(new_file->bytes().empty());
  CHECK(same(moved, pattern(50, 9)));
  CHECK(std::distance(std::filesystem::directory_iterator{folder.path}, {}) == 1);
}

TEST_CASE("files that cannot be mapped: the path and the reason") {
  const Folder folder;
  const auto missing = MappedFile::open(folder / "absent");
  CHECK_FALSE(missing);
  CHECK(missing.error() == (folder / "absent") + ": cannot open: No such file or directory");
  REQUIRE(write_file(folder / "empty", {}));
  const auto empty = MappedFile::open(folder / "empty");
  CHECK_FALSE(empty);
  CHECK(empty.error() == (folder / "empty") + ": is empty");
  const auto directory = MappedFile::open(folder.path.string());
  CHECK_FALSE(directory);
  CHECK(directory.error() == folder.path.string() + ": is a directory, expected a file");
  const auto device = MappedFile::open("/dev/null");
  CHECK_FALSE(device);
  CHECK(device.error() == "/dev/null: is not a regular file");
}

TEST_CASE("a failed write leaves nothing behind") {
  const Folder folder;
  const auto into_missing = write_file(folder / "no/such/model", pattern(5, 0));
  CHECK_FALSE(into_missing);
  CHECK(into_missing.error().find("No such file or directory") != std::string::npos);
  // A folder cannot be replaced by a file: the rename fails, the temporary file must go.
  std::filesystem::create_directories(folder.path / "taken" / "inside");
  const auto onto_folder = write_file(folder / "taken", pattern(5, 0));
  CHECK_FALSE(onto_folder);
  CHECK(onto_folder.error().find("cannot write 5 bytes") != std::string::npos);
  CHECK(std::distance(std::filesystem::directory_iterator{folder.path}, {}) == 1);
}

}  // namespace
