// SPDX-License-Identifier: Apache-2.0
// Writes a file so that a reader, or a crash at any moment, sees the old file or the new one.
#pragma once

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <span>
#include <string>

#include <bitdial/core/result.hpp>
#include <bitdial/core/text.hpp>
#include <bitdial/io/mapped_file.hpp>

namespace bitdial::inline BITDIAL_ABI::io {

namespace detail {

/// Writes and syncs `bytes`; 0 or the error number.
[[nodiscard]] inline int write_and_sync(int file, std::span<const std::byte> bytes) noexcept {
  while (!bytes.empty()) {
    const ssize_t written = ::write(file, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return errno;
    if (written == 0) return EIO;
    bytes = bytes.subspan(static_cast<std::size_t>(written));
  }
  return ::fsync(file) == 0 ? 0 : errno;
}

/// Makes a rename in the folder of `path` durable; folders that cannot be synced are left alone.
inline void sync_folder_of(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  const std::string folder =
      slash == std::string::npos ? "." : (slash == 0 ? "/" : path.substr(0, slash));
  const int handle = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (handle < 0) return;
  static_cast<void>(::fsync(handle));
  ::close(handle);
}

}  // namespace detail

/// Replaces the contents of `path` by `bytes`: temporary file beside it, fsync, rename.
///
/// Errors leave `path` as it was and no temporary file behind. Readers that have the old file
/// mapped keep the old bytes.
[[nodiscard]] inline Result<void> write_file(const std::string& path,
                                             std::span<const std::byte> bytes) {
  const std::string temporary = concat(path, ".tmp-", ::getpid());
  const int file = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (file < 0) {
    return Failure{
        concat(path, ": cannot create ", temporary, ": ", detail::system_message(errno))};
  }
  int error = detail::write_and_sync(file, bytes);
  if (::close(file) != 0 && error == 0) error = errno;
  if (error == 0 && ::rename(temporary.c_str(), path.c_str()) != 0) error = errno;
  if (error != 0) {
    ::unlink(temporary.c_str());
    return Failure{
        concat(path, ": cannot write ", bytes.size(), " bytes: ", detail::system_message(error))};
  }
  detail::sync_folder_of(path);
  return {};
}

}  // namespace bitdial::inline BITDIAL_ABI::io
