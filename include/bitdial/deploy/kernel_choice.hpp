// SPDX-License-Identifier: Apache-2.0
// The kernels that can compute a convolution or linear layer: all give the same integers, so time
// alone decides among those that serve a layer.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <bitdial/core/text.hpp>
#include <bitdial/deploy/code_layout.hpp>
#include <bitdial/deploy/network_check.hpp>
#include <bitdial/kernels/code_winograd.hpp>
#include <bitdial/ops/qgemm_lookup.hpp>
#include <bitdial/ops/window.hpp>
#include <bitdial/quant/precision.hpp>

namespace bitdial::inline BITDIAL_ABI {

enum class KernelPath : std::uint8_t {
  automatic,       ///< the fastest on this machine
  bytes,           ///< codes times 8-bit levels: serves every layer
  planes,          ///< popcounts of bit planes; its time grows with the product of the two widths
  lookup,          ///< weights of four codes are the index into a table of their sums
  packed,          ///< codes times weights that stay packed in memory, for products of few rows
  winograd,        ///< 36 products of 16 bits for 144 of 3 x 3 filters; 8 times the bytes' memory
  winograd_bytes,  ///< 24 products of few bits for 72 of 3 x 3 filters; 8 / 3 times the memory
};

/// The paths that a choice is made from.
inline constexpr std::array<KernelPath, 6> kernel_paths{
    KernelPath::bytes,  KernelPath::planes,   KernelPath::lookup,
    KernelPath::packed, KernelPath::winograd, KernelPath::winograd_bytes};

[[nodiscard]] constexpr std::string_view name_of(KernelPath path) noexcept {
  constexpr std::string_view names[] = {"automatic", "bytes",    "planes",        "lookup",
                                        "packed",    "winograd", "winograd_bytes"};
  return names[static_cast<std::size_t>(path)];
}

/// The path of a name other than `automatic`.
[[nodiscard]] constexpr std::optional<KernelPath> kernel_path_of(std::string_view name) noexcept {
  for (const KernelPath path : kernel_paths) {
    if (name == name_of(path)) return path;
  }
  return std::nullopt;
}

[[nodiscard]] constexpr bool is_winograd(KernelPath path) noexcept {
  return path == KernelPath::winograd || path == KernelPath::winograd_bytes;
}
/// The tile of one of these two.
[[nodiscard]] constexpr const kernels::WinogradTile& winograd_tile(KernelPath path) noexcept {
  return path == KernelPath::winograd_bytes ? kernels::winograd_bytes : kernels::winograd_shorts;
}

/// What decides how fast each kernel computes a layer.
struct MatrixShape {
  bool linear = false;
  CodeLayout x;  ///< the codes that are read
  ops::Window window{};
  ImageShape y;
  bool may_join = false;  ///< as in `WindowRows::LineOptions`
  Precision bits{.w = 8, .a = 8};

  /// Taps of `x.pixel` codes each.
  [[nodiscard]] constexpr std::int64_t taps() const noexcept {
    return linear ? x.h * x.w : window.taps();
  }
  /// K
  [[nodiscard]] constexpr std::int64_t depth() const noexcept { return taps() * x.pixel; }

  /// `conv 3x3 56x56x64 border 1x1 to 56x56x64 w1a2`, and what is not 1 between.
  [[nodiscard]] std::string text() const {
    const std::string extents = concat(x.h, 'x', x.w, 'x', x.pixel);
    if (linear) return concat("linear ", extents, " to ", y.c, ' ', bits);
    std::string words = concat("conv ", window.kernel_h, 'x', window.kernel_w, ' ');
    const auto add = [&](std::string_view name, std::int64_t h, std::int64_t w,
                         std::int64_t usual) {
      if (h != usual || w != usual) words += concat(name, ' ', h, 'x', w, ' ');
    };
    add("stride", window.stride_h, window.stride_w, 1);
    add("dilation", window.dilation_h, window.dilation_w, 1);
    words += extents + ' ';
    add("border", x.border_h, x.border_w, 0);
    add("padding", window.padding_h, window.padding_w, x.border_h);
    if (may_join) words += "joined ";
    return concat(words, "to ", y.h, 'x', y.w, 'x', y.c, ' ', bits);
  }
};

/// True when unsigned code products cannot leave int32: what every path but `bytes` needs.
[[nodiscard]] constexpr bool code_sums_fit(const MatrixShape& shape) noexcept {
  const std::int64_t largest = std::int64_t{(1 << shape.bits.w) - 1} * ((1 << shape.bits.a) - 1);
  return largest * shape.depth() < std::int64_t{1} << 31;
}

/// True when a path can compute a layer.
[[nodiscard]] constexpr bool serves(KernelPath path, const MatrixShape& shape) noexcept {
  const Precision bits = shape.bits;
  const ops::Window& window = shape.window;
  if (path == KernelPath::bytes) return true;
  if (is_winograd(path)) {
    // Levels of two bits, or else the codes that stand for them, are within the bound.
    if (path == KernelPath::winograd_bytes &&
        (bits.w > 2 || bits.a > kernels::winograd_byte_code_bits)) {
      return false;
    }
    return !shape.linear && window.kernel_h == 3 && window.kernel_w == 3 && window.stride_h == 1 &&
           window.stride_w == 1 && window.dilation_h == 1 && window.dilation_w == 1;
  }
  if (path == KernelPath::automatic || !code_sums_fit(shape)) return false;
  if (path == KernelPath::planes) return true;
  if (path == KernelPath::lookup) {
    // Windows begin at whole blocks of tables, their runs at equal distances.
    const bool regular = shape.linear || window.dilation_w == 1 || window.kernel_w == 1;
    return bits.a <= ops::max_lookup_bits && bits.w <= 2 && shape.x.pixel % 16 == 0 && regular;
  }
  const bool one_run = shape.linear ? shape.x.dense() : window.taps() == 1;
  return one_run && (bits.w == 1 || bits.w == 2 || bits.w == 4);
}

}  // namespace bitdial::inline BITDIAL_ABI
