// SPDX-License-Identifier: Apache-2.0
// LQ-Nets against published vectors: values, the step of QEM, where the basis starts.
#include <bitdial/quant/policies/lq_nets.hpp>

#include <bitdial/core/random.hpp>

#include "learned_vectors.hpp"

using namespace bitdial;

namespace {

LqNetsState basis(std::initializer_list<float> numbers) {
  LqNetsState state;
  std::ranges::copy(numbers, state.basis.begin());
  return state;
}

double square_error(const std::vector<float>& w, const LqNetsState& state, int bits) {
  std::vector<float> y(w.size());
  Quantizer<LqNetsWeights>{}.fake_quantize(w, state, bits, y);
  double sum = 0.0;
  for (std::size_t i = 0; i < w.size(); ++i) {
    sum += std::pow(static_cast<double>(w[i]) - static_cast<double>(y[i]), 2);
  }
  return sum;
}

}  // namespace

TEST_CASE("weights: values of the basis, thresholds half-way, the lower value at a tie") {
  const LqNetsState state = basis({0.25F, 0.45F});
  vectors::check_forward_at(LqNetsWeights{}, state, vectors::weights, 2,
                            {-0.7, -0.7, -0.2, 0.2, 0.2, 0.7});
  const LqNetsState exact = basis({0.25F, 0.5F});  // -.75 -.25 .25 .75, middles -.5 0 .5
  vectors::check_forward_at(LqNetsWeights{}, exact, {-0.5F, -0.499F, 0.0F, 0.001F, 0.5F, 0.501F}, 2,
                            {-0.75, -0.25, -0.25, 0.25, 0.25, 0.75});
  std::vector<float> dw(6);
  Quantizer<LqNetsWeights>{}.backward(vectors::weights, vectors::gradients, state, 2, dw);
  CHECK(dw == vectors::gradients);
}

TEST_CASE("the order and the signs of the basis do not matter") {
  vectors::check_forward_at(LqNetsWeights{}, basis({-0.45F, 0.25F}), vectors::weights, 2,
                            {-0.7, -0.7, -0.2, 0.2, 0.2, 0.7});
}

TEST_CASE("one step of QEM") {
  const LqNetsState next = LqNetsWeights{}.relearn(vectors::weights, basis({0.25F, 0.45F}), 2);
  vectors::check_near({next.basis[0], next.basis[1]}, {0.2591665, 0.4541666});
  CHECK(next.basis[2] == 0.0F);
}

TEST_CASE("weights start for the fan-out of their layer") {
  const LqNetsWeights policy = LqNetsWeights{}.for_shape({.out_channels = 4, .taps = 9});
  CHECK(policy.fan_out == 36);
  const LqNetsState three = policy.fit(vectors::weights, 3);
  const double first = 0.6745 * std::sqrt(2.0 / 36.0) / 4.0;
  vectors::check_near({three.basis.begin(), three.basis.begin() + 4},
                      {first, 2 * first, 4 * first, 0});
  CHECK(LqNetsWeights{.fan_out = 5}.for_shape({.out_channels = 4}).fan_out == 5);
}

TEST_CASE("activations: start, values, gradient up to the largest value") {
  const Quantizer<LqNetsActivations> quantizer;
  const LqNetsState state = quantizer.fit(vectors::activations, 2);
  vectors::check_near({state.basis[0], state.basis[1]}, {0.4496667, 0.8993333});
  vectors::check_forward_at(LqNetsActivations{}, state, vectors::activations, 2,
                            {0, 0, 0.4496667, 0.4496667, 0.8993333, 0.8993333, 1.349});
  vectors::check_forward_at(LqNetsActivations{}, state,
                            {0.2248F, 0.2249F, 0.6744F, 0.6746F, 1.1241F, 1.1242F}, 2,
                            {0, 0.4496667, 0.4496667, 0.8993333, 0.8993333, 1.349});
  vectors::check_backward_at(LqNetsActivations{}, state, {-2.0F, 0.0F, 1.3F, 1.36F, 9.0F}, 2,
                             {1, 1, 1, 0, 0});
}

TEST_CASE("the basis of activations counts bits that are set, and nothing else") {
  // x = 2 v_0 exactly where only bit 0 is set: that number moves a tenth of the way, the other
  // stays.
  const LqNetsState next =
      LqNetsActivations{}.relearn(std::vector<float>{1.2F, 1.2F, 0.0F}, basis({1.0F, 4.0F}), 2);
  CHECK(static_cast<double>(next.basis[0]) == doctest::Approx(1.02).epsilon(1e-4));
  CHECK(next.basis[1] == 4.0F);
}

TEST_CASE("QEM finds a basis that fits, at every width") {
  std::vector<float> w(4000);
  Random random(2, 2);
  for (float& value : w) value = 0.2F * random.normal();
  const Quantizer<LqNetsWeights> quantizer{{.fan_out = 80}};
  for (int bits = 1; bits <= 8; ++bits) {
    CAPTURE(bits);
    LqNetsState state = quantizer.fit(w, bits);
    const double before = square_error(w, state, bits);
    for (int step = 0; step < 60; ++step) state = quantizer.policy().relearn(w, state, bits);
    CHECK(square_error(w, state, bits) < 0.9 * before);
  }
  // The uniform optimum of two bits for normal values has the error 0.1188 of the variance 0.04.
  LqNetsState two = quantizer.fit(w, 2);
  for (int step = 0; step < 200; ++step) two = quantizer.policy().relearn(w, two, 2);
  CHECK(square_error(w, two, 2) / 4000 < 0.0052);
}
