// SPDX-License-Identifier: Apache-2.0
#include <bitdial/ops/fake_quantize.hpp>

#include <cmath>
#include <vector>

#include <doctest/doctest.h>

#include <bitdial/ops/batch_norm.hpp>
#include <bitdial/quant/policies/dorefa.hpp>
#include <bitdial/quant/quantizer.hpp>

#include "op_support.hpp"

using namespace bitdial;
using namespace op_test;

TEST_CASE_TEMPLATE("fake_quantize is the quantizer, and its derivative is added", Policy,
                   DoReFaWeights, DoReFaActivations) {
  const Quantizer<Policy> quantizer;
  const auto x = random_tensor<float>({3, 7, 5}, 1, -1.5, 1.5);
  const auto dy = random_tensor<float>(x.shape(), 2);
  const auto state = quantizer.fit(x.span());
  for (const int bits : {1, 2, 8, 32}) {
    CAPTURE(bits);
    Tensor<float> expected(x.shape());
    Tensor<float> y(x.shape());
    quantizer.fake_quantize(x.span(), state, bits, expected.span());
    ops::fake_quantize_forward(y.view(), x.view(), quantizer, state, bits);
    CHECK(same_bits(y, expected));
    Tensor<float> gradient(x.shape());
    Tensor<float> dx(x.shape(), 0.5F);
    quantizer.backward(x.span(), dy.span(), state, bits, gradient.span());
    ops::fake_quantize_backward(dx.view(), dy.view(), x.view(), quantizer, state, bits);
    for (std::int64_t i = 0; i < x.size(); ++i) REQUIRE(dx[i] == 0.5F + gradient[i]);
  }
}

TEST_CASE("fake_quantize says which shapes do not fit") {
  const Quantizer<DoReFaActivations> quantizer;
  const Tensor<float> x({2, 3});
  Tensor<float> y({3, 2});
  CHECK_THROWS_WITH_AS(
      ops::fake_quantize_forward(y.view(), x.view(), quantizer, quantizer.fit(x.span()), 2),
      "fake_quantize: y must be [2, 3], it is [3, 2]", ShapeError);
}

TEST_CASE("batch normalisation and activation codes fold to thresholds of integer sums") {
  // gamma 1.5, beta 0.2, mean 3, variance 4, sums in steps of 1/9, 2 bits: 26.6, 30.6, 34.6.
  const auto one = [](double value) { return Tensor<double>({1}, value); };
  Tensor<double> g({1});
  Tensor<double> h({1});
  ops::fold_batch_norm(g.view(), h.view(), one(1.5).view(), one(0.2).view(), one(3.0).view(),
                       one(4.0).view(), 1e-5);
  const DoReFaActivations policy;
  std::vector<int> thresholds;
  for (int sum = -100, before = 0; sum <= 100; ++sum) {
    const auto x = static_cast<float>(std::fma(sum / 9.0, g[0], h[0]));
    const int code = policy.encode(x, {}, 2);
    if (code > before) thresholds.push_back(sum);
    before = code;
  }
  CHECK(thresholds == std::vector<int>{27, 31, 35});
}
