// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <span>
#include <string_view>
#include <vector>

#include <bitdial/quant/policies/adabits.hpp>
#include <bitdial/quant/policies/dorefa.hpp>
#include <bitdial/quant/policies/logarithmic.hpp>
#include <bitdial/quant/policies/sign.hpp>
#include <bitdial/quant/policies/tanh.hpp>
#include <bitdial/quant/quantizer.hpp>

using namespace bitdial;

namespace {

/// The smallest policy that satisfies the concept: every value is code 0.
struct Archetype {
  static constexpr std::string_view name = "Archetype";
  static constexpr std::string_view paper = "none";
  static constexpr TensorRole role = TensorRole::weights;
  struct State {};
  State fit(std::span<const float>) const { return {}; }
  std::int32_t encode(float, const State&, int) const { return 0; }
  float decode(std::int32_t, const State&, int) const { return 0.5F; }
  float real_valued(float, const State&) const { return 0.25F; }
  void surrogate(std::span<const double>, int, std::span<double> y) const {
    std::ranges::fill(y, 0.25);
  }
  void backward(std::span<const float>, std::span<const float>, const State&, int,
                std::span<float> dx) const {
    std::ranges::fill(dx, 0.0F);
  }
};

}  // namespace

template class bitdial::Quantizer<Archetype>;

static_assert(QuantizationPolicy<Archetype> && !AffinePolicy<Archetype>);
static_assert(!NestedPolicy<Archetype> && !RunningPolicy<Archetype> && is_stateless<Archetype>);
static_assert(AffinePolicy<DoReFaWeights> && AffinePolicy<DoReFaActivations>);
static_assert(AffinePolicy<TanhActivations> && AffinePolicy<AdaBitsWeights>);
static_assert(AffinePolicy<SignWeights> && AffinePolicy<SignActivations>);
static_assert(!AffinePolicy<LogWeights> && !AffinePolicy<LogActivations>);
static_assert(NestedPolicy<AdaBitsWeights> && !NestedPolicy<DoReFaWeights>);
static_assert(RunningPolicy<TanhActivations> && RunningPolicy<LogActivations>);
static_assert(is_stateless<DoReFaActivations> && !is_stateless<TanhActivations>);
static_assert(supports_bits<DoReFaWeights>(8) && supports_bits<DoReFaWeights>(32));
static_assert(!supports_bits<DoReFaWeights>(9) && !supports_bits<DoReFaWeights>(0));
static_assert(supports_bits<SignWeights>(1) && !supports_bits<SignWeights>(2));

TEST_CASE("the archetype runs through every operation") {
  const Quantizer<Archetype> quantizer;
  const std::vector<float> x(5, 1.0F);
  std::vector<float> y(5);
  std::vector<std::uint8_t> codes(5, 9);
  quantizer.fake_quantize(x, 3, y);
  CHECK(y == std::vector<float>(5, 0.5F));
  quantizer.fake_quantize(x, 32, y);
  CHECK(y == std::vector<float>(5, 0.25F));
  quantizer.encode(x, 3, codes);
  CHECK(codes == std::vector<std::uint8_t>(5, 0));
  quantizer.decode(codes, {}, 3, y);
  CHECK(y == std::vector<float>(5, 0.5F));
  quantizer.backward(x, x, 3, y);
  CHECK(y == std::vector<float>(5, 0.0F));
}

TEST_CASE("wrong sizes name both sides") {
  const Quantizer<DoReFaActivations> quantizer;
  const std::vector<float> six(6);
  std::vector<float> five(5);
  std::vector<float> other_six(6);
  std::vector<std::uint8_t> codes(5);
  const std::string prefix = "Quantizer<DoReFaActivations>::";
  CHECK_THROWS_WITH_AS(quantizer.fake_quantize(six, 4, five),
                       (prefix + "fake_quantize: x has 6 elements, y has 5").c_str(), ShapeError);
  CHECK_THROWS_WITH_AS(quantizer.backward(six, five, 4, other_six),
                       (prefix + "backward: x has 6 elements, dy has 5").c_str(), ShapeError);
  CHECK_THROWS_WITH_AS(quantizer.backward(six, six, 4, five),
                       (prefix + "backward: x has 6 elements, dx has 5").c_str(), ShapeError);
  CHECK_THROWS_WITH_AS(quantizer.backward(six, six, {}, 32, five),
                       (prefix + "backward: x has 6 elements, dx has 5").c_str(), ShapeError);
  CHECK_THROWS_WITH_AS(quantizer.encode(six, 4, codes),
                       (prefix + "encode: x has 6 elements, codes has 5").c_str(), ShapeError);
  CHECK_THROWS_WITH_AS(quantizer.encode(six, {}, 4, codes),
                       (prefix + "encode: x has 6 elements, codes has 5").c_str(), ShapeError);
  CHECK_THROWS_WITH_AS(quantizer.decode(codes, {}, 4, other_six),
                       (prefix + "decode: codes has 5 elements, y has 6").c_str(), ShapeError);
}

TEST_CASE("wrong bits name the legal ones") {
  const Quantizer<DoReFaWeights> quantizer;
  const std::vector<float> x(3, 1.0F);
  std::vector<float> y(3);
  std::vector<std::uint8_t> codes(3);
  for (const int bits : {-1, 0, 9, 16, 31, 33, 64}) {
    CAPTURE(bits);
    CHECK_THROWS_AS(quantizer.fake_quantize(x, bits, y), PrecisionError);
    CHECK_THROWS_AS(quantizer.backward(x, x, bits, y), PrecisionError);
    CHECK_THROWS_AS(quantizer.encode(x, bits, codes), PrecisionError);
    CHECK_THROWS_AS(quantizer.decode(codes, {}, bits, y), PrecisionError);
    CHECK_THROWS_AS(static_cast<void>(quantizer.levels(x, bits)), PrecisionError);
  }
  CHECK_THROWS_WITH_AS(quantizer.fake_quantize(x, 9, y),
                       "Quantizer<DoReFaWeights>::fake_quantize: bits must be 1..8 or 32, got 9",
                       PrecisionError);
  CHECK_THROWS_WITH_AS(static_cast<void>(quantizer.levels(x, 32)),
                       "Quantizer<DoReFaWeights>::levels: bits must be 1..8, got 32",
                       PrecisionError);
}

TEST_CASE("a state fitted once serves every width") {
  const Quantizer<DoReFaWeights> quantizer;
  const std::vector<float> w{-1.2F, -0.5F, -0.1F, 0.05F, 0.3F, 0.8F};
  const auto state = quantizer.fit(w);
  std::vector<float> alone(6);
  std::vector<float> fitted(6);
  for (const int bits : {1, 2, 3, 4, 5, 6, 7, 8, 32}) {
    quantizer.fake_quantize(w, bits, alone);
    quantizer.fake_quantize(w, state, bits, fitted);
    CHECK(alone == fitted);
    quantizer.backward(w, w, bits, alone);
    quantizer.backward(w, w, state, bits, fitted);
    CHECK(alone == fitted);
    if (bits != 32) CHECK(quantizer.levels(w, bits) == quantizer.levels(state, bits));
  }
}

TEST_CASE("in place, at every length around a block") {
  const Quantizer<DoReFaActivations> quantizer;
  for (std::size_t size = 0; size <= 200; ++size) {
    std::vector<float> x(size);
    for (std::size_t i = 0; i < size; ++i) x[i] = static_cast<float>(i) / 100.0F - 0.5F;
    std::vector<float> expected(size);
    for (std::size_t i = 0; i < size; ++i) {
      expected[i] = quantizer.decode(quantizer.policy().encode(x[i], {}, 5), {}, 5);
    }
    quantizer.fake_quantize(x, 5, x);
    CHECK(x == expected);
  }
}

TEST_CASE("a policy with options is passed as a value") {
  const Quantizer quantizer{AdaBitsWeights{.grid = AdaBitsGrid::centred}};
  CHECK(quantizer.policy().grid == AdaBitsGrid::centred);
  CHECK(quantizer.levels(std::vector<float>{1.0F}, 1).value(1) == 0.5F);
}
