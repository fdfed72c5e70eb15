// SPDX-License-Identifier: Apache-2.0
// Gradients of few bits on the tape.
#pragma once

#include <bitdial/autodiff/tape.hpp>
#include <bitdial/quant/gradient_grid.hpp>
#include <bitdial/quant/precision.hpp>

namespace bitdial::inline BITDIAL_ABI::ad {

/// From now on the derivative of y reads its gradient through `quantize_gradients`: to `bits` bits,
/// one maximum per image (first index of y), with the next random stream of the tape. 32 bits, and
/// a y without derivative: nothing happens.
inline void quantize_gradient(Var y, int bits) {
  if (bits == real_valued_bits || !y.needs_grad()) return;
  const std::int64_t images = y.shape()[0];
  y.tape().on_gradient(y, [images, bits, random = y.tape().random_streams().next()](Gradient& dy) {
    quantize_gradients(dy.values().span(), images, bits, random);
  });
}

}  // namespace bitdial::inline BITDIAL_ABI::ad
