// SPDX-License-Identifier: Apache-2.0
// Thresholds found by bisection equal the function they came from, at every step and at the floats
// beside it; the uniform form is accepted exactly when it is equal.
#include <bitdial/deploy/activation_encoder.hpp>
#include <bitdial/deploy/prepared_encoder.hpp>
#include <bitdial/kernels/dispatch.hpp>
#include <bitdial/nn/batch_norm.hpp>
#include <bitdial/quant/policies/dorefa.hpp>
#include <bitdial/quant/policies/pact.hpp>
#include <bitdial/quant/policies/tanh.hpp>
#include <bitdial/quant/quantizer.hpp>

#include <doctest/doctest.h>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

namespace {

using namespace bitdial;

constexpr float infinity = std::numeric_limits<float>::infinity();

auto dorefa(int bits) {
  const auto n = static_cast<float>((1 << bits) - 1);
  return [n](float x) { return static_cast<int>(std::nearbyint(std::clamp(x, 0.0F, 1.0F) * n)); };
}

// Equal steps that are not DoReFa's: a learned clip, both signs.
auto two_sided(int bits, float clip) {
  const auto n = static_cast<float>((1 << bits) - 1);
  return [n, clip](float x) {
    const float unit = (std::clamp(x, -clip, clip) / clip + 1.0F) * 0.5F;
    return static_cast<int>(std::nearbyint(unit * n));
  };
}

auto tanh_steps(int bits) {
  const auto n = static_cast<float>((1 << bits) - 1);
  return [n](float x) { return static_cast<int>(std::nearbyint((std::tanh(x) + 1) * 0.5F * n)); };
}

// Floats around every threshold, and a walk over all exponents of both signs.
std::vector<float> probes(const std::vector<float>& thresholds) {
  std::vector<float> xs{0.0F, -0.0F, infinity, -infinity, 1.0F, -1.0F, 3.4e38F, -3.4e38F, 1e-45F};
  for (const float t : thresholds) {
    for (const float x : {t, std::nextafter(t, -infinity), std::nextafter(t, infinity)}) {
      xs.push_back(x);
    }
  }
  for (float x = 1e-44F; x < 1e38F; x *= 1.7F) {
    xs.push_back(x);
    xs.push_back(-x);
  }
  return xs;
}

TEST_CASE("thresholds reproduce the function; the prepared encoder reproduces both") {
  for (const int bits : {1, 2, 3, 5, 8}) {
    const auto check = [&](const auto& encode, bool uniform) {
      const ActivationEncoder encoder = make_activation_encoder(encode, bits);
      CHECK(encoder.bits == bits);
      CHECK(encoder.uniform.has_value() == uniform);
      REQUIRE(encoder.thresholds.size() == (std::size_t{1} << bits) - 1);
      const std::vector<float> xs = probes(encoder.thresholds);
      for (const kernels::KernelTable* table : kernels::supported_kernels()) {
        CAPTURE(table->name);
        std::vector<std::uint8_t> codes(xs.size());
        PreparedEncoder{encoder}.encode(*table, xs.data(), static_cast<std::int64_t>(xs.size()),
                                        codes.data());
        for (std::size_t i = 0; i < xs.size(); ++i) {
          CAPTURE(xs[i]);
          CHECK(threshold_code(encoder.thresholds, xs[i]) == encode(xs[i]));
          CHECK(codes[i] == encode(xs[i]));
        }
      }
    };
    check(dorefa(bits), true);
    check(two_sided(bits, 0.7F), false);
    check(tanh_steps(bits), false);
    const int most = (1 << bits) - 1;
    check([most](float x) { return x > 1e-3F ? most : 0; }, false);
  }
}

TEST_CASE("thresholds of sign: every x >= 0, -0 with them") {
  const auto thresholds = find_thresholds([](float x) { return x >= 0.0F ? 1 : 0; }, 2);
  REQUIRE(thresholds.size() == 1);
  CHECK(thresholds[0] == 0.0F);
  CHECK(threshold_code(thresholds, -0.0F) == 1);
  CHECK(threshold_code(thresholds, -1e-45F) == 0);
  CHECK(threshold_code(thresholds, std::nanf("")) == 0);
}

TEST_CASE("codes that no float reaches have no threshold; codes that all reach have -infinity") {
  CHECK(find_thresholds([](float) { return 2; }, 8) == std::vector<float>{-infinity, -infinity});
  CHECK(find_thresholds([](float x) { return x >= infinity ? 1 : 0; }, 8) ==
        std::vector<float>{infinity});
  // A jump over codes gives equal thresholds.
  CHECK(find_thresholds([](float x) { return x >= 2.5F ? 3 : 0; }, 4) ==
        std::vector<float>{2.5F, 2.5F, 2.5F});
}

TEST_CASE("thresholds at almost equal distances have a line, others have none") {
  for (const int bits : {2, 4, 8}) {
    const CodeLine line = code_line(find_thresholds(two_sided(bits, 1.7F), 1 << bits));
    CHECK(line.factor == doctest::Approx(static_cast<double>((1 << bits) - 1) / 3.4));
    CHECK(line.constant == doctest::Approx(static_cast<double>((1 << bits) - 1) / 2.0));
    CHECK(line.margin < 1e-4F);
  }
  CHECK(code_line({0.0F, 1.0F, 2.0F, 2.8F, 4.0F}).margin == doctest::Approx(0.2));
  CHECK(code_line(find_thresholds(tanh_steps(8), 256)).factor == 0.0F);
  for (const std::vector<float>& thresholds : {std::vector<float>{},
                                               {1.0F},
                                               {1.0F, 1.0F, 1.0F},
                                               {0.0F, 1.0F, 2.0F, 2.7F, 4.0F},
                                               {-infinity, 0.0F, 1.0F},
                                               {0.0F, infinity},
                                               {-3.4e38F, 3.4e38F},
                                               {0.0F, 1e-45F}}) {
    CHECK(code_line(thresholds).factor == 0.0F);
  }
}

TEST_CASE("the product behind thresholds is found from them alone") {
  for (const int bits : {2, 3, 4, 8}) {
    for (const float alpha : {1.0F, 0.37F, 6.0F, 1e-3F, 123.456F, 0x1.fffffep-30F}) {
      const PactActivations policy{};
      const auto encode = [&](float x) { return policy.encode(x, {alpha}, bits); };
      const std::vector<float> thresholds = find_thresholds(encode, 1 << bits);
      const auto steps = find_uniform_steps(thresholds, bits);
      CAPTURE(bits);
      CAPTURE(alpha);
      REQUIRE(steps.has_value());
      CHECK(is_uniform(thresholds, bits, *steps));
      CHECK(steps->inverse_step ==
            doctest::Approx(static_cast<float>((1 << bits) - 1) / alpha).epsilon(1e-6));
      for (const float x : probes(thresholds)) CHECK(steps->code(x, bits) == encode(x));
    }
    CHECK_FALSE(find_uniform_steps(find_thresholds(two_sided(bits, 1.7F), 1 << bits), bits));
    CHECK_FALSE(find_uniform_steps(find_thresholds(tanh_steps(bits), 1 << bits), bits));
  }
  for (const std::vector<float>& thresholds : {std::vector<float>{},
                                               {1.0F},
                                               {1.0F, 1.0F, 1.0F},
                                               {0.5F, 1.5F, 2.4F},
                                               {-infinity, 0.0F, 1.0F},
                                               {0.0F, infinity},
                                               {-3.4e38F, 3.4e38F},
                                               {0.0F, 1e-45F}}) {
    CHECK_FALSE(find_uniform_steps(thresholds, 2));
  }
  // Codes above the last threshold do not exist: what is clipped gives the last one.
  std::vector<float> thresholds = find_thresholds(dorefa(2), 4);
  thresholds.pop_back();
  const auto steps = find_uniform_steps(thresholds, 2);
  REQUIRE(steps.has_value());
  CHECK(steps->code(100.0F, 2) == 2);
}

TEST_CASE("rows encode like their values, with and without gaps, and leave the gaps alone") {
  constexpr std::int64_t rows = 3, size = 5;
  const ActivationEncoder encoder = make_activation_encoder(dorefa(4), 4);
  for (const std::int64_t x_step : {size, size + 2}) {
    for (const std::int64_t codes_step : {size, size + 3}) {
      std::vector<float> x(static_cast<std::size_t>(rows * x_step));
      for (std::size_t i = 0; i < x.size(); ++i) x[i] = 0.05F * static_cast<float>(i);
      std::vector<std::uint8_t> codes(static_cast<std::size_t>(rows * codes_step), 99);
      std::vector<std::uint8_t> expected = codes;
      for (std::int64_t r = 0; r < rows; ++r) {
        for (std::int64_t i = 0; i < size; ++i) {
          expected[static_cast<std::size_t>(r * codes_step + i)] =
              static_cast<std::uint8_t>(dorefa(4)(x[static_cast<std::size_t>(r * x_step + i)]));
        }
      }
      PreparedEncoder{encoder}.encode(*kernels::supported_kernels().front(),
                                      {.rows = rows,
                                       .size = size,
                                       .x = x.data(),
                                       .x_step = x_step,
                                       .codes = codes.data(),
                                       .codes_step = codes_step});
      CHECK(codes == expected);
    }
  }
}

TEST_CASE("image bytes encode like their values") {
  const ActivationEncoder encoder = make_activation_encoder(dorefa(3), 3);
  std::uint8_t bytes[256], codes[256];
  for (int u = 0; u < 256; ++u) bytes[u] = static_cast<std::uint8_t>(u);
  PreparedEncoder prepared{encoder};
  prepared.prepare_bytes({}, 1);
  prepared.encode_bytes(kernels::scalar::table, bytes, 256, codes);
  for (int u = 0; u < 256; ++u) {
    CHECK(int{codes[u]} == dorefa(3)(static_cast<float>(u) / 255.0F));
  }
}

TEST_CASE("the uniform steps of a policy are its encoder, at every float") {
  for (int bits = 1; bits <= 8; ++bits) {
    const auto check = [&](const auto& policy, const auto& state) {
      const auto encode = [&](float x) { return policy.encode(x, state, bits); };
      const auto steps = Quantizer{policy}.uniform_steps(state, bits);
      REQUIRE(steps);
      CHECK(is_uniform(find_thresholds(encode, 1 << bits), bits, *steps));
    };
    check(DoReFaActivations{}, DoReFaActivations::State{});
    for (const float alpha : {8.0F, 0.7F, -1.3F, 1e-3F}) check(PactActivations{}, PactState{alpha});
  }
  const DoReFaActivations signs{.one_bit = OneBitActivations::sign};
  CHECK_FALSE(signs.uniform_steps({}, 1));
  CHECK(signs.uniform_steps({}, 2));
  CHECK_FALSE(PactActivations{{.sides = ClipSides::two}}.uniform_steps({}, 4));
  CHECK_FALSE(Quantizer<TanhActivations>{}.uniform_steps({}, 4));
}

TEST_CASE("a batch normalisation of integer sums and two bits step at the published sums") {
  // gamma 1.5, beta 0.2, mean 3, variance 4, epsilon 1e-5, a ninth per integer: the sums where the
  // code steps are 26.6, 30.600004 and 34.600009; gamma -1.5 turns the order round.
  const ActivationEncoder encoder = make_activation_encoder(dorefa(2), 2);
  for (const float sign : {1.0F, -1.0F}) {
    nn::BatchNormState state(1);
    state.gamma.value[0] = sign * 1.5F;
    state.beta.value[0] = 0.2F;
    state.running_mean[0] = 3.0F;
    state.running_var[0] = 4.0F;
    const nn::Epilogue folded = nn::folded(state, {.epsilon = 1e-5F});
    const float multiplier = folded.multiplier[0] * (1.0F / 9.0F);
    for (int sum = -200; sum <= 200; ++sum) {
      CAPTURE(sum);
      // The normalised sum is 0.2 at 27, the mean.
      const int mirrored = sign > 0.0F ? sum : 2 * 27 - sum;
      const int wanted =
          (mirrored >= 27 ? 1 : 0) + (mirrored >= 31 ? 1 : 0) + (mirrored >= 35 ? 1 : 0);
      const float y = std::fma(static_cast<float>(sum), multiplier, folded.bias[0]);
      CHECK(threshold_code(encoder.thresholds, y) == wanted);
    }
  }
}

TEST_CASE("the uniform form is refused when one float differs") {
  const UniformSteps steps{.clip = 1.0F, .inverse_step = 15.0F};
  const std::vector<float> exact = find_thresholds(dorefa(4), 16);
  REQUIRE(is_uniform(exact, 4, steps));
  for (std::size_t i = 0; i < exact.size(); ++i) {
    for (const float direction : {-infinity, infinity}) {
      std::vector<float> moved = exact;
      moved[i] = std::nextafter(moved[i], direction);
      CHECK_FALSE(is_uniform(moved, 4, steps));
    }
  }
  std::vector<float> short_list = exact;
  short_list.pop_back();
  CHECK_FALSE(is_uniform(short_list, 4, steps));
  CHECK_FALSE(is_uniform({}, 4, steps));
  CHECK_FALSE(is_uniform(exact, 4, {.clip = std::nanf(""), .inverse_step = 15.0F}));
  CHECK_FALSE(is_uniform(exact, 4, {.clip = 1.0F, .inverse_step = -15.0F}));
  CHECK_FALSE(is_uniform(exact, 4, {.clip = infinity, .inverse_step = 15.0F}));
  CHECK_FALSE(is_uniform(exact, 4, {.clip = 1e30F, .inverse_step = 1e30F}));
}

}  // namespace
