// SPDX-License-Identifier: Apache-2.0
// Quantization as an operation of the training graph: values on the quantizer's grid forward, its
// declared surrogate derivative backward.
#pragma once

#include <cstddef>
#include <memory>
#include <span>

#include <bitdial/ops/detail/check.hpp>
#include <bitdial/ops/detail/elementwise.hpp>

namespace bitdial::inline BITDIAL_ABI::ops {

/// y = quantizer.fake_quantize(x, state, bits): every value becomes the nearest (as the policy
/// says) of at most 2^bits values. `Quantizer` is a `bitdial::Quantizer<Policy>`, `state` what its
/// `fit` measured; bits 1..8, or 32 for the policy's real-valued path. Shapes: y like x.
template <class Quantizer>
void fake_quantize_forward(TensorView<float> y, TensorView<const float> x,
                           const Quantizer& quantizer, const typename Quantizer::State& state,
                           int bits) {
  detail::require_shape("fake_quantize", "x", x, x.shape());
  detail::require_shape("fake_quantize", "y", y, x.shape());
  quantizer.fake_quantize(x.span(), state, bits, y.span());
}

/// dx += the derivative of the policy's surrogate at x, applied to dy.
template <class Quantizer>
void fake_quantize_backward(TensorView<float> dx, TensorView<const float> dy,
                            TensorView<const float> x, const Quantizer& quantizer,
                            const typename Quantizer::State& state, int bits) {
  detail::require_shape("fake_quantize_backward", "x", x, x.shape());
  detail::require_shape("fake_quantize_backward", "dy", dy, x.shape());
  detail::require_shape("fake_quantize_backward", "dx", dx, x.shape());
  // Policies overwrite, operations accumulate.
  const auto size = static_cast<std::size_t>(x.size());
  const auto gradient = std::make_unique_for_overwrite<float[]>(size);
  quantizer.backward(x.span(), dy.span(), state, bits, std::span<float>(gradient.get(), size));
  detail::map(
      x.size(), dx.data(), [](float a, float b) { return a + b; }, dx.data(), gradient.get());
}

}  // namespace bitdial::inline BITDIAL_ABI::ops
