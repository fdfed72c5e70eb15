// SPDX-License-Identifier: Apache-2.0
#include <bitdial/ops/fake_quantize.hpp>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include <doctest/doctest.h>

#include <bitdial/ops/batch_norm.hpp>
#include <bitdial/quant/policies/dorefa.hpp>
#include <bitdial/quant/policies/scaled_dorefa.hpp>
#include <bitdial/quant/quantizer.hpp>
#include <bitdial/quant/statistics.hpp>

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

namespace {

/// Weights that lose their mean, then count through their tanh alone.
struct CentredTanhWeights : ScaledDoReFaWeights {
  static constexpr std::string_view name = "CentredTanhWeights";
  void shift(std::span<const float> w, std::span<float> shifted) const {
    const auto mean = static_cast<float>(moments(w).mean);
    std::ranges::transform(w, shifted.begin(), [mean](float value) { return value - mean; });
  }
};

}  // namespace

TEST_CASE_TEMPLATE("tanh by a kernel: the codes and the derivative of the quantizer", Policy,
                   DoReFaWeights, ScaledDoReFaWeights, CentredTanhWeights) {
  const Quantizer<Policy> quantizer;
  const auto x = random_tensor<float>({3, 7, 400}, 1, -1.0, 2.5);
  for (const int bits : {1, 2, 8}) {
    CAPTURE(bits);
    const auto state = quantizer.fit(x.span(), bits);
    std::vector<std::uint8_t> expected(x.span().size()), codes(x.span().size());
    quantizer.encode(x.span(), state, bits, expected);
    ops::encode(x.span(), quantizer, state, bits, codes);
    CHECK(codes == expected);
    auto gradient = random_tensor<float>(x.shape(), 2);
    Tensor<float> dx(x.shape());
    quantizer.backward(x.span(), gradient.span(), state, bits, dx.span());
    ops::quantizer_backward(x.span(), quantizer, state, bits, gradient.span());
    CHECK(same_bits(gradient, dx));
  }
}

TEST_CASE("tanh by a kernel: widths and sizes are those that the quantizer accepts") {
  const Quantizer<ScaledDoReFaWeights> quantizer;
  const std::vector<float> x{0.5F, -1.0F};
  const auto state = quantizer.fit(x);
  std::vector<std::uint8_t> codes(3);
  std::vector<float> gradient(3);
  CHECK_THROWS_WITH_AS(ops::encode(x, quantizer, state, 2, codes),
                       "Quantizer<ScaledDoReFaWeights>::encode: x has 2 elements, codes has 3",
                       ShapeError);
  CHECK_THROWS_WITH_AS(ops::quantizer_backward(x, quantizer, state, 2, gradient),
                       "Quantizer<ScaledDoReFaWeights>::backward: x has 2 elements, dy has 3",
                       ShapeError);
  codes.resize(2);
  CHECK_THROWS_AS(ops::encode(x, quantizer, state, 9, codes), PrecisionError);
  gradient.resize(2);
  CHECK_THROWS_AS(ops::quantizer_backward(x, quantizer, state, 9, gradient), PrecisionError);
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
