// SPDX-License-Identifier: Apache-2.0
// A file as read-only memory: pages come from the page cache when they are first touched.
#pragma once

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <span>
#include <string>
#include <system_error>
#include <utility>

#include <bitdial/core/result.hpp>
#include <bitdial/core/text.hpp>

namespace bitdial::inline BITDIAL_ABI::io {

namespace detail {

/// The text of `errno`, read at once by the caller.
[[nodiscard]] inline std::string system_message(int error) {
  return std::error_code{error, std::generic_category()}.message();
}

}  // namespace detail

/// A whole file mapped read-only; move-only, unmapped by the destructor.
///
/// The bytes are those of the file at the time of access: replace a mapped file by renaming another
/// over it (`write_file` does), never by writing into it.
class MappedFile {
 public:
  MappedFile() = default;
  MappedFile(MappedFile&& other) noexcept
      : data_{std::exchange(other.data_, nullptr)}, size_{std::exchange(other.size_, 0)} {}
  MappedFile& operator=(MappedFile&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
  }
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;
  ~MappedFile() {
    if (data_ != nullptr) ::munmap(data_, size_);
  }

  /// Maps `path`. Errors: it does not exist, cannot be read, is not a regular file, is empty.
  [[nodiscard]] static Result<MappedFile> open(const std::string& path) {
    // O_NONBLOCK: opening a pipe must not wait for a writer.
    const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (file < 0) return Failure{concat(path, ": cannot open: ", detail::system_message(errno))};
    Result<MappedFile> mapped = map(file, path);
    ::close(file);
    return mapped;
  }

  [[nodiscard]] std::span<const std::byte> bytes() const noexcept {
    return {static_cast<const std::byte*>(data_), size_};
  }

 private:
  [[nodiscard]] static Result<MappedFile> map(int file, const std::string& path) {
    struct stat status {};
    if (::fstat(file, &status) != 0) {
      return Failure{concat(path, ": cannot read its size: ", detail::system_message(errno))};
    }
    if (S_ISDIR(status.st_mode)) {
      return Failure{concat(path, ": is a directory, expected a file")};
    }
    if (!S_ISREG(status.st_mode)) return Failure{concat(path, ": is not a regular file")};
    if (status.st_size == 0) return Failure{concat(path, ": is empty")};
    MappedFile mapped;
    const auto size = static_cast<std::size_t>(status.st_size);
    void* const data = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file, 0);
    if (data == MAP_FAILED) {
      return Failure{concat(path, ": cannot map: ", detail::system_message(errno))};
    }
    mapped.data_ = data;
    mapped.size_ = size;
    return mapped;
  }

  void* data_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace bitdial::inline BITDIAL_ABI::io
