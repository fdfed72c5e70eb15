// SPDX-License-Identifier: Apache-2.0
// What a run reports: top-k accuracy, running means, the confusion matrix.
#pragma once

#include <cmath>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include <bitdial/core/assert.hpp>
#include <bitdial/core/error.hpp>
#include <bitdial/core/tensor_view.hpp>

namespace bitdial::inline BITDIAL_ABI::train {

namespace detail {

/// Checks that `logits` is [N, K], contiguous, with N labels in 0 .. K - 1.
inline void check_scores(TensorView<const float> logits, std::span<const std::int32_t> labels,
                         std::string_view who) {
  if (logits.shape().rank() != 2 || !logits.is_contiguous() ||
      logits.extent(0) != static_cast<std::int64_t>(labels.size())) {
    throw ShapeError(concat(who, ": expected contiguous scores [", labels.size(),
                            ", K], one row per label, found ", logits.shape()));
  }
  for (const std::int32_t label : labels) {
    if (label < 0 || label >= logits.extent(1)) {
      throw ShapeError(
          concat(who, ": expected labels 0 .. ", logits.extent(1) - 1, ", found ", label));
    }
  }
}

}  // namespace detail

/// The index of the largest score, the first of equals; NaN never wins. Index 0 if all are NaN.
[[nodiscard]] inline std::int32_t argmax(std::span<const float> scores) noexcept {
  std::size_t best = 0;
  for (std::size_t i = 1; i < scores.size(); ++i) {
    if (scores[i] > scores[best] || (scores[best] != scores[best] && scores[i] == scores[i])) {
      best = i;
    }
  }
  return static_cast<std::int32_t>(best);
}

/// In how many rows of `logits` [N, K] the label is among the k largest scores.
///
/// Among equal scores the lower class index ranks first, as in `argmax`; a label whose score is NaN
/// counts as wrong. Throws `ShapeError` when scores and labels do not fit, `ConfigError` for k < 1.
[[nodiscard]] inline std::int64_t top_k_correct(TensorView<const float> logits,
                                                std::span<const std::int32_t> labels, int k) {
  detail::check_scores(logits, labels, "top_k_correct");
  if (k < 1) throw ConfigError(concat("top_k_correct: expected k >= 1, found ", k));
  const std::size_t classes = static_cast<std::size_t>(logits.extent(1));
  std::int64_t correct = 0;
  for (std::size_t row = 0; row < labels.size(); ++row) {
    const std::span<const float> scores = logits.span().subspan(row * classes, classes);
    const std::size_t label = static_cast<std::size_t>(labels[row]);
    const float own = scores[label];
    if (own != own) continue;
    int before = 0;
    for (std::size_t c = 0; c < classes; ++c) {
      if (scores[c] > own || (scores[c] == own && c < label)) ++before;
    }
    if (before < k) ++correct;
  }
  return correct;
}

/// The weighted mean of what was added, in double.
class RunningMean {
 public:
  void add(double value, double weight = 1.0) noexcept {
    sum_ = std::fma(value, weight, sum_);
    weight_ += weight;
  }
  /// 0 before the first value.
  [[nodiscard]] double mean() const noexcept { return weight_ > 0.0 ? sum_ / weight_ : 0.0; }
  [[nodiscard]] double weight() const noexcept { return weight_; }

 private:
  double sum_ = 0.0;
  double weight_ = 0.0;
};

/// How often class `label` was taken for class `predicted`.
class ConfusionMatrix {
 public:
  explicit ConfusionMatrix(int classes)
      : classes_{classes},
        counts_(static_cast<std::size_t>(classes) * static_cast<std::size_t>(classes)) {}

  /// Counts every row of `logits` [N, classes]. Throws `ShapeError` where shapes do not fit.
  void add(TensorView<const float> logits, std::span<const std::int32_t> labels) {
    detail::check_scores(logits, labels, "confusion matrix");
    if (logits.extent(1) != classes_) {
      throw ShapeError(concat("confusion matrix: expected scores of ", classes_, " classes, found ",
                              logits.shape()));
    }
    const std::size_t width = static_cast<std::size_t>(classes_);
    for (std::size_t row = 0; row < labels.size(); ++row) {
      ++counts_[index(labels[row], argmax(logits.span().subspan(row * width, width)))];
    }
  }

  [[nodiscard]] int classes() const noexcept { return classes_; }
  [[nodiscard]] std::int64_t count(std::int32_t label, std::int32_t predicted) const noexcept {
    return counts_[index(label, predicted)];
  }
  /// The share on the diagonal; 0 when empty.
  [[nodiscard]] double accuracy() const noexcept {
    std::int64_t right = 0;
    std::int64_t all = 0;
    for (std::int32_t label = 0; label < classes_; ++label) {
      right += count(label, label);
      for (std::int32_t other = 0; other < classes_; ++other) all += count(label, other);
    }
    return all == 0 ? 0.0 : static_cast<double>(right) / static_cast<double>(all);
  }

 private:
  [[nodiscard]] std::size_t index(std::int32_t label, std::int32_t predicted) const noexcept {
    BITDIAL_ASSERT(label >= 0 && label < classes_ && predicted >= 0 && predicted < classes_);
    return static_cast<std::size_t>(label) * static_cast<std::size_t>(classes_) +
           static_cast<std::size_t>(predicted);
  }

  int classes_;
  std::vector<std::int64_t> counts_;
};

}  // namespace bitdial::inline BITDIAL_ABI::train
