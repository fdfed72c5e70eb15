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

/// Operands of winograd_inputs: v[k * v_step + g * channels + c] = v_k of the six pixels
/// d[i] = x[(4 g + first + i) * channels + c], zero outside pixels 0 .. pixels - 1:
///   v_0 = fma(a^2 b^2, d0, fma(-(a^2 + b^2), d2, d4)),
///   v_1, v_2 = fma(+-a, fma(-b^2, d1, d3), fma(-b^2, d2, d4)),
///   v_3, v_4 = fma(+-b, fma(-a^2, d1, d3), fma(-a^2, d2, d4)),
///   v_5 = fma(a^2 b^2, d1, fma(-(a^2 + b^2), d3, d5)).
struct WinogradInputs {
  std::int64_t groups = 0;
  std::int64_t pixels = 0;
  std::int64_t first = 0;
  std::int64_t channels = 0;
  const float* x = nullptr;
  float* v = nullptr;
  std::int64_t v_step = 0;
};

/// Operands of winograd_slopes: what a derivative by the filter multiplies the v_k with, D left
/// out. For the four pixels d[i] = dy[(4 g + i) * channels + c], zero from `pixels` on:
///   u_0 = d0,  u_5 = d3,
///   u_1, u_2 = fma(+-a, fma(a^2, d3, d1), fma(a^2, d2, d0)), and with b u_3, u_4,
/// at u[k * u_step + g * channels + c].
struct WinogradSlopes {
  std::int64_t groups = 0;
  std::int64_t pixels = 0;
  std::int64_t channels = 0;
  const float* dy = nullptr;
  float* u = nullptr;
  std::int64_t u_step = 0;
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

}  // namespace bitdial::inline BITDIAL_ABI::kernels
