// SPDX-License-Identifier: Apache-2.0
// Sums per channel of a gradient that a batch normalisation wants. The derivative that computes the
// gradient can take them while it is in cache.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <numeric>
#include <utility>
#include <vector>

#include <bitdial/core/assert.hpp>
#include <bitdial/core/rounding.hpp>
#include <bitdial/core/tensor.hpp>
#include <bitdial/kernels/active.hpp>
#include <bitdial/ops/bit_mask.hpp>
#include <bitdial/ops/detail/elementwise.hpp>
#include <bitdial/ops/gemm.hpp>

namespace bitdial::inline BITDIAL_ABI::ops {

namespace detail {

/// Rows whose products are added in float: at least 32, about 512 elements, and whole blocks of
/// masks.
[[nodiscard]] inline std::int64_t float_sum_rows(std::int64_t channels) noexcept {
  const std::int64_t unit = BitMask::block / std::gcd(BitMask::block, channels);
  return round_up(std::max<std::int64_t>(32, 512 / channels), unit);
}

/// sums[0][c] += sum dy and sums[1][c] += sum dy (x + shift) over rows begin .. end - 1,
/// `float_sum_rows` in float each. `dy(first, last)` returns its elements first .. last - 1; it
/// counts as 0 where `mask` is, which may be null.
template <class Read>
void add_gradient_sums(double* sums, std::int64_t begin, std::int64_t end, std::int64_t channels,
                       Read dy, const BitMask* mask, const float* x, const float* shift) {
  const auto& kernels = kernels::active_real_kernels();
  const std::int64_t group = float_sum_rows(channels);
  float* const of_group = gemm_scratch<float, 8>(2 * channels);
  for (std::int64_t row = begin; row < end; row += group) {
    const std::int64_t last = std::min(end, row + group);
    kernels.channel_sums({.rows = last - row,
                          .channels = channels,
                          .dy = dy(row * channels, last * channels),
                          .words = mask == nullptr ? nullptr : mask->words(row * channels),
                          .x = x + row * channels,
                          .shift = shift,
                          .first = of_group,
                          .second = of_group + channels});
    for (std::int64_t i = 0; i < 2 * channels; ++i) sums[i] += static_cast<double>(of_group[i]);
  }
}

}  // namespace detail

/// sum dy and sum dy (x + shift) per channel over all rows of a gradient dy that is computed block
/// by block.
///
/// Rows are added as in `detail::add_gradient_sums`, blocks in order: the result depends on the
/// division into blocks, not on who adds which one when.
class GradientSums {
 public:
  /// x [rows, channels] must stay in memory until all blocks are added.
  GradientSums(const float* x, std::vector<float> shift) : x_{x}, shift_{std::move(shift)} {}

  /// Room for blocks 0 .. blocks - 1, of which each must be added once before `finish`. dy counts
  /// as 0 where `mask` is, which may be null.
  void start(std::int64_t blocks, std::shared_ptr<const BitMask> mask) {
    discard();
    mask_ = std::move(mask);
    sums_.assign(2 * shift_.size() * static_cast<std::size_t>(blocks), 0.0);
  }

  /// Adds a block: the elements begin .. end - 1 of the gradient, which stand at `dy`; whole rows,
  /// from a multiple of `BitMask::block` on. Threads may call it for different blocks at the same
  /// time.
  void add(std::int64_t block, std::int64_t begin, std::int64_t end, const float* dy) {
    const auto channels = static_cast<std::int64_t>(shift_.size());
    BITDIAL_ASSERT(begin % BitMask::block == 0 && begin % channels == 0 && end % channels == 0);
    detail::add_gradient_sums(
        sums_.data() + 2 * channels * block, begin / channels, end / channels, channels,
        [=](std::int64_t from, std::int64_t) { return dy + (from - begin); }, mask_.get(), x_,
        shift_.data());
  }

  /// All blocks are added.
  void finish() noexcept { are_known_ = true; }
  /// The gradient was not whole: there are no sums.
  void discard() noexcept { are_known_ = false; }
  [[nodiscard]] bool are_known() const noexcept { return are_known_; }

  /// The sums over all blocks.
  void total(std::vector<double>& first, std::vector<double>& second) const {
    BITDIAL_ASSERT(are_known());
    detail::add_slots(sums_, shift_.size(), first, second);
  }

 private:
  const float* x_;
  std::vector<float> shift_;
  std::shared_ptr<const BitMask> mask_;
  std::vector<double> sums_;  ///< [blocks, 2, channels]
  bool are_known_ = false;
};

}  // namespace bitdial::inline BITDIAL_ABI::ops
