// SPDX-License-Identifier: Apache-2.0
// Vectors of real values to vectors of codes.
// Vocabulary: F32, broadcast_f32, fmadd_f32, mul_f32, add_f32, max_f32 and min_f32 (the second
// operand when one is NaN), Ints, nearest_ints (rounds half to even), floats_of, add_at_least
// (a + (x >= y)), is_any_farther (whether any |x - y| > distance), threshold_at (by index).

class StepVectors {
 public:
  explicit StepVectors(const CodeSteps& steps) noexcept
      : thresholds_{steps.thresholds},
        count_{steps.count},
        has_line_{steps.line_factor != 0.0F},
        saturates_{steps.saturates} {
    const bool equal = steps.thresholds == nullptr;
    const float last = equal ? steps.largest_product() : static_cast<float>(steps.count);
    // Below 1/2 - margin, whatever rounding does.
    const float certain = (0.5F - steps.line_margin) * (1.0F - 0x1p-20F);
    factor_ = broadcast_f32(equal ? &steps.inverse_step : &steps.line_factor);
    constant_ = broadcast_f32(&steps.line_constant);
    last_ = broadcast_f32(&last);
    certain_ = broadcast_f32(&certain);
  }

  /// codes[i] = the codes of x[i], where negative integers stand for 0, those above 255 for 255.
  template <int count>
  [[gnu::always_inline]] void operator()(const F32 (&x)[count],
                                         Ints (&codes)[count]) const noexcept {
    if (thresholds_ == nullptr) {
      // No addition follows the product, so there is nothing that a compiler could contract. The
      // integer of NaN is the lowest one, or 0.
      F32 products[count];
      unroll<count>([&](auto i)
                        __attribute__((always_inline)) { products[i] = mul_f32(x[i], factor_); });
      if (!saturates_) {
        unroll<count>([&](auto i) __attribute__((always_inline)) {
          products[i] = min_f32(last_, products[i]);
        });
      }
      unroll<count>([&](auto i)
                        __attribute__((always_inline)) { codes[i] = nearest_ints(products[i]); });
    } else if (has_line_) {
      // A code at least 1/2 - margin away from another one is certain; few vectors hold another.
      const F32 zero{};
      unroll<count>([&](auto i) __attribute__((always_inline)) {
        const F32 line = min_f32(max_f32(fmadd_f32(x[i], factor_, constant_), zero), last_);
        const Ints code = nearest_ints(line);
        codes[i] = is_any_farther(line, floats_of(code), certain_) ? compared(x[i], line) : code;
      });
    } else {
      // Arrays of this branch alone: the others stay in registers.
      F32 values[count];
      Ints counts[count];
      unroll<count>([&](auto i) __attribute__((always_inline)) { values[i] = x[i]; });
      count_thresholds(values, counts);
      unroll<count>([&](auto i) __attribute__((always_inline)) { codes[i] = counts[i]; });
    }
  }

 private:
  /// counts[i] = the number of thresholds at or below x[i].
  template <int count>
  [[gnu::noinline]] void count_thresholds(const F32 (&x)[count],
                                          Ints (&counts)[count]) const noexcept {
    unroll<count>([&](auto i) __attribute__((always_inline)) { counts[i] = Ints{}; });
    for (std::int32_t t = 0; t < count_; ++t) {
      const F32 threshold = broadcast_f32(thresholds_ + t);
      unroll<count>([&](auto i) __attribute__((always_inline)) {
        counts[i] = add_at_least(counts[i], x[i], threshold);
      });
    }
  }

  /// The code of the line, or one less, and a comparison with the threshold between them.
  [[nodiscard, gnu::noinline, gnu::cold]] Ints compared(F32 x, F32 line) const noexcept {
    const float half = -0.5F, last = static_cast<float>(count_ - 1);
    const F32 lower = max_f32(add_f32(line, broadcast_f32(&half)), F32{});
    const Ints guess = nearest_ints(min_f32(lower, broadcast_f32(&last)));
    return add_at_least(guess, x, threshold_at(thresholds_, guess));
  }

  const float* thresholds_;
  std::int32_t count_;
  bool has_line_, saturates_;
  F32 factor_, constant_, last_, certain_;
};
