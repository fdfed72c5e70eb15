// SPDX-License-Identifier: Apache-2.0
// The kernels on codes in portable C++: the meaning that every other table must reproduce bit for
// bit.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include <bitdial/core/rounding.hpp>
#include <bitdial/kernels/kernel_table.hpp>

namespace bitdial::inline BITDIAL_ABI::kernels::scalar {

inline constexpr std::int64_t u8s8_rows = 4, u8s8_cols = 8;
inline constexpr std::int64_t planes_rows = 4, planes_cols = 4;
inline constexpr std::int64_t codes_rows = 2, codes_cols = 8;
inline constexpr std::int64_t lookup_rows = 2, lookup_cols = 16;
inline constexpr LookupOrder lookup_order = LookupOrder::by_group;
inline constexpr std::int64_t s16_rows = 4, s16_cols = 16;

#include <bitdial/kernels/generic/code_winograd_reference.ipp>
#include <bitdial/kernels/generic/reference.ipp>

/// `nearbyint` rather than the addition of a magic number: a compiler that contracts would fuse
/// the product with that addition and skip the product's own rounding.
inline std::uint8_t code_of(float x, const CodeSteps& steps) noexcept {
  if (steps.thresholds != nullptr) {
    const float* const first_above =
        std::partition_point(steps.thresholds, steps.thresholds + steps.count,
                             [x](float threshold) { return x >= threshold; });
    return static_cast<std::uint8_t>(first_above - steps.thresholds);
  }
  const float positive = x > 0.0F ? x : 0.0F;
  const float clipped = positive < steps.clip ? positive : steps.clip;
  const float scaled = clipped * steps.inverse_step;
  const float limit = static_cast<float>(steps.max_code);
  return static_cast<std::uint8_t>(std::nearbyint(scaled < limit ? scaled : limit));
}

inline void quantize(const Quantize& q) noexcept {
  for (std::int64_t i = 0; i < q.count; ++i) q.codes[i] = code_of(q.x[i], q.steps);
}

[[gnu::noinline]] inline void requantize(const Requantize& q) noexcept {
  for (std::int64_t r = 0; r < q.lines * q.rows; ++r) {
    const std::int64_t place = r / q.rows * q.codes_line + r % q.rows * q.codes_stride;
    for (std::int64_t j = 0; j < q.cols; ++j) {
      std::uint32_t sum = q.factor * static_cast<std::uint32_t>(q.sums[r * q.sums_stride + j]);
      if (q.row_terms != nullptr) sum += static_cast<std::uint32_t>(q.row_terms[r]);
      if (q.column_terms != nullptr) sum += q.column_terms[j];
      if (q.offsets != nullptr) sum += q.offsets[r][j];
      const auto value = static_cast<float>(static_cast<std::int32_t>(sum));
      float y = std::fma(value, q.scale[j], q.bias[j]);
      if (q.residual != nullptr) y += q.residual[r * q.residual_stride + j];
      if (q.relu) y = y > 0.0F ? y : 0.0F;
      if (q.y != nullptr) q.y[r * q.y_stride + j] = y;
      if (q.codes != nullptr) q.codes[place + j] = code_of(y, q.steps);
    }
  }
}

#include <bitdial/kernels/generic/depthwise_reference.ipp>

[[gnu::noinline]] inline void maximum(const Maximum& m) noexcept {
  for (std::int64_t i = 0; i < m.count; ++i) {
    float most = m.x[i];
    for (std::int64_t l = 0; l < m.lines; ++l) {
      for (std::int64_t c = 0; c < m.columns; ++c) {
        const float x = m.x[l * m.line_stride + c * m.column_stride + i];
        most = x > most ? x : most;
      }
    }
    m.y[i] = most;
  }
}

/// Channel by channel: images have few.
inline void look_up_bytes(const LookUpBytes& q) noexcept {
  const LookUpBytes own = q;  // which no store of a byte can change
  for (std::int64_t c = 0; c < own.channels; ++c) {
    const std::uint8_t* const table = own.tables + 256 * c;
    for (std::int64_t i = c; i < own.count; i += own.channels) own.y[i] = table[own.x[i]];
  }
}

/// Eight codes are `bits` whole bytes, so full blocks never share a byte.
inline void pack_codes(const std::uint8_t* codes, std::int64_t count, int bits,
                       std::uint8_t* bytes) noexcept {
  const std::uint64_t mask = (std::uint64_t{1} << bits) - 1;
  for (std::int64_t i = 0; i < count; i += 8) {
    const std::int64_t block = std::min<std::int64_t>(8, count - i);
    std::uint64_t word = 0;
    for (std::int64_t j = 0; j < block; ++j) word |= (codes[i + j] & mask) << (j * bits);
    const std::int64_t size = (block * bits + 7) / 8;
    for (std::int64_t j = 0; j < size; ++j) *bytes++ = static_cast<std::uint8_t>(word >> (8 * j));
  }
}

inline void unpack_codes(const std::uint8_t* bytes, std::int64_t count, int bits,
                         std::uint8_t* codes) noexcept {
  const std::uint64_t mask = (std::uint64_t{1} << bits) - 1;
  for (std::int64_t i = 0; i < count; i += 8) {
    const std::int64_t block = std::min<std::int64_t>(8, count - i);
    const std::int64_t size = (block * bits + 7) / 8;
    std::uint64_t word = 0;
    for (std::int64_t j = 0; j < size; ++j) word |= std::uint64_t{*bytes++} << (8 * j);
    for (std::int64_t j = 0; j < block; ++j) {
      codes[i + j] = static_cast<std::uint8_t>((word >> (j * bits)) & mask);
    }
  }
}

/// Word `word` of plane `plane`.
inline void store_plane_word(const PackPlanes& p, std::int64_t plane, std::int64_t word,
                             std::uint64_t bits) noexcept {
  auto* const out = static_cast<std::uint8_t*>(p.planes);
  std::memcpy(out + (plane * p.plane_stride + word) * 8, &bits, sizeof bits);
}

/// Word `word` of every plane, from the codes that are left.
inline void pack_planes_word(const PackPlanes& p, std::int64_t word) noexcept {
  std::uint64_t planes[8] = {};
  const std::int64_t first = word * 64;
  const std::int64_t size = std::min<std::int64_t>(64, p.count - first);
  for (std::int64_t i = 0; i < size; ++i) {
    for (int plane = 0; plane < p.bits; ++plane) {
      const std::uint64_t bit = (p.codes[first + i] >> (p.bits - 1 - plane)) & 1U;
      planes[plane] |= bit << i;
    }
  }
  for (int plane = 0; plane < p.bits; ++plane) store_plane_word(p, plane, word, planes[plane]);
}

inline void pack_planes(const PackPlanes& p) noexcept {
  for (std::int64_t word = 0; word * 64 < p.count; ++word) pack_planes_word(p, word);
}

inline std::uint64_t sum_codes(const std::uint8_t* codes, std::int64_t count) noexcept {
  std::uint64_t sum = 0;
  for (std::int64_t i = 0; i < count; ++i) sum += codes[i];
  return sum;
}

inline void sum_rows(const SumRows& q) noexcept {
  for (std::int64_t r = 0; r < q.lines * q.rows; ++r) {
    const std::uint8_t* const codes = q.codes + r / q.rows * q.line + r % q.rows * q.stride;
    std::uint64_t sum = 0;
    for (std::int64_t s = 0; s < q.segments; ++s) sum += sum_codes(codes + q.offsets[s], q.count);
    q.sums[r] = static_cast<std::int32_t>(q.factor * static_cast<std::uint32_t>(sum));
  }
}

/// Each code doubles the table: the second half is the first plus the code.
inline void subset_sums_group(const std::uint8_t* codes, std::int64_t count,
                              std::uint8_t* table) noexcept {
  table[0] = 0;
  for (int i = 0; i < 4; ++i) {
    const int code = i < count ? codes[i] : 0;
    for (int e = 0; e < 1 << i; ++e)
      table[(1 << i) + e] = static_cast<std::uint8_t>(table[e] + code);
  }
}

inline void subset_sums(const SubsetSums& s) noexcept {
  const std::int64_t groups = (s.count + 15) / 16 * 4;
  for (std::int64_t g = 0; g < groups; ++g) {
    subset_sums_group(s.codes + g * 4, s.count - g * 4, s.tables + g * 16);
  }
}

inline bool supported() noexcept {
  return true;
}

inline constexpr KernelTable table = {
    .name = "scalar",
    .supported = supported,
    .gemm_u8s8 = {u8s8_rows, u8s8_cols, gemm_u8s8},
    .gemm_planes = {planes_rows, planes_cols, gemm_planes},
    .gemm_codes = {codes_rows, codes_cols, gemm_codes},
    .gemm_lookup = {lookup_rows, lookup_cols, gemm_lookup},
    .lookup_order = lookup_order,
    .subset_sums = subset_sums,
    .depthwise_u8s8 = {1, 16, depthwise_u8s8<16>},
    .winograd_codes = winograd_codes,
    .gemm_s16 = {s16_rows, s16_cols, gemm_s16},
    .winograd_sums = winograd_sums,
    .quantize = quantize,
    .requantize = requantize,
    .maximum = maximum,
    .look_up_bytes = look_up_bytes,
    .pack_codes = pack_codes,
    .unpack_codes = unpack_codes,
    .pack_planes = pack_planes,
    .sum_codes = sum_codes,
    .sum_rows = sum_rows,
};

}  // namespace bitdial::inline BITDIAL_ABI::kernels::scalar
