// SPDX-License-Identifier: Apache-2.0
// The gradient of one result on its way back: values, and element-wise steps that are taken when
// they are read.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include <bitdial/autodiff/stream.hpp>
#include <bitdial/ops/detail/elementwise.hpp>

namespace bitdial::inline BITDIAL_ABI {

/// A gradient that its receiver may use up: a derivative works in its memory and hands it on.
///
/// `then` and `gate` cost nothing: the derivatives of rectifiers, quantizers and batch
/// normalisations wait until one that reads the values, and are computed in its pass, where the
/// values are in cache.
template <class T>
class BasicGradient {
 public:
  /// Computes the elements begin .. end - 1 of a gradient, whole rows and whole blocks of masks,
  /// from what was there before; `to` may be `from`. Threads call it for different elements at the
  /// same time, and it may be called several times for the same ones.
  using Step = std::function<void(std::int64_t begin, std::int64_t end, const T* from, T* to)>;

  /// Elements from which on last-level caches hold no gradient: what waits is then computed again
  /// rather than written back.
  static constexpr std::int64_t large = std::int64_t{1} << 22;

  BasicGradient() = default;
  explicit BasicGradient(Tensor<T> values) : values_{std::move(values)} {}

  [[nodiscard]] const Shape& shape() const noexcept { return values_.shape(); }
  [[nodiscard]] std::int64_t size() const noexcept { return values_.size(); }

  /// From now on the values are what `step` makes of them.
  void then(Step step) {
    steps_.push_back(std::move(step));
    mask_ = nullptr;
  }

  /// From now on the values are zero where the mask is. Masks that follow each other are one step.
  void gate(std::shared_ptr<const ops::BitMask> mask) {
    if (mask_ != nullptr) {
      mask = std::make_shared<const ops::BitMask>(ops::BitMask::intersection(*mask_, *mask));
      steps_.pop_back();
    }
    then([mask](std::int64_t begin, std::int64_t end, const T* from, T* to) {
      mask->gate(begin, end, from, to);
    });
    mask_ = std::move(mask);
  }

  /// True while steps wait.
  [[nodiscard]] bool waits() const noexcept { return !steps_.empty(); }

  /// Elements begin .. end - 1, whole rows and whole blocks of masks: in place where no step waits,
  /// else computed into `scratch`, piece by piece.
  [[nodiscard]] const T* read(std::int64_t begin, std::int64_t end, T* scratch) const {
    if (!waits()) return values_.data() + begin;
    const std::int64_t size = piece_size(shape());
    for (std::int64_t first = begin; first < end; first += size) {
      const T* from = values_.data() + first;
      T* const to = scratch + (first - begin);
      for (const Step& step : steps_) {
        step(first, std::min(end, first + size), from, to);
        from = to;
      }
    }
    return scratch;
  }

  /// The same in place, for a pass that reads every element once; call `all_taken` after it.
  [[nodiscard]] const T* take(std::int64_t begin, std::int64_t end) {
    return read(begin, end, values_.data() + begin);
  }
  void all_taken() noexcept {
    steps_.clear();
    mask_ = nullptr;
  }

  /// The values, all steps taken.
  [[nodiscard]] Tensor<T>& values() {
    if (waits()) {
      for_each_piece<T>(shape(), [this](std::int64_t begin, std::int64_t end, T*) {
        static_cast<void>(take(begin, end));
      });
      all_taken();
    }
    return values_;
  }
  operator TensorView<const T>() { return values().cview(); }

  /// Another gradient of the same values; the same steps wait for both.
  [[nodiscard]] BasicGradient copy() const {
    BasicGradient result(Tensor<T>(shape(), Uninitialized{}));
    for_each_piece<T>(shape(), [&](std::int64_t begin, std::int64_t end, T*) {
      std::copy_n(values_.data() + begin, end - begin, result.values_.data() + begin);
    });
    result.steps_ = steps_;
    result.mask_ = mask_;
    return result;
  }

  /// Adds the values of `term`, the steps of both taken in the same pass.
  void add(const BasicGradient& term) {
    for_each_piece<T>(shape(), [&](std::int64_t begin, std::int64_t end, T* scratch) {
      T* const sum = values_.data() + begin;
      static_cast<void>(read(begin, end, sum));
      ops::detail::map_span(
          end - begin, sum, [](T a, T b) { return a + b; }, sum, term.read(begin, end, scratch));
    });
    all_taken();
  }

  /// sum += the values.
  void add_to(TensorView<T> sum) {
    const Tensor<T>& term = values();
    ops::detail::map(
        sum.size(), sum.data(), [](T a, T b) { return a + b; }, sum.data(), term.data());
  }

 private:
  Tensor<T> values_;
  std::vector<Step> steps_;
  std::shared_ptr<const ops::BitMask> mask_;  // of the last step, where it is one
};

using Gradient = BasicGradient<float>;

}  // namespace bitdial::inline BITDIAL_ABI
