// SPDX-License-Identifier: Apache-2.0
#include <cstdint>
#include <limits>
#include <vector>

#include <doctest/doctest.h>
#include <bitdial/train/metrics.hpp>

using bitdial::ConfigError;
using bitdial::Shape;
using bitdial::ShapeError;
using bitdial::TensorView;
using bitdial::train::argmax;
using bitdial::train::ConfusionMatrix;
using bitdial::train::RunningMean;
using bitdial::train::top_k_correct;

namespace {

constexpr float not_a_number = std::numeric_limits<float>::quiet_NaN();

std::int32_t argmax_of(const std::vector<float>& scores) {
  return argmax(scores);
}

std::int64_t correct(const std::vector<float>& scores, std::int64_t classes,
                     const std::vector<std::int32_t>& labels, int k) {
  const std::int64_t rows = static_cast<std::int64_t>(scores.size()) / classes;
  return top_k_correct(TensorView<const float>(scores.data(), {rows, classes}), labels, k);
}

}  // namespace

TEST_CASE("argmax takes the first of the largest and never NaN") {
  CHECK(argmax_of({1, 3, 2}) == 1);
  CHECK(argmax_of({3, 1, 3}) == 0);
  CHECK(argmax_of({-5, -4, -4}) == 1);
  CHECK(argmax_of({not_a_number, 1, 2}) == 2);
  CHECK(argmax_of({1, not_a_number, 0}) == 0);
  CHECK(argmax_of({not_a_number, not_a_number}) == 0);
}

TEST_CASE("top-k counts labels among the k largest") {
  const std::vector<float> scores{5, 4, 3, 2,   //
                                  1, 2, 3, 4};  //
  CHECK(correct(scores, 4, {0, 3}, 1) == 2);
  CHECK(correct(scores, 4, {1, 3}, 1) == 1);
  CHECK(correct(scores, 4, {1, 2}, 1) == 0);
  CHECK(correct(scores, 4, {1, 2}, 2) == 2);
  CHECK(correct(scores, 4, {3, 0}, 3) == 0);
  CHECK(correct(scores, 4, {3, 0}, 4) == 2);
  CHECK(correct(scores, 4, {3, 0}, 9) == 2);
}

TEST_CASE("top-1 agrees with argmax on ties and NaN") {
  CHECK(correct({7, 7, 1}, 3, {0}, 1) == 1);
  CHECK(correct({7, 7, 1}, 3, {1}, 1) == 0);
  CHECK(correct({7, 7, 1}, 3, {1}, 2) == 1);
  CHECK(correct({not_a_number, 1, 2}, 3, {2}, 1) == 1);
  CHECK(correct({not_a_number, 1, 2}, 3, {0}, 3) == 0);
}

TEST_CASE("scores and labels that do not fit are refused") {
  CHECK_THROWS_AS(correct({1, 2, 3, 4}, 2, {0}, 1), ShapeError);
  CHECK_THROWS_AS(correct({1, 2}, 2, {2}, 1), ShapeError);
  CHECK_THROWS_AS(correct({1, 2}, 2, {-1}, 1), ShapeError);
  CHECK_THROWS_AS(correct({1, 2}, 2, {1}, 0), ConfigError);
}

TEST_CASE("a running mean weighs its values") {
  RunningMean mean;
  CHECK(mean.mean() == 0.0);
  mean.add(1.0, 3.0);
  mean.add(5.0);
  CHECK(mean.mean() == 2.0);
  CHECK(mean.weight() == 4.0);
}

TEST_CASE("the confusion matrix has labels in rows, answers in columns") {
  ConfusionMatrix matrix(3);
  CHECK(matrix.accuracy() == 0.0);
  const std::vector<float> scores{9, 0, 0, 0, 9, 0, 0, 9, 0, 0, 0, 9};
  matrix.add(TensorView<const float>(scores.data(), Shape{4, 3}),
             std::vector<std::int32_t>{0, 1, 2, 2});
  CHECK(matrix.count(0, 0) == 1);
  CHECK(matrix.count(2, 1) == 1);
  CHECK(matrix.count(1, 2) == 0);
  CHECK(matrix.accuracy() == 0.75);
  CHECK_THROWS_AS(matrix.add(TensorView<const float>(scores.data(), Shape{2, 2}),
                             std::vector<std::int32_t>{0, 1}),
                  ShapeError);
}
