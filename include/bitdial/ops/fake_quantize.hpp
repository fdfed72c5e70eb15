// SPDX-License-Identifier: Apache-2.0
// Quantization as an operation of the training graph: values on the quantizer's grid forward, its
// declared surrogate derivative backward.
#pragma once

#include <bitdial/ops/detail/check.hpp>

namespace bitdial::inline BITDIAL_ABI::ops {

/// y = quantizer.fake_quantize(x, bits), per tensor. `Quantizer` is a `bitdial::Quantizer<Policy>`;
/// bits 1..8, or 32 for the policy's real-valued path. Shapes: y like x.
template <class Quantizer>
void fake_quantize_forward(TensorView<float> y, TensorView<const float> x,
                           const Quantizer& quantizer, int bits) {
  detail::require_shape("fake_quantize", "x", x, x.shape());
  detail::require_shape("fake_quantize", "y", y, x.shape());
  quantizer.fake_quantize(x.span(), bits, y.span());
}

/// dx += the surrogate gradient at x, given dy.
template <class Quantizer>
void fake_quantize_backward(TensorView<float> dx, TensorView<const float> dy,
                            TensorView<const float> x, const Quantizer& quantizer, int bits) {
  detail::require_shape("fake_quantize_backward", "x", x, x.shape());
  detail::require_shape("fake_quantize_backward", "dy", dy, x.shape());
  detail::require_shape("fake_quantize_backward", "dx", dx, x.shape());
  quantizer.backward(x.span(), dy.span(), bits, dx.span());
}

}  // namespace bitdial::inline BITDIAL_ABI::ops
