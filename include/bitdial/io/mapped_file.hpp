// SPDX-License-Identifier: Apache-2.0
// A file as read-only memory: the pages of the page cache, or a copy.
#pragma once

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
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

/// How the bytes of a file come into memory.
enum class FileAccess : std::uint8_t {
  mapped,  ///< pages of the page cache, shared by all processes, read when they are first touched
  copied,  ///< read at once into memory of this process: what happens to the file does no harm
};

/// A whole file as read-only pages; move-only, given back by the destructor.
///
/// The bytes of a mapped file are those at the time of access: replace it by renaming another over
/// it (`write_file` does), never by writing into it. Where others may write into it or cut it off,
/// `FileAccess::copied` is the safe way.
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

  /// Errors: it does not exist, cannot be read, is not a regular file, is empty, no memory.
  [[nodiscard]] static Result<MappedFile> open(const std::string& path,
                                               FileAccess access = FileAccess::mapped) {
    // O_NONBLOCK: opening a pipe must not wait for a writer.
    const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (file < 0) return Failure{concat(path, ": cannot open: ", detail::system_message(errno))};
    Result<MappedFile> mapped = map(file, path, access);
    ::close(file);
    return mapped;
  }

  [[nodiscard]] std::span<const std::byte> bytes() const noexcept {
    return {static_cast<const std::byte*>(data_), size_};
  }

 private:
  [[nodiscard]] static Result<MappedFile> map(int file, const std::string& path,
                                              FileAccess access) {
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
    const bool copied = access == FileAccess::copied;
    void* const data =
        copied ? ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
               : ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file, 0);
    if (data == MAP_FAILED) {
      return Failure{
          concat(path, ": cannot map ", size, " bytes: ", detail::system_message(errno))};
    }
    mapped.data_ = data;
    mapped.size_ = size;
    if (copied) {
      if (auto done = fill(file, path, {static_cast<std::byte*>(data), size}); !done) {
        return done.failure();
      }
    }
    return mapped;
  }

  [[nodiscard]] static Result<void> fill(int file, const std::string& path,
                                         std::span<std::byte> memory) {
    for (std::size_t at = 0; at < memory.size();) {
      const ssize_t count = ::read(file, memory.data() + at, memory.size() - at);
      if (count < 0 && errno == EINTR) continue;
      if (count < 0) {
        return Failure{concat(path, ": cannot read: ", detail::system_message(errno))};
      }
      if (count == 0) {
        return Failure{
            concat(path, ": ended after ", at, " of ", memory.size(), " bytes while it was read")};
      }
      at += static_cast<std::size_t>(count);
    }
    if (::mprotect(memory.data(), memory.size(), PROT_READ) != 0) {
      return Failure{concat(path, ": cannot protect: ", detail::system_message(errno))};
    }
    return {};
  }

  void* data_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace bitdial::inline BITDIAL_ABI::io
