// SPDX-License-Identifier: Apache-2.0
// Activation codes of whole images as bit planes, packed once and read by every window.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include <bitdial/core/rounding.hpp>
#include <bitdial/deploy/code_layout.hpp>
#include <bitdial/kernels/kernel_table.hpp>

namespace bitdial::inline BITDIAL_ABI {

/// An image of codes becomes `bits` images of bits, most significant first, with the same border:
/// pixels of ceil(channels / 8) bytes, unused bits zero. Beside them stands the sum of the codes of
/// each pixel, for weight levels with an offset.
struct PlaneImages {
  CodeLayout codes;  ///< what is packed
  CodeLayout plane;  ///< of one plane
  CodeLayout sums;   ///< pixels of 4 bytes
  int bits = 1;

  PlaneImages() = default;
  PlaneImages(const CodeLayout& packed, int width) : codes{packed}, plane{packed}, sums{packed} {
    plane.pixel = (packed.pixel + 7) / 8;
    sums.pixel = 4;
    bits = width;
  }

  /// Bytes of one image: its planes, then its sums.
  [[nodiscard]] std::int64_t image() const noexcept { return bits * plane.image() + sums.image(); }
  /// Bytes for `images` images.
  [[nodiscard]] std::size_t bytes(std::int64_t images) const noexcept {
    return static_cast<std::size_t>(images * image() + code_slack);
  }
  [[nodiscard]] std::int64_t sums_at() const noexcept { return bits * plane.image(); }

  void clear_border(std::uint8_t* image) const noexcept {
    for (int p = 0; p < bits; ++p) plane.clear_border(image + p * plane.image());
    sums.clear_border(image + sums_at());
  }

  /// Packs line `y` of the image of codes at `from` into the image at `to`.
  void pack_line(const kernels::KernelTable& table, std::int64_t y, const std::uint8_t* from,
                 std::uint8_t* to) const noexcept {
    const std::uint8_t* const line = from + codes.at(y, 0);
    std::uint8_t* const out = to + plane.at(y, 0);
    // Pixels of whole bytes make a line without gaps.
    if (codes.pixel % 8 == 0) {
      pack_run(table, line, codes.w * codes.pixel, out);
    } else {
      for (std::int64_t x = 0; x < codes.w; ++x) {
        pack_run(table, line + x * codes.pixel, codes.pixel, out + x * plane.pixel);
      }
    }
    auto* const pixel_sums = reinterpret_cast<std::int32_t*>(to + sums_at() + sums.at(y, 0));
    for (std::int64_t x = 0; x < codes.w; ++x) {
      pixel_sums[x] =
          static_cast<std::int32_t>(table.sum_codes(line + x * codes.pixel, codes.pixel));
    }
  }

 private:
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
        std::memcpy(out + p * plane.image() + i / 8, words + p * (chunk / 64),
                    static_cast<std::size_t>((size + 7) / 8));
      }
    }
  }
};

}  // namespace bitdial::inline BITDIAL_ABI
