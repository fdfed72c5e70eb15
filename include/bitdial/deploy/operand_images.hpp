// SPDX-License-Identifier: Apache-2.0
// Activation codes of whole images in the form that a kernel reads, made once per line by each
// thread that reads it: bit planes or look-up tables.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include <bitdial/core/rounding.hpp>
#include <bitdial/deploy/code_layout.hpp>
#include <bitdial/deploy/kernel_choice.hpp>
#include <bitdial/kernels/kernel_table.hpp>

namespace bitdial::inline BITDIAL_ABI {

/// What stands beside the image of codes, with the same border.
///
/// - planes: `copies` = bits images of bits, most significant first, pixels of ceil(channels / 8)
///   bytes, unused bits zero.
/// - lookup: one image of tables, four bytes a code; pixels have a multiple of 16 codes.
/// - else no image: the kernel reads the codes themselves.
struct OperandImages {
  CodeLayout codes;  ///< what is read
  CodeLayout image;  ///< of one plane, or of the tables
  int bits = 1;
  int copies = 0;
  KernelPath form = KernelPath::bytes;

  OperandImages() = default;
  OperandImages(const CodeLayout& read, KernelPath path, int width)
      : codes{read}, image{read}, bits{width}, form{path} {
    if (form == KernelPath::planes) {
      copies = bits;
      image.pixel = (read.pixel + 7) / 8;
    } else if (form == KernelPath::lookup) {
      copies = 1;
      image.pixel = 4 * read.pixel;
    }
  }

  [[nodiscard]] bool empty() const noexcept { return copies == 0; }
  /// Bytes from one image to the next.
  [[nodiscard]] std::int64_t stride() const noexcept { return copies * image.image(); }
  /// Bytes for `images` images.
  [[nodiscard]] std::size_t bytes(std::int64_t images) const noexcept {
    return empty() ? 0 : static_cast<std::size_t>(images * stride() + code_slack);
  }

  /// Makes lines `first` .. `end` - 1 of the images at `to`, and what surrounds them, from the
  /// image of codes at `from`.
  void make_lines(const kernels::KernelTable& table, std::int64_t first, std::int64_t end,
                  const std::uint8_t* from, std::uint8_t* to) const noexcept {
    // What follows a line precedes the next one. Tables of zeros are zeros, as bits are.
    const std::int64_t next = std::min(end + 1, image.h);
    for (int i = 0; i < copies; ++i) image.clear_border(to + i * image.image(), first, next);
    for (std::int64_t y = first; y < end; ++y) make_line(table, y, from, to);
  }

 private:
  void make_line(const kernels::KernelTable& table, std::int64_t y, const std::uint8_t* from,
                 std::uint8_t* to) const noexcept {
    const std::uint8_t* const line = from + codes.at(y, 0);
    if (form == KernelPath::planes) pack_line(table, line, to + image.at(y, 0));
    if (form == KernelPath::lookup) {
      table.subset_sums(
          {.codes = line, .count = codes.w * codes.pixel, .tables = to + image.at(y, 0)});
    }
  }

  /// Pixels of whole bytes make a line without gaps; where it is whole words they are packed where
  /// they belong.
  void pack_line(const kernels::KernelTable& table, const std::uint8_t* line,
                 std::uint8_t* out) const noexcept {
    const std::int64_t count = codes.w * codes.pixel;
    if (codes.pixel % 8 == 0 && count % 64 == 0) {
      return table.pack_planes({.codes = line,
                                .count = count,
                                .bits = bits,
                                .planes = out,
                                .plane_stride = image.image() / 8});
    }
    if (codes.pixel % 8 == 0) return pack_run(table, line, count, out);
    for (std::int64_t x = 0; x < codes.w; ++x) {
      pack_run(table, line + x * codes.pixel, codes.pixel, out + x * image.pixel);
    }
  }

  /// `count` codes to ceil(count / 8) bytes of each plane.
  void pack_run(const kernels::KernelTable& table, const std::uint8_t* run, std::int64_t count,
                std::uint8_t* out) const noexcept {
    constexpr std::int64_t chunk = 512;  // codes
    std::uint64_t words[8 * chunk / 64];
    for (std::int64_t i = 0; i < count; i += chunk) {
      const std::int64_t size = std::min(chunk, count - i);
      table.pack_planes({.codes = run + i,
                         .count = size,
                         .bits = bits,
                         .planes = words,
                         .plane_stride = chunk / 64});
      for (int p = 0; p < bits; ++p) {
        std::memcpy(out + p * image.image() + i / 8, words + p * (chunk / 64),
                    static_cast<std::size_t>((size + 7) / 8));
      }
    }
  }
};

}  // namespace bitdial::inline BITDIAL_ABI
