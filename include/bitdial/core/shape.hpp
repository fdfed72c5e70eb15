// SPDX-License-Identifier: Apache-2.0
// The extents of a tensor: up to six non-negative dimensions, a plain value.
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <string>

#include <bitdial/core/assert.hpp>
#include <bitdial/core/text.hpp>

namespace bitdial::inline BITDIAL_ABI {

/// Extents, outermost first. Activations are `[N, H, W, C]`, weights `[Cout, kh, kw, Cin]`.
class Shape {
 public:
  static constexpr int max_rank = 6;

  constexpr Shape() = default;
  /// At most `max_rank` extents: more do not compile in a constant expression and stop the program
  /// elsewhere, in every build.
  constexpr Shape(std::initializer_list<std::int64_t> extents)
      : rank_{static_cast<int>(extents.size())} {
    if (extents.size() > max_rank) __builtin_trap();
    int i = 0;
    for (const std::int64_t extent : extents) extents_[static_cast<std::size_t>(i++)] = extent;
  }

  [[nodiscard]] constexpr int rank() const noexcept { return rank_; }
  [[nodiscard]] constexpr std::int64_t operator[](int i) const noexcept {
    BITDIAL_ASSERT(i >= 0 && i < rank_);
    return extents_[static_cast<std::size_t>(i)];
  }
  [[nodiscard]] constexpr std::int64_t back() const noexcept { return (*this)[rank_ - 1]; }

  /// The number of elements; 1 for rank 0. The extents must be those of a tensor: see
  /// `checked_size`.
  [[nodiscard]] constexpr std::int64_t size() const noexcept {
    std::int64_t product = 1;
    for (int i = 0; i < rank_; ++i) product *= (*this)[i];
    return product;
  }

  /// The number of elements, for extents of unknown origin; -1 if one of them is negative or the
  /// product of those that are not 0 exceeds `limit`, so that no partial product of them overflows.
  [[nodiscard]] constexpr std::int64_t checked_size(std::int64_t limit = INT64_MAX) const noexcept {
    std::int64_t product = 1;
    bool empty = false;
    for (const std::int64_t extent : *this) {
      if (extent < 0) return -1;
      empty = empty || extent == 0;
      if (extent == 0) continue;
      if (product > limit / extent) return -1;
      product *= extent;
    }
    return empty ? 0 : product;
  }

  [[nodiscard]] constexpr const std::int64_t* begin() const noexcept { return extents_.data(); }
  [[nodiscard]] constexpr const std::int64_t* end() const noexcept {
    return extents_.data() + rank_;
  }

  /// This shape with another extent at `axis`.
  [[nodiscard]] constexpr Shape with(int axis, std::int64_t extent) const noexcept {
    Shape changed = *this;
    changed.extents_[static_cast<std::size_t>(axis)] = extent;
    return changed;
  }

  /// `"[8, 32, 32, 4]"`
  [[nodiscard]] std::string text() const { return concat("[", join(*this), "]"); }

  friend constexpr bool operator==(const Shape&, const Shape&) = default;

 private:
  std::array<std::int64_t, max_rank> extents_{};
  int rank_ = 0;
};

}  // namespace bitdial::inline BITDIAL_ABI
