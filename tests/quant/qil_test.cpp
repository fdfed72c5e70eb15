// SPDX-License-Identifier: Apache-2.0
// QIL against published vectors; where its interval starts.
#include <bitdial/quant/policies/qil.hpp>

#include "learned_vectors.hpp"

using namespace bitdial;

namespace {

/// What the rounding is a rounding of.
template <class P>
void check_transform(const typename P::State& state, const std::vector<float>& x,
                     const std::vector<double>& expected) {
  std::vector<float> t(x.size());
  P{}.surrogate(std::span<const float>{x}, state, 3, std::span<float>{t});
  vectors::check_near(t, expected);
}

}  // namespace

TEST_CASE("weights: transform and values") {
  const QilWeights::State state{0.6F, 0.5F, 1.0F};
  const auto& w = vectors::weights;
  constexpr double third = 1.0 / 3.0;
  check_transform<QilWeights>(state, w, {-1, -0.4, 0, 0, 0.2, 0.7});
  vectors::check_forward_at(QilWeights{}, state, w, 3, {-1, -third, 0, 0, third, 2 * third});
  vectors::check_forward_at(QilWeights{}, state, w, 4,
                            {-1, -0.4285714, 0, 0, 0.1428571, 0.7142857});
  const QilWeights::State root{0.6F, 0.5F, 0.5F};
  check_transform<QilWeights>(root, w, {-1, -0.6324555, 0, 0, 0.4472136, 0.83666});
  vectors::check_forward_at(QilWeights{}, root, w, 3, {-1, -2 * third, 0, 0, third, 1});
  CHECK(QilWeights{}.encode(0.8F, state, 4) == 7 + 5);
}

TEST_CASE("activations: transform and values") {
  const QilActivations::State state{0.6F, 0.5F};
  const auto& x = vectors::activations;
  constexpr double third = 1.0 / 3.0;
  check_transform<QilActivations>(state, x, {0, 0, 0.16, 0.4, 0.64, 0.8, 1});
  vectors::check_forward_at(QilActivations{}, state, x, 2,
                            {0, 0, 0, third, 2 * third, 2 * third, 1});
}

TEST_CASE("the chain rule by hand: w, c, d and gamma") {
  // u = (|w| - 0.6) + 0.5 inside .1 .. 1.1; t = sign(w) u^gamma.
  const QilWeights::State linear{0.6F, 0.5F, 1.0F};
  const auto& w = vectors::weights;
  vectors::check_backward_at(QilWeights{}, linear, w, 3, {0, 1, 0, 0, 1, 1});
  vectors::check_slopes(QilWeights{}, linear, w, 3, "centre", {0, 1, 0, 0, -1, -1});
  // (c - |w|) / (2 d^2) = 2 (0.6 - |w|)
  vectors::check_slopes(QilWeights{}, linear, w, 3, "distance", {0, -0.2, 0, 0, 0.6, -0.4});
  vectors::check_slopes(QilWeights{}, linear, w, 3, "gamma",
                        {0, -0.4 * std::log(0.4), 0, 0, 0.2 * std::log(0.2), 0.7 * std::log(0.7)});
  const QilWeights::State root{0.6F, 0.5F, 0.5F};
  vectors::check_backward_at(
      QilWeights{}, root, w, 3,
      {0, 0.5 / std::sqrt(0.4), 0, 0, 0.5 / std::sqrt(0.2), 0.5 / std::sqrt(0.7)});
  const QilActivations::State state{0.6F, 0.25F};  // .35 .. .85, slope 2
  const auto& x = vectors::activations;
  vectors::check_backward_at(QilActivations{}, state, x, 3, {0, 0, 0, 2, 2, 0, 0});
  vectors::check_slopes(QilActivations{}, state, x, 3, "centre", {0, 0, 0, -2, -2, 0, 0});
  vectors::check_slopes(QilActivations{}, state, x, 3, "distance", {0, 0, 0, 0.8, -1.12, 0, 0});
}

TEST_CASE("a negative distance counts by its magnitude") {
  const QilWeights::State state{0.6F, -0.5F, 1.0F};
  vectors::check_forward_at(QilWeights{}, state, vectors::weights, 4,
                            {-1, -0.4285714, 0, 0, 0.1428571, 0.7142857});
  vectors::check_slopes(QilWeights{}, state, vectors::weights, 3, "distance",
                        {0, 0.2, 0, 0, -0.6, 0.4});
}

TEST_CASE("the interval starts at 0 and ends where LSQ's grid does, or at the largest weight") {
  const Quantizer<QilWeights> quantizer;
  const double mean = 0.491666667;
  CHECK(static_cast<double>(quantizer.fit(vectors::weights, 2).centre) == doctest::Approx(mean));
  CHECK(static_cast<double>(quantizer.fit(vectors::weights, 2).distance) == doctest::Approx(mean));
  CHECK(quantizer.fit(vectors::weights, 8).centre == 0.6F);
  CHECK(quantizer.fit(vectors::weights, 8).gamma == 1.0F);
  CHECK(Quantizer<QilActivations>{}.fit(std::vector<float>{0.0F, 0.0F}, 4) ==
        QilActivations::State{});
}

TEST_CASE("an interval that begins below zero still keeps zero") {
  vectors::check_forward_at(QilWeights{}, {0.25F, 0.5F, 1.0F}, {0.0F, -0.0F, 0.01F, -0.01F}, 8,
                            {0, 0, 33.0 / 127, -33.0 / 127});
  vectors::check_forward_at(QilActivations{}, {0.25F, 0.5F}, {0.0F, -1.0F, 0.25F}, 4,
                            {0, 0, 8.0 / 15});
}
