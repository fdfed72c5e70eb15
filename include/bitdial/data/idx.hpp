// SPDX-License-Identifier: Apache-2.0
// Reader of IDX files, the format of MNIST and its relatives: big-endian header, then bytes.
// Gzipped files need the reader function of data/gzip.hpp; this header knows no compression.
#pragma once

#include <charconv>
#include <cstring>
#include <limits>
#include <optional>
#include <span>
#include <string_view>

#include <bitdial/data/dataset.hpp>
#include <bitdial/data/file_bytes.hpp>

namespace bitdial::inline BITDIAL_ABI::data {

namespace detail {

inline constexpr std::uint32_t idx_label_magic = 0x00000801;  // unsigned bytes, rank 1
inline constexpr std::uint32_t idx_image_magic = 0x00000803;  // unsigned bytes, rank 3

[[nodiscard]] inline std::uint32_t big_endian_u32(std::span<const std::byte> bytes,
                                                  std::size_t offset) noexcept {
  std::uint32_t value = 0;
  for (std::size_t i = 0; i < 4; ++i) {
    value = value << 8 | std::to_integer<std::uint32_t>(bytes[offset + i]);
  }
  return value;
}

/// `a * b`, or nothing where it exceeds 64 bits.
[[nodiscard]] constexpr std::optional<std::uint64_t> product(std::uint64_t a,
                                                             std::uint64_t b) noexcept {
  if (b != 0 && a > std::numeric_limits<std::uint64_t>::max() / b) return std::nullopt;
  return a * b;
}

[[nodiscard]] inline std::string idx_magic_text(std::uint32_t magic) {
  char digits[8];
  const auto end = std::to_chars(digits, digits + sizeof digits, magic, 16).ptr;
  std::string text(digits, end);
  text.insert(0, 8 - text.size(), '0');
  std::string_view meaning;
  if (magic == idx_label_magic) meaning = " (IDX labels)";
  if (magic == idx_image_magic) meaning = " (IDX images)";
  if (magic >> 16 == 0x1f8b) meaning = " (gzip: read it through data/gzip.hpp)";
  return concat("magic 0x", text, meaning);
}

/// Checks length and magic number of the header.
inline void check_idx_header(std::span<const std::byte> bytes, std::string_view source,
                             std::uint32_t magic, std::size_t header_bytes) {
  if (bytes.size() >= 4 && big_endian_u32(bytes, 0) != magic) {
    throw FileError(concat(source, ": expected ", idx_magic_text(magic), ", found ",
                           idx_magic_text(big_endian_u32(bytes, 0))));
  }
  if (bytes.size() < header_bytes) {
    throw FileError(concat(source, ": expected an IDX header of ", header_bytes, " bytes, found ",
                           bytes.size(), bytes.empty() ? " (empty file)" : " (truncated)"));
  }
}

}  // namespace detail

/// The images of an IDX file in memory, `[N, H, W, 1]`.
///
/// `source` is the file name for errors. Throws `FileError` for a wrong magic number, extents of
/// zero, and when the bytes after the header are not exactly N * H * W.
[[nodiscard]] inline Tensor<std::uint8_t> parse_idx_images(std::span<const std::byte> bytes,
                                                           std::string_view source) {
  constexpr std::size_t header = 16;
  detail::check_idx_header(bytes, source, detail::idx_image_magic, header);
  const std::uint64_t count = detail::big_endian_u32(bytes, 4);
  const std::uint64_t height = detail::big_endian_u32(bytes, 8);
  const std::uint64_t width = detail::big_endian_u32(bytes, 12);
  if (count == 0 || height == 0 || width == 0) {
    throw FileError(concat(source, ": expected at least one image of at least one pixel, found ",
                           count, " images of ", height, " x ", width));
  }
  // height * width < 2^64 always; the factor `count` may exceed it.
  const std::optional<std::uint64_t> expected = detail::product(height * width, count);
  const std::size_t found = bytes.size() - header;
  if (expected != found) {
    throw FileError(concat(source, ": expected ", count, " images of ", height, " x ", width, " = ",
                           expected ? concat(*expected) : std::string{"more than 2^64"},
                           " bytes after the header, found ", found));
  }
  Tensor<std::uint8_t> images({static_cast<std::int64_t>(count), static_cast<std::int64_t>(height),
                               static_cast<std::int64_t>(width), 1});
  std::memcpy(images.data(), bytes.data() + header, found);
  return images;
}

/// The labels of an IDX file in memory, each in 0 .. 255. Throws `FileError` as for images.
[[nodiscard]] inline std::vector<std::int32_t> parse_idx_labels(std::span<const std::byte> bytes,
                                                                std::string_view source) {
  constexpr std::size_t header = 8;
  detail::check_idx_header(bytes, source, detail::idx_label_magic, header);
  const std::uint64_t count = detail::big_endian_u32(bytes, 4);
  const std::size_t found = bytes.size() - header;
  if (count == 0 || count != found) {
    throw FileError(concat(source, ": expected ", count == 0 ? "at least one" : concat(count),
                           " labels after the header, found ", found));
  }
  std::vector<std::int32_t> labels;
  labels.reserve(found);
  for (const std::byte label : bytes.subspan(header)) {
    labels.push_back(std::to_integer<std::int32_t>(label));
  }
  return labels;
}

/// Where the two files of an IDX data set lie and what its classes are called.
struct IdxFiles {
  std::string name = "idx";
  std::string images = {};
  std::string labels = {};
  std::vector<std::string> class_names = {};
  std::uint64_t max_bytes = default_file_limit;  ///< per file, after decompression
};

/// Reads images and labels. Throws `FileError` for damaged files, for different counts in the two
/// files and for labels without a class name.
[[nodiscard]] inline Dataset read_idx(const IdxFiles& files, const FileReader& read = &read_file) {
  Tensor<std::uint8_t> images = parse_idx_images(read(files.images, files.max_bytes), files.images);
  std::vector<std::int32_t> labels =
      parse_idx_labels(read(files.labels, files.max_bytes), files.labels);
  if (static_cast<std::int64_t>(labels.size()) != images.extent(0)) {
    throw FileError(concat(files.labels, ": expected ", images.extent(0),
                           " labels, one for each image of ", files.images, ", found ",
                           labels.size()));
  }
  const std::int64_t classes = static_cast<std::int64_t>(files.class_names.size());
  for (std::size_t i = 0; i < labels.size(); ++i) {
    if (labels[i] >= classes) {
      throw FileError(concat(files.labels, ": expected labels below ", classes, ", label ", i,
                             " is ", labels[i]));
    }
  }
  return {files.name, std::move(images), std::move(labels), files.class_names};
}

}  // namespace bitdial::inline BITDIAL_ABI::data
