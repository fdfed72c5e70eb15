// SPDX-License-Identifier: Apache-2.0
// The gradient of one result on its way back: values, and element-wise steps that are taken when
// they are read.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <memory>
#include <type_traits>
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
  explicit BasicGradient(Tensor<T> values)
      : values_{std::make_shared<Tensor<T>>(std::move(values))} {}

  [[nodiscard]] const Shape& shape() const noexcept { return values_->shape(); }
  [[nodiscard]] std::int64_t size() const noexcept {
    return values_ == nullptr ? 0 : values_->size();
  }

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

  /// The mask whose `gate` waits last, which waits no longer: for one that applies it on its way.
  /// Null where there is none.
  [[nodiscard]] std::shared_ptr<const ops::BitMask> take_mask() {
    if (mask_ != nullptr) steps_.pop_back();
    return std::exchange(mask_, nullptr);
  }

  /// True while steps wait.
  [[nodiscard]] bool waits() const noexcept { return !steps_.empty(); }

  /// Elements begin .. end - 1, whole rows and whole blocks of masks: in place where no step waits,
  /// else computed into `scratch`, piece by piece.
  [[nodiscard]] const T* read(std::int64_t begin, std::int64_t end, T* scratch) const {
    if (!waits()) return values_->data() + begin;
    const std::int64_t size = piece_size(shape());
    for (std::int64_t first = begin; first < end; first += size) {
      const T* from = values_->data() + first;
      T* const to = scratch + (first - begin);
      for (const Step& step : steps_) {
        step(first, std::min(end, first + size), from, to);
        from = to;
      }
    }
    return scratch;
  }

  /// The same in place, for a pass that reads every element once; call `own` before it and
  /// `all_taken` after it.
  [[nodiscard]] const T* take(std::int64_t begin, std::int64_t end) {
    return read(begin, end, values_->data() + begin);
  }
  void all_taken() noexcept {
    steps_.clear();
    mask_ = nullptr;
  }

  /// Makes sure that no other gradient shares the memory.
  void own() {
    if (!is_shared()) return;
    auto next = std::make_shared<Tensor<T>>(shape(), Uninitialized{});
    ops::detail::map(
        size(), next->data(), [](T value) { return value; }, values_->data());
    values_ = std::move(next);
  }

  /// The values, all steps taken.
  [[nodiscard]] Tensor<T>& values() {
    if (waits() || is_shared()) {
      replace([this](std::int64_t begin, std::int64_t end, T* to, T*) {
        if (const T* const from = read(begin, end, to); from != to) {
          std::copy_n(from, end - begin, to);
        }
      });
    }
    return *values_;
  }
  /// The same for one that only reads them.
  operator TensorView<const T>() {
    if (waits()) static_cast<void>(values());
    return values_->cview();
  }

  /// Another gradient of the same values; the same steps wait for both, and both read the same
  /// memory until one of them is changed.
  [[nodiscard]] BasicGradient copy() const { return *this; }

  /// Adds the values of `term`, the steps of both taken in the same pass.
  void add(const BasicGradient& term) {
    if constexpr (std::is_same_v<T, float>) {
      if (only_gates() && term.only_gates()) {
        return replace([this, &term](std::int64_t begin, std::int64_t end, T* to, T*) {
          ops::BitMask::add_gated(begin, end, mask_.get(), values_->data() + begin,
                                  term.mask_.get(), term.values_->data() + begin, to);
        });
      }
    }
    replace([this, &term](std::int64_t begin, std::int64_t end, T* to, T* scratch) {
      const T* const before = read(begin, end, to);
      ops::detail::map_span(
          end - begin, to, [](T a, T b) { return a + b; }, before, term.read(begin, end, scratch));
    });
  }

  /// sum += the values.
  void add_to(TensorView<T> sum) {
    const TensorView<const T> term = *this;
    ops::detail::map(
        sum.size(), sum.data(), [](T a, T b) { return a + b; }, sum.data(), term.data());
  }

 private:
  [[nodiscard]] bool is_shared() const noexcept { return values_.use_count() > 1; }
  /// True where no step but masks waits.
  [[nodiscard]] bool only_gates() const noexcept {
    return steps_.size() == (mask_ == nullptr ? 0U : 1U);
  }

  /// Makes what write(begin, end, to, scratch) writes the values, in the same memory unless it is
  /// shared; nothing waits then.
  template <class Write>
  void replace(Write write) {
    auto next = is_shared() ? std::make_shared<Tensor<T>>(shape(), Uninitialized{}) : values_;
    for_each_piece<T>(shape(), [&](std::int64_t begin, std::int64_t end, T* scratch) {
      write(begin, end, next->data() + begin, scratch);
    });
    values_ = std::move(next);
    all_taken();
  }

  std::shared_ptr<Tensor<T>> values_;
  std::vector<Step> steps_;
  std::shared_ptr<const ops::BitMask> mask_;  // of the last step, where it is one
};

using Gradient = BasicGradient<float>;

}  // namespace bitdial::inline BITDIAL_ABI
