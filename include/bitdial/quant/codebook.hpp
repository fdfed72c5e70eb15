// SPDX-License-Identifier: Apache-2.0
// The values of codes that lie on no line, and the decisions half-way between them.
#pragma once

#include <algorithm>
#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>

#include <bitdial/core/assert.hpp>
#include <bitdial/core/config.hpp>
#include <bitdial/quant/policy.hpp>

namespace bitdial::inline BITDIAL_ABI {

/// Up to 256 values in ascending order; the code of x is that of the nearest value, and the middle
/// of two belongs to the lower one. NaN gets code 0.
class Codebook {
 public:
  /// `values` in any order, at least one.
  explicit Codebook(std::span<const float> values) noexcept : count_{values.size()} {
    BITDIAL_ASSERT(!values.empty() && values.size() <= values_.size());
    std::ranges::copy(values, values_.begin());
    std::sort(values_.begin(), values_.begin() + static_cast<std::ptrdiff_t>(count_));
    for (std::size_t i = 0; i + 1 < count_; ++i) {
      middles_[i] = (values_[i] + values_[i + 1]) / 2.0F;
    }
  }

  /// The number of middles below x.
  [[nodiscard]] std::int32_t encode(float x) const noexcept {
    const auto first = middles_.begin();
    const auto last = first + static_cast<std::ptrdiff_t>(count_) - 1;
    return static_cast<std::int32_t>(std::lower_bound(first, last, x) - first);
  }
  [[nodiscard]] float decode(std::int32_t code) const noexcept {
    return values_[static_cast<std::size_t>(code)];
  }

 private:
  std::size_t count_;
  std::array<float, 256> values_{};
  std::array<float, 256> middles_{};
};

/// Optional: `codebook(state, bits)`, where `encode` and `decode` look up values that take time to
/// list; `Quantizer` then lists them once per tensor.
template <class P>
concept CodebookPolicy = requires(const P policy, const typename P::State& state, int bits) {
  { policy.codebook(state, bits) } -> std::same_as<Codebook>;
};

}  // namespace bitdial::inline BITDIAL_ABI
