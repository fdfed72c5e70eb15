// SPDX-License-Identifier: Apache-2.0
// Operands of the kernels of Winograd's minimal filtering F(4, 3): four neighbouring outputs of a
// filter of three taps from six products instead of twelve. The rules are those of
// kernel_table.hpp.
#pragma once

#include <cstdint>

#include <bitdial/core/config.hpp>

namespace bitdial::inline BITDIAL_ABI::kernels {

/// The points 0, a, -a, b, -b and infinity at which polynomials are multiplied. With D the product
/// of the distances of a point p from the other finite ones,
///   y[i] = sum_t w[t] d[i + t], i = 0 .. 3,  is  sum_p p^i (sum_t p^t w[t] / D(p)) v_p,
/// v_p the coefficients of prod_{q != p} (z - q) times d; infinity adds w[2] v to y[3].
///
/// a^2, b^2, their sum, their product and a b^2 are exact in float, so the transforms of the inputs
/// are those of the points and only sums are rounded. Of points of this form these leave the
/// smallest errors: 1.4 times those of the direct sum, where 1 and 2 leave 1.9 times.
/// Source: Lavin and Gray, 1509.09308.
struct WinogradPoints {
  static constexpr int count = 6;
  static constexpr int group = 4;  ///< outputs
  static constexpr int taps = 3;
  static constexpr float a = 0.625F, b = 1.25F;
  static constexpr float a2 = a * a, b2 = b * b, squares = a2 + b2, product = a2 * b2;
  /// The finite ones, and D.
  static constexpr float at[] = {0.0F, a, -a, b, -b};
  static constexpr float distances[] = {product, 2 * a2*(a2 - b2), 2 * a2*(a2 - b2),
                                        2 * b2*(b2 - a2), 2 * b2*(b2 - a2)};
};

/// Where the six numbers of each group of pixels of a row go, as floats, or rounded to bfloat16 as
/// `round_bf16` does. Channels stand in panels of `panel` neighbours, the last of which may have
/// fewer, w: number k of group g and channel c = p + j, p the first channel of its panel, is
///   data[k * step + p * height + (first + g) * w + j].
///
/// `paired`, of bfloat16 only, puts the second half of the groups beside the first, element by
/// element, as steps of GemmBf16Tile: of n = ceil(groups / 2) steps, element i of step g is
///   data[k * step + 2 * (p * height + (first + g) * w + j) + i],
/// that of group g + i * n, or zero where there is no such group.
template <class E>
struct WinogradNumbers {
  E* data = nullptr;
  std::int64_t step = 0;    ///< elements between the numbers of a group
  std::int64_t panel = 1;   ///< a multiple of the columns of the table's tile, or all channels
  std::int64_t height = 0;  ///< steps of a panel
  std::int64_t first = 0;   ///< that of group 0
  bool paired = false;

  /// A channel of the first step, and the elements from step to step.
  struct Column {
    E* data;
    std::int64_t step;
  };
  [[nodiscard]] constexpr Column column(std::int64_t c, std::int64_t channels) const noexcept {
    const std::int64_t begin = c < panel ? 0 : c / panel * panel;
    const std::int64_t width = channels - begin < panel ? channels - begin : panel;
    const std::int64_t elements = paired ? 2 : 1;
    return {data + elements * (begin * height + first * width + c - begin), elements * width};
  }
};

/// Operands of winograd_inputs and winograd_inputs_bf16: v_k of the six pixels d[i] =
/// x[(4 g + first + i) * channels + c], zero outside pixels 0 .. pixels - 1:
///   v_0 = fma(a^2 b^2, d0, fma(-(a^2 + b^2), d2, d4)),
///   v_1, v_2 = fma(+-a, fma(-b^2, d1, d3), fma(-b^2, d2, d4)),
///   v_3, v_4 = fma(+-b, fma(-a^2, d1, d3), fma(-a^2, d2, d4)),
///   v_5 = fma(a^2 b^2, d1, fma(-(a^2 + b^2), d3, d5)).
template <class E>
struct WinogradInputs {
  std::int64_t groups = 0;
  std::int64_t pixels = 0;
  std::int64_t first = 0;
  std::int64_t channels = 0;
  const float* x = nullptr;
  WinogradNumbers<E> v{};
};

/// Operands of winograd_slopes and winograd_slopes_bf16: what a derivative by the filter multiplies
/// the v_k with, D left out. For the four pixels d[i] = dy[(4 g + i) * channels + c], zero from
/// `pixels` on:
///   u_0 = d0,  u_5 = d3,
///   u_1, u_2 = fma(+-a, fma(a^2, d3, d1), fma(a^2, d2, d0)), and with b u_3, u_4.
template <class E>
struct WinogradSlopes {
  std::int64_t groups = 0;
  std::int64_t pixels = 0;
  std::int64_t channels = 0;
  const float* dy = nullptr;
  WinogradNumbers<E> u{};
};

/// Operands of winograd_outputs: y[(4 g + i) * y_stride + c] (+)= y_i for the pixels below
/// `pixels`, from m_k = m[k * m_step + g * m_stride + c], with s = m_1 + m_2, d = m_1 - m_2, t =
/// m_3 + m_4, e = m_3 - m_4:
///   y_0 = (m_0 + s) + t,           y_1 = fma(b, e, a d),
///   y_2 = fma(b^2, t, a^2 s),      y_3 = fma(b^3, e, fma(a^3, d, m_5)).
struct WinogradOutputs {
  std::int64_t pixels = 0;
  std::int64_t channels = 0;
  const float* m = nullptr;
  std::int64_t m_step = 0;
  std::int64_t m_stride = 0;
  float* y = nullptr;
  std::int64_t y_stride = 0;
  bool accumulate = false;
};

/// Operands of winograd_taps: the derivatives by the three taps from the sums of u_k v_k,
/// m_k = m[k * m_step + row * m_stride + c]. y[row * y_stride + t * tap_stride + c] (+)= y_t, with
/// s = m_1 + m_2, d = m_1 - m_2, t = m_3 + m_4, e = m_3 - m_4 and 1 / D of the points:
///   y_0 = fma(1/D_0, m_0, fma(1/D_a, s, 1/D_b t)),  y_1 = fma(a/D_a, d, b/D_b e),
///   y_2 = fma(a^2/D_a, s, fma(b^2/D_b, t, m_5)).
struct WinogradTaps {
  static constexpr float zero = 1.0F / WinogradPoints::distances[0];
  static constexpr float of_a = 1.0F / WinogradPoints::distances[1];
  static constexpr float of_b = 1.0F / WinogradPoints::distances[3];

  std::int64_t rows = 0;
  std::int64_t channels = 0;
  const float* m = nullptr;
  std::int64_t m_step = 0;
  std::int64_t m_stride = 0;
  float* y = nullptr;
  std::int64_t y_stride = 0;
  std::int64_t tap_stride = 0;
  bool accumulate = false;
};

}  // namespace bitdial::inline BITDIAL_ABI::kernels
