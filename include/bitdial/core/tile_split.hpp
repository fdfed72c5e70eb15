// SPDX-License-Identifier: Apache-2.0
// How many rows each tile of a run gets.
#pragma once

#include <algorithm>
#include <cstdint>

#include <bitdial/core/assert.hpp>
#include <bitdial/core/config.hpp>
#include <bitdial/core/rounding.hpp>

namespace bitdial::inline BITDIAL_ABI {

/// `rows` rows in as few tiles of at most `most` as possible, in order: full tiles, for which
/// kernels are made, then the rest. A rest of less than half a tile would leave units waiting, so
/// it shares the rows of the last full tile.
class TileSplit {
 public:
  constexpr TileSplit(std::int64_t rows, std::int64_t most) noexcept
      : rows_{rows}, most_{most}, count_{(rows + most - 1) / most}, last_{(count_ - 1) * most} {
    BITDIAL_ASSERT(rows >= 0 && most >= 1);
    if (count_ > 1 && 2 * (rows - last_) < most) {
      const std::int64_t half = round_up((rows - last_ + most) / 2, 2);
      last_ += std::min(half, most - 1) - most;
    }
  }

  [[nodiscard]] constexpr std::int64_t count() const noexcept { return count_; }
  /// The first row of tile i, 0 <= i <= count().
  [[nodiscard]] constexpr std::int64_t begin(std::int64_t i) const noexcept {
    return i < count_ - 1 ? i * most_ : i < count_ ? last_ : rows_;
  }
  /// The number of tiles of `most` rows: the first ones.
  [[nodiscard]] constexpr std::int64_t whole() const noexcept {
    return rows_ - last_ == most_ ? count_ : last_ / most_;
  }
  [[nodiscard]] constexpr std::int64_t size(std::int64_t i) const noexcept {
    return begin(i + 1) - begin(i);
  }

 private:
  std::int64_t rows_, most_, count_, last_;
};

}  // namespace bitdial::inline BITDIAL_ABI
