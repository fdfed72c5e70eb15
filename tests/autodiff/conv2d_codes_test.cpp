// SPDX-License-Identifier: Apache-2.0
#include <bitdial/autodiff/functions.hpp>

#include <doctest/doctest.h>
#include <bitdial/quant/policies/dorefa.hpp>
#include <bitdial/quant/policies/logarithmic.hpp>
#include <bitdial/quant/policies/sign.hpp>
#include <bitdial/quant/quantizer.hpp>
#include <cmath>
#include <support/tensors.hpp>

using namespace bitdial;

namespace {

struct Result {
  Tensor<float> y, dx, dw;
};

// y = conv2d(quantized x, quantized w), in integers or of values, and the derivatives of sum(dy y).
template <class WeightPolicy, class ActivationPolicy>
Result run(int bits, bool in_integers) {
  const Quantizer<WeightPolicy> weights;
  const Quantizer<ActivationPolicy> activations;
  const auto window = ops::Window::square(3, {.stride = 2, .padding = 1});
  Tape tape;
  const Var x = tape.leaf(test::random_images({3, 9, 7, 5}, 1));
  const Var w = tape.leaf(test::random_images({6, 3, 3, 5}, 2));
  const Var qx = ad::fake_quantize(x, activations, bits);
  const Var qw = ad::fake_quantize(w, weights, bits);
  if (!in_integers) static_cast<void>(qx.value());  // stored, so no longer codes
  const Var y = ad::conv2d(qx, qw, window);
  const Tensor<float> value = y.value();
  const Var loss =
      ad::soft_cross_entropy(ad::global_average_pool(y), test::random_images({3, 6}, 3).view());
  tape.backward(loss);
  return {value, x.grad(), w.grad()};
}

void check_close(const Tensor<float>& a, const Tensor<float>& b) {
  REQUIRE(a.shape() == b.shape());
  double worst = 0.0;
  for (std::int64_t i = 0; i < a.size(); ++i) {
    worst = std::max(worst, std::abs(static_cast<double>(a[i]) - static_cast<double>(b[i])));
  }
  CHECK(worst < 1e-5);
}

template <class WeightPolicy, class ActivationPolicy>
void check_agreement(int bits) {
  CAPTURE(bits);
  const Result integers = run<WeightPolicy, ActivationPolicy>(bits, true);
  const Result values = run<WeightPolicy, ActivationPolicy>(bits, false);
  check_close(integers.y, values.y);
  check_close(integers.dx, values.dx);
  check_close(integers.dw, values.dw);
}

}  // namespace

TEST_CASE("a convolution in integers agrees with that of the values, derivatives too") {
  for (const int bits : {1, 2, 4, 8}) check_agreement<DoReFaWeights, DoReFaActivations>(bits);
  check_agreement<SignWeights, SignActivations>(1);
}

TEST_CASE("quantized tensors without integer levels are convolved by value") {
  for (const int bits : {4, 32}) check_agreement<DoReFaWeights, LogActivations>(bits);
  check_agreement<DoReFaWeights, DoReFaActivations>(32);
}

TEST_CASE("the integer forward is float(I) times the product of the scales") {
  const Quantizer<DoReFaWeights> weights;
  const Quantizer<DoReFaActivations> activations;
  Tape tape;
  const Var x = ad::fake_quantize(tape.leaf(test::random_images({2, 5, 4, 3}, 1)), activations, 4);
  const Var w = ad::fake_quantize(tape.leaf(test::random_images({2, 1, 1, 3}, 2)), weights, 8);
  const Codes& u = *tape.reader(x).codes();
  const Codes& q = *tape.reader(w).codes();
  const Tensor<float> y = ad::conv2d(x, w, ops::Window::square(1)).value();
  const float scale = q.levels.scale * u.levels.scale;
  for (std::int64_t pixel = 0; pixel < 40; ++pixel) {
    for (std::int64_t o = 0; o < 2; ++o) {
      std::int32_t sum = 0;
      for (std::int64_t i = 0; i < 3; ++i) {
        sum += u.levels.level(u.values[pixel * 3 + i]) * q.levels.level(q.values[o * 3 + i]);
      }
      CHECK(y[pixel * 2 + o] == static_cast<float>(sum) * scale);
    }
  }
}
