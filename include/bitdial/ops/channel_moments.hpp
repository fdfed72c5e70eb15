// SPDX-License-Identifier: Apache-2.0
// Sums per channel of a result, taken by the operation that computes it while it is in cache, so
// that the batch normalisation that follows need not read it for its statistics.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include <bitdial/core/parallel.hpp>
#include <bitdial/core/tensor.hpp>
#include <bitdial/kernels/active.hpp>
#include <bitdial/ops/detail/elementwise.hpp>
#include <bitdial/ops/gemm.hpp>

namespace bitdial::inline BITDIAL_ABI::ops {

/// Sums of x and of x^2 per channel over all rows of a matrix [rows, channels], block of rows by
/// block of rows.
///
/// Each block is summed around its first row, at least 32 rows, about 512 elements, in float, then
/// in double; blocks are added in order: the result depends on the division into blocks, not on who
/// adds which one when.
class ChannelMoments {
 public:
  /// Room for blocks 0 .. blocks - 1 of rows of `channels` elements; `add` must be called for each.
  void start(std::int64_t blocks, std::int64_t channels) {
    rows_ = Tensor<std::int64_t>({blocks}, Uninitialized{});
    origins_ = Tensor<float>({blocks, channels}, Uninitialized{});
    sums_ = Tensor<double>({blocks, 2, channels}, Uninitialized{});
  }

  /// Sums the rows of a block, x [rows, channels] without gaps. Threads may call it for different
  /// blocks at the same time.
  void add(std::int64_t block, std::int64_t rows, const float* x) {
    const std::int64_t channels = origins_.extent(1);
    const std::int64_t group = std::max<std::int64_t>(32, 512 / channels);
    float* const of_group = detail::gemm_scratch<float, 8>(3 * channels);
    float* const shift = of_group + 2 * channels;
    double* const to = sums_.data() + 2 * block * channels;
    std::fill_n(to, 2 * channels, 0.0);
    rows_[block] = rows;
    std::copy_n(x, channels, origins_.data() + block * channels);
    std::transform(x, x + channels, shift, [](float v) { return -v; });
    for (std::int64_t row = 0; row < rows; row += group) {
      kernels::active_real_kernels().channel_sums({.rows = std::min(group, rows - row),
                                                   .channels = channels,
                                                   .x = x + row * channels,
                                                   .shift = shift,
                                                   .first = of_group,
                                                   .second = of_group + channels});
      for (std::int64_t i = 0; i < 2 * channels; ++i) to[i] += static_cast<double>(of_group[i]);
    }
  }

  /// All blocks of a matrix that is in memory.
  void add_all(const float* x, std::int64_t rows, std::int64_t channels) {
    const std::int64_t grain = 4 * detail::row_grain(channels);
    start((rows + grain - 1) / grain, channels);
    parallel_for(rows, grain, [&](std::int64_t begin, std::int64_t end) {
      add(begin / grain, end - begin, x + begin * channels);
    });
  }

  /// sum (x - origin) and sum (x - origin)^2 per channel over the rows of all blocks.
  void around(const float* origin, std::vector<double>& first, std::vector<double>& second) const {
    const std::int64_t channels = origins_.extent(1);
    first.assign(static_cast<std::size_t>(channels), 0.0);
    second.assign(static_cast<std::size_t>(channels), 0.0);
    parallel_for(channels, 16, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t block = 0; block < rows_.size(); ++block) {
        const auto count = static_cast<double>(rows_[block]);
        const float* const origins = origins_.data() + block * channels;
        const double* const sums = sums_.data() + 2 * block * channels;
        for (std::int64_t c = begin; c < end; ++c) {
          const auto i = static_cast<std::size_t>(c);
          const double d = static_cast<double>(origins[c]) - static_cast<double>(origin[c]);
          first[i] += sums[c] + count * d;
          second[i] += sums[channels + c] + d * (2.0 * sums[c] + count * d);
        }
      }
    });
  }

 private:
  Tensor<std::int64_t> rows_;  // of each block
  Tensor<float> origins_;
  Tensor<double> sums_;
};

}  // namespace bitdial::inline BITDIAL_ABI::ops
