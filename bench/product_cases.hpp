// SPDX-License-Identifier: Apache-2.0
// Benchmarks of products by table look-up, beside the u8 x s8 product, and with bfloat16 operands.
#pragma once

#include <algorithm>
#include <bitdial/ops/gemm_bf16.hpp>
#include <bitdial/ops/qgemm.hpp>
#include <bitdial/ops/qgemm_lookup.hpp>
#include <bitdial/ops/qgemv.hpp>
#include <cstring>
#include <functional>
#include <utility>

#include "kernel_case.hpp"

namespace bench {

// ---- single tiles: operands in the first-level cache

inline void add_bf16_tile(const KernelTable& t) {
  if (!has_own(t, &RealKernels::gemm_bf16)) return;
  constexpr std::int64_t depth = 512;
  const auto& kernel = real_kernels_of(t).gemm_bf16;
  add({.kernel = "tile_bf16",
       .isa = t.name,
       .bits = "16x16",
       .shape = shape_text(kernel.rows, kernel.cols, depth),
       .work = static_cast<double>(kernel.rows * kernel.cols * depth),
       .peak = &PeakLoops::bf16,
       .run = [kernel, a = filled<std::uint16_t>(kernel.rows * (depth + 32), 0x3f80, 64),
               b = filled<std::uint16_t>(depth * kernel.cols, 0x3f80, 64),
               c = filled<float>(kernel.rows * kernel.cols, 0, 1)]() mutable {
         kernel.run({.rows = kernel.rows,
                     .cols = kernel.cols,
                     .pairs = depth / 2,
                     .a = a.data(),
                     .a_stride = depth + 32,
                     .b = b.data(),
                     .b_step = 2 * kernel.cols,
                     .c = c.data(),
                     .c_stride = kernel.cols});
       }});
}

/// With levels as a trained layer has them, and the worst of all: evenly spread over their range.
inline void add_u8s8_tiles(const KernelTable& t) {
  if (!has_own(t, &KernelTable::gemm_u8s8)) return;
  using bitdial::ops::PackedWeightsU8S8;
  constexpr std::int64_t depth = 512;
  const auto& kernel = t.gemm_u8s8;
  for (const bool even : {false, true}) {
    const auto levels = even ? filled<std::int8_t>(depth * kernel.cols, -128, 256)
                             : filled_levels(depth * kernel.cols);
    AlignedBuffer<std::byte> memory(PackedWeightsU8S8::bytes(t, kernel.cols, depth));
    static_cast<void>(PackedWeightsU8S8::pack(
        t, MatrixView<const std::int8_t>(levels.data(), kernel.cols, depth), memory.span()));
    add({.kernel = even ? "tile_u8s8_even" : "tile_u8s8",
         .isa = t.name,
         .bits = "8x8",
         .shape = shape_text(kernel.rows, kernel.cols, depth),
         .work = static_cast<double>(kernel.rows * kernel.cols * depth),
         .peak = &PeakLoops::u8s8,
         .run = [&t, kernel, memory, a = filled<std::uint8_t>(kernel.rows * (depth + 64), 0, 256),
                 c = filled<std::int32_t>(kernel.rows * kernel.cols, 0, 1)]() mutable {
           const PackedWeightsU8S8 weights{reinterpret_cast<const std::int8_t*>(memory.data()),
                                           kernel.cols, depth};
           kernel.run({.rows = kernel.rows,
                       .cols = kernel.cols,
                       .groups = depth / 4,
                       .a = a.data(),
                       .a_stride = depth + 64,
                       .b = weights.data,
                       .c = c.data(),
                       .c_stride = kernel.cols,
                       .short_runs = weights.short_runs(t, 0)});
         }});
  }
}

inline void add_lookup_tiles(const KernelTable& t) {
  if (!has_own(t, &KernelTable::gemm_lookup)) return;
  constexpr std::int64_t depth = 1152;
  const auto& kernel = t.gemm_lookup;
  for (const auto& [w_bits, a_bits] : {std::pair{1, 2}, {1, 3}, {1, 4}, {1, 5}, {2, 2}}) {
    constexpr std::int64_t stride = depth * 4 + 64;
    add({.kernel = "tile_lookup",
         .isa = t.name,
         .bits = bitdial::concat(w_bits, "x", a_bits),
         .shape = shape_text(kernel.rows, kernel.cols, depth),
         .work = static_cast<double>(kernel.rows * kernel.cols * depth),
         .peak = &PeakLoops::lookup,
         .peak_work = double{1} * w_bits,
         .run = [kernel, a_bits = a_bits, w_bits = w_bits,
                 a = filled<std::uint8_t>(kernel.rows * stride, 0, 4 * ((1 << a_bits) - 1)),
                 b = filled<std::uint8_t>(w_bits * depth / 8 * kernel.cols, 0, 256),
                 c = filled<std::int32_t>(kernel.rows * kernel.cols, 0, 1)]() mutable {
           kernel.run({.rows = kernel.rows,
                       .cols = kernel.cols,
                       .bits = a_bits,
                       .planes = w_bits,
                       .blocks = depth / 16,
                       .a = a.data(),
                       .a_stride = stride,
                       .b = b.data(),
                       .c = c.data(),
                       .c_stride = kernel.cols});
         }});
  }
}

// ---- whole products, packing included

/// Copies rows of codes, and of sums.
struct ProductOperands {
  std::int64_t n, k;
  AlignedBuffer<std::uint8_t> codes;
  AlignedBuffer<std::int32_t> sums;

  [[nodiscard]] auto pack() const {
    return [this](std::int64_t row0, MatrixView<std::uint8_t> panel) {
      for (std::int64_t i = 0; i < panel.rows; ++i) {
        std::memcpy(panel.row(i), codes.data() + (row0 + i) * k, static_cast<std::size_t>(k));
      }
    };
  }
  [[nodiscard]] auto store() {
    return [this](const bitdial::ops::QgemmTile& tile) {
      for (std::int64_t i = 0; i < tile.rows; ++i) {
        std::copy_n(tile.row(i), tile.cols, sums.data() + (tile.row0 + i) * n + tile.col0);
      }
    };
  }
};

/// The u8 x s8 product of a shape, packing included.
inline std::function<void()> u8s8_product(const KernelTable& t, std::int64_t m, std::int64_t n,
                                          std::int64_t k) {
  using bitdial::ops::PackedWeightsU8S8;
  const auto levels = filled_levels(n * k);
  AlignedBuffer<std::byte> memory(PackedWeightsU8S8::bytes(t, n, k));
  static_cast<void>(PackedWeightsU8S8::pack(t, MatrixView<const std::int8_t>(levels.data(), n, k),
                                            memory.span()));
  return [&t, m, n, k, memory,
          scratch = AlignedBuffer<std::byte>(bitdial::ops::qgemm_u8s8_scratch_bytes(t, n, k)),
          x = ProductOperands{n, k, filled<std::uint8_t>(m * k, 0, 256),
                              filled<std::int32_t>(m * n, 0, 1)}]() mutable {
    const PackedWeightsU8S8 weights{reinterpret_cast<const std::int8_t*>(memory.data()), n, k};
    bitdial::ops::qgemm_u8s8(t, m, x.pack(), weights, x.store(), scratch.span());
  };
}

inline std::function<void()> lookup_product(const KernelTable& t, std::int64_t m, std::int64_t n,
                                            std::int64_t k, bitdial::ops::LookupBits bits) {
  using bitdial::ops::PackedLookup;
  const PackedLookup shape{.n = n, .k = k, .planes = bits.b};
  const auto codes = filled<std::uint8_t>(n * k, 0, 1 << bits.b);
  AlignedBuffer<std::byte> memory(PackedLookup::bytes(t, shape));
  static_cast<void>(PackedLookup::pack(t, shape, MatrixView<const std::uint8_t>(codes.data(), n, k),
                                       memory.span()));
  return [&t, m, bits, shape, memory,
          scratch = AlignedBuffer<std::byte>(bitdial::ops::qgemm_lookup_scratch_bytes(t, shape)),
          x = ProductOperands{n, k, filled<std::uint8_t>(m * k, 0, 1 << bits.a),
                              filled<std::int32_t>(m * n, 0, 1)}]() mutable {
    PackedLookup weights = shape;
    weights.data = reinterpret_cast<const std::uint8_t*>(memory.data());
    bitdial::ops::qgemm_lookup(t, m, bits, x.pack(), weights, x.store(), scratch.span());
  };
}

inline void add_lookup_products(const KernelTable& t, std::int64_t m, std::int64_t n,
                                std::int64_t k) {
  if (!has_own(t, &KernelTable::gemm_lookup) && !has_own(t, &KernelTable::gemm_u8s8)) return;
  for (const auto& [w_bits, a_bits] : {std::pair{1, 2}, {1, 3}, {1, 4}, {1, 5}, {2, 2}}) {
    add({.kernel = "qgemm_lookup",
         .isa = t.name,
         .bits = bitdial::concat(w_bits, "x", a_bits),
         .shape = shape_text(m, n, k),
         .work = static_cast<double>(m * n * k),
         .peak = &PeakLoops::lookup,
         .peak_work = double{1} * w_bits,
         .run = lookup_product(t, m, n, k, {.a = a_bits, .b = w_bits}),
         .reference = u8s8_product(t, m, n, k)});
  }
}

// ---- one row: the time is that of reading the weights

/// GB/s at which the strongest kernels add up the bytes of 4 MiB again and again: the third-level
/// cache, where the weights of a layer would be.
inline double cache_bandwidth() {
  static const double rate = [] {
    constexpr std::int64_t size = std::int64_t{4} << 20;
    const auto memory = filled<std::uint8_t>(size, 0, 256);
    const KernelTable& t = *bitdial::kernels::supported_kernels().front();
    const double time =
        shortest_time([&] { benchmark::DoNotOptimize(t.sum_codes(memory.data(), size)); });
    return static_cast<double>(size) / time * 1e-9;
  }();
  return rate;
}

inline std::function<void()> packed_row_product(const KernelTable& t, std::int64_t n,
                                                std::int64_t k, int bits) {
  using bitdial::ops::PackedCodes;
  const PackedCodes shape{.n = n, .k = k, .bits = bits};
  const auto codes = filled<std::uint8_t>(n * k, 0, 1 << bits);
  AlignedBuffer<std::byte> memory(PackedCodes::bytes(t, shape));
  static_cast<void>(PackedCodes::pack(t, shape, MatrixView<const std::uint8_t>(codes.data(), n, k),
                                      memory.span()));
  return [&t, shape, memory,
          scratch = AlignedBuffer<std::byte>(bitdial::ops::qgemv_scratch_bytes(t, shape)),
          x = ProductOperands{n, k, filled<std::uint8_t>(k, 0, 256),
                              filled<std::int32_t>(n, 0, 1)}]() mutable {
    PackedCodes weights = shape;
    weights.data = reinterpret_cast<const std::uint8_t*>(memory.data());
    bitdial::ops::qgemv(t, 1, x.pack(), weights, x.store(), scratch.span());
  };
}

/// The share is that of the bandwidth: GMAC/s times bits of a weight over bits read a second.
inline void add_row_products(const KernelTable& t) {
  if (!has_own(t, &KernelTable::gemm_codes)) return;
  constexpr std::int64_t n = 4096, k = 4096;
  const auto each = [&](const char* kernel, int w_bits, int a_bits, std::function<void()> run) {
    add({.kernel = kernel,
         .isa = t.name,
         .bits = bitdial::concat(w_bits, "x", a_bits),
         .shape = shape_text(1, n, k),
         .work = static_cast<double>(n * k),
         .bandwidth = cache_bandwidth(),
         .peak_work = w_bits / 8.0,
         .run = std::move(run)});
  };
  each("gemv_u8s8", 8, 8, u8s8_product(t, 1, n, k));
  for (const int bits : {4, 2, 1}) each("gemv_codes", bits, 8, packed_row_product(t, n, k, bits));
  for (const int bits : {2, 1}) {
    each("gemv_lookup", bits, 4, lookup_product(t, 1, n, k, {.a = 4, .b = bits}));
  }
}

inline void add_bf16_product(const KernelTable& t, std::int64_t m, std::int64_t n, std::int64_t k) {
  if (!has_own(t, &RealKernels::gemm_bf16)) return;
  add({.kernel = "gemm_bf16",
       .isa = t.name,
       .bits = "16x16",
       .shape = shape_text(m, n, k),
       .work = static_cast<double>(m * n * k),
       .peak = &PeakLoops::bf16,
       .run = [&t, m, n, k, a = filled<float>(m * k, -2, 5), b = filled<float>(k * n, -2, 5),
               c = filled<float>(m * n, 0, 1)]() mutable {
         bitdial::ops::gemm_bf16({a.data(), m, k}, {b.data(), k, n}, {c.data(), m, n},
                                 {.table = &real_kernels_of(t)});
       }});
}

}  // namespace bench
