// SPDX-License-Identifier: Apache-2.0
// A whole file as bytes, with a size limit and errors that name the file.
#pragma once

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include <bitdial/core/error.hpp>
#include <bitdial/core/text.hpp>

namespace bitdial::inline BITDIAL_ABI::data {

/// The largest file that the readers accept unless told otherwise: 1 GiB.
inline constexpr std::uint64_t default_file_limit = std::uint64_t{1} << 30;

/// How the readers get the content of a file: `read_file`, `read_file_or_gzip` of data/gzip.hpp,
/// or any function `(path, max_bytes) -> bytes` that throws `FileError`.
using FileReader =
    std::function<std::vector<std::byte>(const std::string& path, std::uint64_t max_bytes)>;

namespace detail {

struct FileCloser {
  void operator()(std::FILE* file) const noexcept { static_cast<void>(std::fclose(file)); }
};
using FileHandle = std::unique_ptr<std::FILE, FileCloser>;

}  // namespace detail

/// Whether the file can be opened for reading.
[[nodiscard]] inline bool is_readable(const std::string& path) {
  return detail::FileHandle{std::fopen(path.c_str(), "rb")} != nullptr;
}

/// The content of a file. Throws `FileError` when it cannot be read or is longer than `max_bytes`.
[[nodiscard]] inline std::vector<std::byte> read_file(
    const std::string& path, std::uint64_t max_bytes = default_file_limit) {
  const auto fail = [&](std::string_view what) {
    throw FileError(concat(path, ": ", what, ": ", std::generic_category().message(errno)));
  };
  const detail::FileHandle file{std::fopen(path.c_str(), "rb")};
  if (!file) fail("cannot open");
  constexpr std::size_t block = std::size_t{1} << 16;  // then twice what is there
  std::vector<std::byte> bytes;
  while (true) {
    const std::size_t size = bytes.size();
    // One byte more than the limit is asked for, so that a longer file shows itself.
    const std::size_t wanted = std::max(block, size) < max_bytes - size
                                   ? std::max(block, size)
                                   : static_cast<std::size_t>(max_bytes - size) + 1;
    bytes.resize(size + wanted);
    const std::size_t got = std::fread(bytes.data() + size, 1, wanted, file.get());
    bytes.resize(size + got);
    if (bytes.size() > max_bytes) {
      throw FileError(concat(path, ": expected at most ", max_bytes, " bytes, found more"));
    }
    if (got < wanted) {
      if (std::ferror(file.get()) != 0) fail("cannot read");
      return bytes;
    }
  }
}

/// The non-empty lines of a text, without the line ends of any system.
[[nodiscard]] inline std::vector<std::string> text_lines(std::span<const std::byte> bytes) {
  std::vector<std::string> lines;
  std::string line;
  for (const std::byte byte : bytes) {
    const char c = static_cast<char>(std::to_integer<unsigned char>(byte));
    if (c != '\n' && c != '\r') {
      line += c;
    } else if (!line.empty()) {
      lines.push_back(std::move(line));
      line.clear();
    }
  }
  if (!line.empty()) lines.push_back(std::move(line));
  return lines;
}

}  // namespace bitdial::inline BITDIAL_ABI::data
