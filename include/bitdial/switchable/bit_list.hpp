// SPDX-License-Identifier: Apache-2.0
// The bit widths that a layer was compiled for, and the one place where a run-time width becomes a
// template argument.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <functional>
#include <type_traits>
#include <utility>

#include <bitdial/core/config.hpp>
#include <bitdial/core/error.hpp>
#include <bitdial/core/text.hpp>
#include <bitdial/quant/precision.hpp>

namespace bitdial::inline BITDIAL_ABI {

/// Bit widths, widest first: `BitList<8, 4, 2, 1>`. Each lies in 1..8.
template <int... Bits>
struct BitList {
  static_assert(sizeof...(Bits) > 0,
                "bitdial: BitList needs at least one bit width, for example BitList<8, 4, 2>.");
  static_assert((is_code_bits(Bits) && ...),
                "bitdial: BitList: every bit width must lie in [1, 8].");

  static constexpr std::array<int, sizeof...(Bits)> values{Bits...};

  static_assert(std::ranges::adjacent_find(values, std::less_equal{}) == values.end(),
                "bitdial: BitList: list bit widths widest first, without repeats, for example "
                "BitList<8, 4, 2>.");

  [[nodiscard]] static constexpr bool contains(int bits) noexcept {
    return ((bits == Bits) || ...);
  }

  /// The position of `bits` in the list; throws `PrecisionError` if it is absent.
  [[nodiscard]] static constexpr std::size_t index_of(int bits) {
    const auto found = std::ranges::find(values, bits);
    if (found == values.end()) {
      throw PrecisionError(
          concat("bitdial: precision ", bits, " is not in BitList<", join(values), ">"));
    }
    return static_cast<std::size_t>(found - values.begin());
  }
};

/// Calls `f.template operator()<B>()` for the B of the list that equals `bits`, and returns what it
/// returns: the same type for every B. Throws `PrecisionError` if `bits` is not in the list.
///
///     visit_bits(BitList<8, 4, 2>{}, bits, [&]<int B> { return QTensor<B, BitPlanes>{...}.bytes();
///     });
template <int First, int... Rest, class F>
constexpr decltype(auto) visit_bits(BitList<First, Rest...> list, int bits, F&& f) {
  static_assert((std::is_same_v<decltype(f.template operator()<First>()),
                                decltype(f.template operator()<Rest>())> &&
                 ...),
                "bitdial: visit_bits: the visitor must return the same type for every bit width.");
  if constexpr (sizeof...(Rest) > 0) {
    if (bits != First && BitList<First, Rest...>::contains(bits)) {
      return visit_bits(BitList<Rest...>{}, bits, std::forward<F>(f));
    }
  }
  static_cast<void>(list.index_of(bits));
  return std::forward<F>(f).template operator()<First>();
}

}  // namespace bitdial::inline BITDIAL_ABI
