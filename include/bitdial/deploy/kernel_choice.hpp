// SPDX-License-Identifier: Apache-2.0
// Bytes or bit planes: which of the two exact integer products a layer uses. The sums are the same;
// only the time differs.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>

#include <bitdial/core/aligned_buffer.hpp>
#include <bitdial/kernels/kernel_table.hpp>

namespace bitdial::inline BITDIAL_ABI {

/// `bytes`: codes times 8-bit levels. `planes`: popcounts of bit planes; its time grows with the
/// product of the two widths.
enum class KernelPath : std::uint8_t { automatic, bytes, planes };

/// Nanoseconds of the pieces of a product on one kernel table.
struct KernelCosts {
  double byte_group = 0.0;   ///< per row, column and four weights
  double plane_word = 0.0;   ///< per row, column, 64 weights and pair of planes
  double packed_word = 0.0;  ///< per row, 64 activation codes and plane
};

/// The size of a product, per row of A.
struct ProductSize {
  std::int64_t channels = 0;  ///< columns
  std::int64_t depth = 0;     ///< K
  int w = 8, a = 8;
};

namespace detail {

/// The shortest of several runs, in nanoseconds.
template <class Run>
[[nodiscard]] double shortest_time(const Run& run) {
  using Clock = std::chrono::steady_clock;
  double best = 1e9;
  for (int i = 0; i < 7; ++i) {
    const auto start = Clock::now();
    for (int k = 0; k < 4; ++k) run();
    const std::chrono::duration<double, std::nano> time = Clock::now() - start;
    best = std::min(best, time.count() / 4);
  }
  return best;
}

[[nodiscard]] constexpr std::int64_t padded_to(std::int64_t x, std::int64_t step) noexcept {
  return (x + step - 1) / step * step;
}

}  // namespace detail

/// Measures `table` on operands of a typical layer, K = 576; about a millisecond or less.
[[nodiscard]] inline KernelCosts measure_kernel_costs(const kernels::KernelTable& table) {
  constexpr std::int64_t depth = 576, groups = depth / 4, words = depth / 64;
  const auto cells = [](std::int64_t rows, std::int64_t cols) {
    return static_cast<std::size_t>(rows * cols);
  };
  KernelCosts costs;
  {
    const auto& tile = table.gemm_u8s8;
    AlignedBuffer<std::uint8_t> a(cells(tile.rows, depth));
    AlignedBuffer<std::int8_t> b(cells(tile.cols, depth));
    AlignedBuffer<std::int32_t> c(cells(tile.rows, tile.cols));
    const kernels::GemmU8S8Tile operands{.rows = tile.rows,
                                         .cols = tile.cols,
                                         .groups = groups,
                                         .a = a.data(),
                                         .a_stride = depth,
                                         .b = b.data(),
                                         .c = c.data(),
                                         .c_stride = tile.cols};
    costs.byte_group = detail::shortest_time([&] { tile.run(operands); }) /
                       static_cast<double>(tile.rows * tile.cols * groups);
  }
  {
    const auto& tile = table.gemm_planes;
    AlignedBuffer<std::uint64_t> a(cells(tile.rows, words));
    AlignedBuffer<std::uint64_t> b(cells(tile.cols, words));
    AlignedBuffer<std::int32_t> c(cells(tile.rows, tile.cols));
    const kernels::GemmPlanesTile operands{.rows = tile.rows,
                                           .cols = tile.cols,
                                           .words = words,
                                           .a = a.data(),
                                           .a_stride = words,
                                           .b = b.data(),
                                           .c = c.data(),
                                           .c_stride = tile.cols};
    costs.plane_word = detail::shortest_time([&] { tile.run(operands); }) /
                       static_cast<double>(tile.rows * tile.cols * words);
  }
  AlignedBuffer<std::uint8_t> codes(static_cast<std::size_t>(depth));
  AlignedBuffer<std::uint64_t> planes(static_cast<std::size_t>(2 * words));
  const kernels::PackPlanes operands{.codes = codes.data(),
                                     .count = depth,
                                     .bits = 2,
                                     .planes = planes.data(),
                                     .plane_stride = words};
  costs.packed_word =
      detail::shortest_time([&] { table.pack_planes(operands); }) / static_cast<double>(2 * words);
  return costs;
}

/// True when unsigned code products cannot leave int32: the condition of the plane kernel.
[[nodiscard]] constexpr bool planes_fit(const ProductSize& size) noexcept {
  const std::int64_t largest = std::int64_t{(1 << size.w) - 1} * ((1 << size.a) - 1);
  return largest * size.depth < std::int64_t{1} << 31;
}

/// The cheaper path by the costs, `bytes` where planes do not fit.
[[nodiscard]] inline KernelPath choose_path(const kernels::KernelTable& table,
                                            const KernelCosts& costs, const ProductSize& size) {
  if (!planes_fit(size)) return KernelPath::bytes;
  const auto count = [](std::int64_t x) { return static_cast<double>(x); };
  const double words = count((size.depth + 63) / 64);
  const double bytes = count(detail::padded_to(size.channels, table.gemm_u8s8.cols)) *
                       count((size.depth + 3) / 4) * costs.byte_group;
  const double planes = count(detail::padded_to(size.channels, table.gemm_planes.cols)) * words *
                            size.w * size.a * costs.plane_word +
                        words * size.a * costs.packed_word;
  return planes < bytes ? KernelPath::planes : KernelPath::bytes;
}

}  // namespace bitdial::inline BITDIAL_ABI
