// SPDX-License-Identifier: Apache-2.0
// Reads a whole small file, also one of a kernel file system, whose size is only known by reading.
#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <string>

#include <bitdial/core/result.hpp>
#include <bitdial/core/text.hpp>
#include <bitdial/io/mapped_file.hpp>

namespace bitdial::inline BITDIAL_ABI::io {

/// The bytes of `path`, at most `limit`. Errors: it cannot be opened or read, or it is longer.
[[nodiscard]] inline Result<std::string> read_text_file(const std::string& path,
                                                        std::size_t limit = std::size_t{1} << 20) {
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (file < 0) return Failure{concat(path, ": cannot open: ", detail::system_message(errno))};
  std::string text;
  char block[4096];
  int error = 0;
  while (text.size() <= limit) {
    const ssize_t count = ::read(file, block, sizeof block);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) error = errno;
    if (count <= 0) break;
    text.append(block, static_cast<std::size_t>(count));
  }
  ::close(file);
  if (error != 0) return Failure{concat(path, ": cannot read: ", detail::system_message(error))};
  if (text.size() > limit) {
    return Failure{concat(path, ": is longer than ", limit, " bytes")};
  }
  return text;
}

}  // namespace bitdial::inline BITDIAL_ABI::io
