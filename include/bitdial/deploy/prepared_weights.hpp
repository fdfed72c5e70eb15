// SPDX-License-Identifier: Apache-2.0
// Weights of one layer at one width in the order that a kernel reads: a cache that a session builds
// from the model file and nobody stores.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include <bitdial/core/rounding.hpp>
#include <bitdial/deploy/kernel_choice.hpp>
#include <bitdial/deploy/network_check.hpp>
#include <bitdial/deploy/packed_network.hpp>
#include <bitdial/kernels/kernel_table.hpp>
#include <bitdial/ops/matrix_view.hpp>
#include <bitdial/ops/qgemm.hpp>
#include <bitdial/ops/qgemm_lookup.hpp>
#include <bitdial/ops/qgemv.hpp>
#include <bitdial/ops/winograd_weights.hpp>
#include <bitdial/quant/levels.hpp>

namespace bitdial::inline BITDIAL_ABI {

/// Packed weights and how to get level sums from what the kernel returns.
///
/// The kernel multiplies activation codes u by stored integers s, where
/// weight level = product_factor * s + row_sum_factor, so that
/// sum(level * u) = product_factor * sum(s * u) + row_sum_factor * sum(u).
/// The byte path, and Winograd's with it, stores the levels themselves where they fit 8 bits, in
/// `winograd_bytes` where they are within +-3, else the codes, of 8 bits minus 128; the other paths
/// store the codes. Planes may count what differs: where levels
/// are as far above 0 as below, m s - m (2^P - 1) / 2 with s = sum_t 2^t s_t of P bits,
///   sum(level * u) = -m / 2 sum_{r,t} 2^(r+t) (popcount(u_r ^ s_t) - popcount(s_t)),
/// because popcount(u_r ^ s_t) = popcount(u_r) + popcount(s_t) - 2 popcount(u_r & s_t): no sum of
/// u.
struct PreparedWeights {
  KernelPath path = KernelPath::bytes;
  std::int32_t product_factor = 1;
  std::int32_t row_sum_factor = 0;
  ops::PackedWeightsU8S8 bytes;
  ops::PackedPlanes planes;
  ops::PackedLookup lookup;
  ops::PackedCodes packed;
  ops::PackedWinograd winograd;
  /// [taps][cout]: the sum of the weight levels of one tap over the input channels; emptied when
  /// the borders that need it are known.
  std::vector<std::int32_t> tap_sums;
};

namespace detail {

/// The weight codes `[cout, K]` of a layer at `width` bits, from the first `width` planes of a
/// pack.
[[nodiscard]] inline std::vector<std::uint8_t> read_weight_codes(
    const kernels::KernelTable& table, const PackedLayer& layer,
    std::span<const std::span<const std::byte>> planes, int width) {
  const std::int64_t depth = layer.depth();
  const std::int64_t row_bytes = (depth + 7) / 8;
  std::vector<std::uint8_t> codes(static_cast<std::size_t>(layer.cout * depth), 0);
  std::vector<std::uint8_t> bits(static_cast<std::size_t>(depth));
  for (int p = 0; p < width; ++p) {
    const auto* const plane =
        reinterpret_cast<const std::uint8_t*>(planes[static_cast<std::size_t>(p)].data());
    for (std::int64_t channel = 0; channel < layer.cout; ++channel) {
      table.unpack_codes(plane + channel * row_bytes, depth, 1, bits.data());
      std::uint8_t* const row = codes.data() + channel * depth;
      for (std::size_t i = 0; i < bits.size(); ++i) {
        row[i] = static_cast<std::uint8_t>(row[i] << 1 | bits[i]);
      }
    }
  }
  return codes;
}

[[nodiscard]] inline bool levels_within(const IntegerLevels& levels, int bits, std::int64_t least,
                                        std::int64_t most) noexcept {
  const std::int64_t first = levels.offset;
  const std::int64_t last = std::int64_t{levels.multiplier} * ((1 << bits) - 1) + levels.offset;
  return std::min(first, last) >= least && std::max(first, last) <= most;
}
[[nodiscard]] inline bool fits_int8(const IntegerLevels& levels, int bits) noexcept {
  return levels_within(levels, bits, -128, 127);
}
/// Whether a path of bytes stores levels, or codes.
[[nodiscard]] inline bool stores_levels(const IntegerLevels& levels, int bits,
                                        KernelPath path) noexcept {
  constexpr std::int64_t most = kernels::winograd_byte_level;
  return path == KernelPath::winograd_bytes ? levels_within(levels, bits, -most, most)
                                            : fits_int8(levels, bits);
}

}  // namespace detail

/// How the codes of a row lie in memory.
struct RowShape {
  std::int64_t segments = 1;  ///< runs of neighbouring codes (`WindowRows`)
  std::int64_t pixel = 1;     ///< codes of a pixel; bit planes pad them to whole bytes

  friend bool operator==(const RowShape&, const RowShape&) = default;
};

/// The matrix of a layer's weights: [channels, depth] codes of `width` bits.
struct WeightExtents {
  std::int64_t channels = 0, depth = 0;
  int width = 8;
  IntegerLevels levels;
};

/// The layout of a path's weights, without data.
[[nodiscard]] inline PreparedWeights weight_layout(const WeightExtents& extents, KernelPath path,
                                                   const RowShape& shape) noexcept {
  const auto& [channels, depth, width, levels] = extents;
  // Pixels fill whole bytes and segments whole words, as in `OperandImages`.
  const std::int64_t segment_bits = depth / shape.pixel / shape.segments * round_up(shape.pixel, 8);
  const std::int64_t words = shape.segments * ((segment_bits + 31) / 32);
  PreparedWeights weights;
  weights.path = path;
  const bool of_bytes = path == KernelPath::bytes || is_winograd(path);
  if (!of_bytes || !detail::stores_levels(levels, width, path)) {
    weights.product_factor = levels.multiplier;
    weights.row_sum_factor = levels.offset + (of_bytes && width == 8 ? 128 * levels.multiplier : 0);
  }
  weights.bytes = {.n = channels, .k = depth, .segments = shape.segments};
  weights.planes = {.n = channels, .words = words, .planes = width};
  // A run that ends within a word is read beyond its end, where bits would differ.
  if (path == KernelPath::planes && segment_bits % 32 == 0 && levels.multiplier % 2 == 0 &&
      std::int64_t{levels.multiplier} * ((1 << width) - 1) == -2 * std::int64_t{levels.offset}) {
    weights.planes.differ = true;
    weights.product_factor = -levels.multiplier / 2;
    weights.row_sum_factor = 0;
  }
  weights.lookup = {.n = channels, .k = depth, .planes = width, .segments = shape.segments};
  weights.packed = {.n = channels, .k = depth, .bits = width};
  weights.winograd = {.tile = &winograd_tile(path), .n = channels, .channels = shape.pixel};
  return weights;
}

/// Bytes of the weights of a layout, on a 64-byte boundary.
[[nodiscard]] inline std::size_t prepared_weight_bytes(const kernels::KernelTable& table,
                                                       const PreparedWeights& layout) noexcept {
  const ops::PackedWeightsU8S8& bytes = layout.bytes;
  const KernelPath path = layout.path;
  if (path == KernelPath::planes) return ops::PackedPlanes::bytes(table, layout.planes);
  if (path == KernelPath::lookup) return ops::PackedLookup::bytes(table, layout.lookup);
  if (path == KernelPath::packed) return ops::PackedCodes::bytes(table, layout.packed);
  if (is_winograd(path)) return ops::PackedWinograd::bytes(table, layout.winograd);
  return ops::PackedWeightsU8S8::bytes(table, bytes.n, bytes.k, bytes.segments);
}

/// GemmU8S8Tile::short_groups of levels of both signs, +-(2^w - 1), and all codes of `widths`. At
/// least 1: of 8 bits, whose levels are often small, nearly every group fits.
[[nodiscard]] constexpr std::int64_t usual_short_groups(Precision widths) noexcept {
  const std::int64_t largest = widths.w < 8 ? (1 << widths.w) - 1 : 128;
  const ops::PackedWeightsU8S8 weights{.largest_pair = 2 * largest};
  return std::max<std::int64_t>(1, weights.short_groups((1 << widths.a) - 1));
}

/// Repacks a layer into `memory`, `prepared_weight_bytes` on a 64-byte boundary that outlive the
/// result: `prepared`, a layout for `shape` and `levels`, with data. `planes` are those of the pack
/// that serves its width.
///
/// Cost: O(width * number of weights), once per session.
[[nodiscard]] inline PreparedWeights prepare_weights(
    const kernels::KernelTable& table, const PackedLayer& layer,
    std::span<const std::span<const std::byte>> planes, const IntegerLevels& levels,
    const RowShape& shape, PreparedWeights prepared, std::span<std::byte> memory) {
  const auto [segments, pixel] = shape;
  const KernelPath path = prepared.path;
  const auto width = static_cast<int>(prepared.planes.planes);
  const std::int64_t depth = layer.depth();
  const std::vector<std::uint8_t> codes = detail::read_weight_codes(table, layer, planes, width);

  const ops::MatrixView<const std::uint8_t> matrix(codes.data(), layer.cout, depth);
  const std::int64_t taps = layer.kernel_h * layer.kernel_w;
  prepared.tap_sums = std::vector<std::int32_t>(static_cast<std::size_t>(taps * layer.cout));
  for (std::int64_t channel = 0; channel < layer.cout; ++channel) {
    for (std::int64_t tap = 0; tap < taps; ++tap) {
      const std::uint8_t* const begin = codes.data() + channel * depth + tap * layer.cin;
      const auto sum = static_cast<std::int32_t>(table.sum_codes(begin, layer.cin));
      prepared.tap_sums[static_cast<std::size_t>(tap * layer.cout + channel)] =
          levels.multiplier * sum + levels.offset * static_cast<std::int32_t>(layer.cin);
    }
  }

  if (path == KernelPath::lookup) {
    prepared.lookup = ops::PackedLookup::pack(table, prepared.lookup, matrix, memory);
    return prepared;
  }
  if (path == KernelPath::packed) {
    prepared.packed = ops::PackedCodes::pack(table, prepared.packed, matrix, memory);
    return prepared;
  }
  if (path == KernelPath::planes) {
    const std::int64_t pixels = depth / pixel, pixel_bits = (pixel + 7) / 8 * 8;
    const std::int64_t segment_pixels = pixels / segments, words = prepared.planes.row_words();
    const std::int64_t row_bits = prepared.planes.words * 32, segment_bits = row_bits / segments;
    std::vector<std::uint8_t> row(static_cast<std::size_t>(row_bits));
    std::vector<std::uint64_t> rows(static_cast<std::size_t>(layer.cout * words * width));
    for (std::int64_t channel = 0; channel < layer.cout; ++channel) {
      for (std::int64_t i = 0; i < pixels; ++i) {
        std::copy_n(
            codes.data() + channel * depth + i * pixel, pixel,
            row.data() + i / segment_pixels * segment_bits + i % segment_pixels * pixel_bits);
      }
      table.pack_planes({.codes = row.data(),
                         .count = row_bits,
                         .bits = width,
                         .planes = rows.data() + channel * words * width,
                         .plane_stride = words});
    }
    prepared.planes = ops::PackedPlanes::pack(
        table, prepared.planes,
        ops::MatrixView<const std::uint64_t>(rows.data(), layer.cout, words * width), memory);
    return prepared;
  }

  const bool store_levels = detail::stores_levels(levels, width, path);
  const std::int32_t shift = width == 8 ? 128 : 0;
  std::vector<std::int8_t> stored(codes.size());
  std::transform(codes.begin(), codes.end(), stored.begin(), [&](std::uint8_t code) {
    return static_cast<std::int8_t>(store_levels ? levels.level(code) : code - shift);
  });
  const ops::MatrixView<const std::int8_t> rows(stored.data(), layer.cout, depth);
  if (is_winograd(path)) {
    prepared.winograd = ops::PackedWinograd::pack(table, prepared.winograd, rows, memory);
  } else {
    prepared.bytes = ops::PackedWeightsU8S8::pack(table, rows, memory, segments);
  }
  return prepared;
}

}  // namespace bitdial::inline BITDIAL_ABI
