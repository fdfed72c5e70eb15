// SPDX-License-Identifier: Apache-2.0
// The same elements under another shape.
#pragma once

#include <utility>

#include <bitdial/autodiff/tape.hpp>

namespace bitdial::inline BITDIAL_ABI::ad {

/// y has the elements of x, in order, and `shape`; the gradient goes the same way back.
///
/// Throws `ShapeError` when the shapes have different numbers of elements. Cost: one copy.
template <class T>
BasicVar<T> reshape(BasicVar<T> x, const Shape& shape) {
  Tensor<T> y = x.value();
  y.reshape(shape);
  return x.tape().record("reshape", std::move(y), {x}, [x](BasicGradient<T>& dy) {
    Tensor<T> dx = std::move(dy.values());
    dx.reshape(x.shape());
    x.tape().give(x, BasicGradient<T>(std::move(dx)));
  });
}

}  // namespace bitdial::inline BITDIAL_ABI::ad
