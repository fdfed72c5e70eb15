// SPDX-License-Identifier: Apache-2.0
// Bytes or bit planes: which of the two exact integer products a layer uses. The sums are the same;
// only the time differs, so it is measured.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>

#include <bitdial/core/aligned_buffer.hpp>
#include <bitdial/kernels/kernel_table.hpp>
#include <bitdial/ops/matrix_view.hpp>
#include <bitdial/ops/qgemm.hpp>

namespace bitdial::inline BITDIAL_ABI {

/// `bytes`: codes times 8-bit levels. `planes`: popcounts of bit planes; its time grows with the
/// product of the two widths.
enum class KernelPath : std::uint8_t { automatic, bytes, planes };

/// The size of a product, per row of A.
struct ProductSize {
  std::int64_t channels = 0;  ///< columns
  std::int64_t depth = 0;     ///< K
  int w = 8, a = 8;

  friend bool operator==(const ProductSize&, const ProductSize&) = default;
};

/// True when unsigned code products cannot leave int32: the condition of the plane kernel.
[[nodiscard]] constexpr bool planes_fit(const ProductSize& size) noexcept {
  const std::int64_t largest = std::int64_t{(1 << size.w) - 1} * ((1 << size.a) - 1);
  return largest * size.depth < std::int64_t{1} << 31;
}

namespace detail {

/// Pairs of planes beyond which bytes win on every machine that was measured; not tried.
inline constexpr int most_plane_pairs = 16;

/// Times both products of one size, without what is done once per image or shared: the packing of
/// bit planes and the epilogue.
class ProductTimer {
 public:
  ProductTimer(const kernels::KernelTable& table, const ProductSize& size)
      : table_{table}, size_{size}, words_{(size.depth + 63) / 64} {}

  /// Nanoseconds of `rows` rows.
  [[nodiscard]] double bytes() {
    AlignedBuffer<std::byte> weights(
        ops::PackedWeightsU8S8::bytes(table_, size_.channels, size_.depth));
    AlignedBuffer<std::byte> scratch(
        ops::qgemm_u8s8_scratch_bytes(table_, size_.channels, size_.depth));
    const ops::PackedWeightsU8S8 packed{reinterpret_cast<const std::int8_t*>(weights.data()),
                                        size_.channels, size_.depth};
    return shortest([&] {
      ops::qgemm_u8s8(
          table_, rows, [](std::int64_t, ops::MatrixView<std::uint8_t>) {}, packed,
          [](const ops::QgemmTile&) {}, scratch.span());
    });
  }

  /// The same on planes.
  [[nodiscard]] double planes() {
    AlignedBuffer<std::byte> weights(
        ops::PackedPlanes::bytes(table_, size_.channels, words_, size_.w));
    AlignedBuffer<std::byte> scratch(
        ops::qgemm_planes_scratch_bytes(table_, size_.channels, words_, size_.a));
    const ops::PackedPlanes packed{reinterpret_cast<const std::uint64_t*>(weights.data()),
                                   size_.channels, words_, size_.w};
    return shortest([&] {
      ops::qgemm_planes(
          table_, rows, {.a = size_.a, .b = size_.w},
          [](std::int64_t, ops::MatrixView<std::uint64_t>) {}, packed, [](const ops::QgemmTile&) {},
          scratch.span());
    });
  }

 private:
  static constexpr std::int64_t rows = 48;

  template <class Run>
  [[nodiscard]] static double shortest(const Run& run) {
    using Clock = std::chrono::steady_clock;
    double best = 1e18;
    for (int i = 0; i < 5; ++i) {
      const auto start = Clock::now();
      run();
      const std::chrono::duration<double, std::nano> time = Clock::now() - start;
      best = std::min(best, time.count());
    }
    return best;
  }

  const kernels::KernelTable& table_;
  ProductSize size_;
  std::int64_t words_;
};

}  // namespace detail

/// The path that takes less time on this machine for products of this size.
///
/// Cost: ten products of 48 rows, tens of microseconds for a small layer.
[[nodiscard]] inline KernelPath choose_path(const kernels::KernelTable& table,
                                            const ProductSize& size) {
  if (!planes_fit(size) || size.w * size.a > detail::most_plane_pairs) return KernelPath::bytes;
  detail::ProductTimer timer{table, size};
  return timer.planes() < timer.bytes() ? KernelPath::planes : KernelPath::bytes;
}

}  // namespace bitdial::inline BITDIAL_ABI
