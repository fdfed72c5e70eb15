// SPDX-License-Identifier: Apache-2.0
// Gzipped files through zlib. The only header that needs zlib: include it yourself and link
// `ZLIB::ZLIB`; no umbrella includes it.
#pragma once

#include <zlib.h>

#include <limits>
#include <span>
#include <string_view>

#include <bitdial/data/file_bytes.hpp>

namespace bitdial::inline BITDIAL_ABI::data {

namespace detail {

/// A zlib decompressor for gzip members, released at the end of the scope.
class Inflater {
 public:
  explicit Inflater(std::string_view source) {
    // 16 + 15: expect a gzip header, the largest window.
    if (inflateInit2(&stream_, 16 + 15) != Z_OK) {
      throw FileError(concat(source, ": zlib cannot start a decompressor"));
    }
  }
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;
  ~Inflater() { inflateEnd(&stream_); }

  [[nodiscard]] z_stream& stream() noexcept { return stream_; }

 private:
  z_stream stream_{};
};

}  // namespace detail

/// Whether the bytes start like a gzip member.
[[nodiscard]] inline bool is_gzip(std::span<const std::byte> bytes) noexcept {
  return bytes.size() >= 2 && bytes[0] == std::byte{0x1f} && bytes[1] == std::byte{0x8b};
}

/// The decompressed content of one or several gzip members.
///
/// Memory grows with what the data really yields and never beyond twice `max_bytes`, so a small
/// file that claims or expands to a huge one is refused. Throws `FileError` for data that is not
/// gzip, damaged (checksum included), truncated, or longer than `max_bytes` after decompression.
[[nodiscard]] inline std::vector<std::byte> gunzip(std::span<const std::byte> bytes,
                                                   std::string_view source,
                                                   std::uint64_t max_bytes = default_file_limit) {
  detail::Inflater inflater(source);
  z_stream& stream = inflater.stream();
  std::vector<std::byte> out;
  std::size_t consumed = 0;
  std::size_t produced = 0;
  constexpr std::size_t step = std::size_t{1} << 30;  // zlib counts in unsigned int
  while (true) {
    if (produced == out.size()) {
      const std::uint64_t grown = std::max<std::uint64_t>(std::size_t{1} << 16, 2 * out.size());
      // One byte more than the limit is room for the proof that the data is longer.
      out.resize(grown <= max_bytes ? static_cast<std::size_t>(grown)
                                    : static_cast<std::size_t>(max_bytes) + 1);
    }
    const std::size_t input = std::min(step, bytes.size() - consumed);
    const std::size_t room = std::min(step, out.size() - produced);
    // zlib's interface lacks `const` for what it only reads.
    stream.next_in = const_cast<Bytef*>(reinterpret_cast<const Bytef*>(bytes.data() + consumed));
    stream.avail_in = static_cast<uInt>(input);
    stream.next_out = reinterpret_cast<Bytef*>(out.data() + produced);
    stream.avail_out = static_cast<uInt>(room);
    const int status = inflate(&stream, Z_NO_FLUSH);
    consumed += input - stream.avail_in;
    produced += room - stream.avail_out;
    if (produced > max_bytes) {
      throw FileError(concat(source, ": expected at most ", max_bytes,
                             " bytes after decompression, found more"));
    }
    if (status == Z_STREAM_END) {
      if (consumed == bytes.size()) break;
      if (!is_gzip(bytes.subspan(consumed)) || inflateReset(&stream) != Z_OK) {
        throw FileError(concat(source, ": expected the end of the gzip data at byte ", consumed,
                               ", found ", bytes.size() - consumed, " more bytes"));
      }
      continue;
    }
    if (status == Z_BUF_ERROR ||
        (status == Z_OK && consumed == bytes.size() && produced < out.size())) {
      throw FileError(concat(source, ": expected the end of the gzip data, found a truncated file",
                             " of ", bytes.size(), " bytes"));
    }
    if (status != Z_OK) {
      throw FileError(concat(source, ": expected gzip data, found damage before byte ", consumed,
                             ": ", stream.msg != nullptr ? stream.msg : "zlib error"));
    }
  }
  out.resize(produced);
  return out;
}

/// The content of a file, decompressed if it is gzip. Throws `FileError` as `read_file` and
/// `gunzip` do; `max_bytes` limits the compressed and the decompressed size.
[[nodiscard]] inline std::vector<std::byte> read_file_or_gzip(
    const std::string& path, std::uint64_t max_bytes = default_file_limit) {
  std::vector<std::byte> bytes = read_file(path, max_bytes);
  if (!is_gzip(bytes)) return bytes;
  return gunzip(bytes, path, max_bytes);
}

}  // namespace bitdial::inline BITDIAL_ABI::data
