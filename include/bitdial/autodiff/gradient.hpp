// SPDX-License-Identifier: Apache-2.0
// The gradient of one result on its way back: values, and masks that are applied when they are
// read.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include <bitdial/autodiff/stream.hpp>
#include <bitdial/ops/detail/elementwise.hpp>

namespace bitdial::inline BITDIAL_ABI {

/// A gradient that its receiver may use up: a derivative works in its memory and hands it on.
///
/// `gate` costs nothing: the masks of rectifiers and quantizers wait until the next derivative that
/// reads the values, and are applied in its pass.
template <class T>
class BasicGradient {
 public:
  BasicGradient() = default;
  explicit BasicGradient(Tensor<T> values) : values_{std::move(values)} {}

  [[nodiscard]] const Shape& shape() const noexcept { return values_.shape(); }
  [[nodiscard]] std::int64_t size() const noexcept { return values_.size(); }

  /// From now on the values are zero where the mask is.
  void gate(std::shared_ptr<const ops::BitMask> mask) { masks_.push_back(std::move(mask)); }

  /// Applies the waiting masks to one piece, for a pass that reads every element once; call
  /// `all_gated` after it.
  void gate_piece(std::int64_t begin, std::int64_t end) {
    for (const auto& mask : masks_) mask->gate(begin, end, values_.data() + begin);
  }
  void all_gated() noexcept { masks_.clear(); }
  /// Where the values lie, for a pass that calls `gate_piece` before it reads a piece.
  [[nodiscard]] T* ungated() noexcept { return values_.data(); }

  /// The values, masks applied.
  [[nodiscard]] Tensor<T>& values() {
    if (!masks_.empty()) {
      for_each_piece<T>(
          shape(), [this](std::int64_t begin, std::int64_t end, T*) { gate_piece(begin, end); });
      all_gated();
    }
    return values_;
  }
  operator TensorView<const T>() { return values().cview(); }

  /// Another gradient of the same values. Waiting masks are applied in the pass that copies.
  [[nodiscard]] BasicGradient copy() {
    BasicGradient result(Tensor<T>(shape(), Uninitialized{}));
    for_each_piece<T>(shape(), [&](std::int64_t begin, std::int64_t end, T*) {
      gate_piece(begin, end);
      std::copy_n(values_.data() + begin, end - begin, result.values_.data() + begin);
    });
    all_gated();
    return result;
  }

  /// Adds the values of `term`, masks of both applied in the same pass.
  void add(BasicGradient& term) {
    for_each_piece<T>(shape(), [&](std::int64_t begin, std::int64_t end, T*) {
      gate_piece(begin, end);
      term.gate_piece(begin, end);
      T* const sum = values_.data() + begin;
      ops::detail::map_span(
          end - begin, sum, [](T a, T b) { return a + b; }, sum, term.values_.data() + begin);
    });
    all_gated();
    term.all_gated();
  }

  /// sum += the values.
  void add_to(TensorView<T> sum) {
    const Tensor<T>& term = values();
    ops::detail::map(
        sum.size(), sum.data(), [](T a, T b) { return a + b; }, sum.data(), term.data());
  }

 private:
  Tensor<T> values_;
  std::vector<std::shared_ptr<const ops::BitMask>> masks_;
};

using Gradient = BasicGradient<float>;

}  // namespace bitdial::inline BITDIAL_ABI
