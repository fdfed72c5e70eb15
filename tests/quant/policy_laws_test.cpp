// SPDX-License-Identifier: Apache-2.0
// Every law, every policy, every width; and the proof that the laws reject broken policies.
#include <doctest/doctest.h>

#include <algorithm>
#include <limits>

#include <bitdial/core/parallel.hpp>

#include "policy_laws.hpp"

namespace {

using namespace bitdial;

/// A clipping level within the samples.
template <class P>
P with_alpha(ClipSides sides = ClipSides::one) {
  P policy;
  policy.initial_alpha = 1.25F;
  policy.sides = sides;
  return policy;
}

/// Calls f(policy) for every policy and every option of it.
template <class F>
void for_each_policy(F f) {
  f(DoReFaWeights{});
  f(DoReFaActivations{});
  f(DoReFaWeights{.one_bit = OneBitWeights::unit});
  f(DoReFaActivations{.one_bit = OneBitActivations::sign});
  f(TanhActivations{});
  f(TwoSidedActivations{});
  f(TwoSidedActivations{.range = 1.3F});
  f(LogWeights{});
  f(LogActivations{});
  f(LogActivations{.one_sided = false});
  f(LogActivations{.gradient = LogGradient::clipped});
  f(LogActivations{.one_sided = false, .gradient = LogGradient::clipped});
  f(SignWeights{});
  f(SignWeights{.rounding = SignRounding::stochastic, .magnitude = 0.5F});
  f(SignActivations{});
  f(SignActivations{.zero = SignOfZero::plus});
  f(AdaBitsWeights{});
  f(AdaBitsWeights{.grid = AdaBitsGrid::centred});
  f(with_alpha<PactActivations>());
  f(with_alpha<CgPactActivations>());
  f(with_alpha<PactActivations>(ClipSides::two));
  f(with_alpha<CgPactActivations>(ClipSides::two));
  f(HwgqActivations{});
  f(HwgqActivations{.rule = HwgqRule::positive_step});
  f(GaussianWeights{});
  f(SawbWeights{});
  f(TernaryWeights{});
  f(TrainedTernaryWeights{});
  f(XnorWeights{});
  f(XnorWeights{.centring = XnorCentring::none});
  f(XnorWeights{.centring = XnorCentring::filter, .input_channels = 3});
  f(BiRealWeights{});
  f(BiRealWeights{.gradient = ScaledSignGradient::straight});
  f(BiRealActivations{});
  f(ScaledDoReFaWeights{});
  f(PowerOfTwoWeights{});
  f(PowerOfTwoWeights{.full_scale = 2});
  f(PaperPowerOfTwoWeights{.full_scale = 1});
  f(DoubleRoundingWeights{});
  f(LsqWeights{});
  f(LsqActivations{});
  f(LsqActivations{.signs = GridSigns::signed_values});
  f(LsqPlusWeights{});
  f(LsqPlusActivations{});
  f(LsqPlusActivations{.signs = GridSigns::signed_values});
  f(LqNetsWeights{.fan_out = 4});
  f(LqNetsActivations{});
  f(ScaleAdjusted<>{.fan_out = 5});
  f(ScaleAdjusted<AdaBitsWeights>{.weights = {.grid = AdaBitsGrid::centred}});
  f(ScaleAdjusted<SawbWeights>{.use = ScaleUse::training, .fan_out = 9});
  f(QilWeights{});
  f(QilActivations{});
}

/// Calls f(policy, bits) for every policy and each of its widths.
template <class F>
void for_each_width(F f) {
  for_each_policy([&](const auto& policy) {
    using P = std::decay_t<decltype(policy)>;
    for (int bits = policy_min_bits<P>(); bits <= policy_max_bits<P>(); ++bits) {
      CAPTURE(P::name);
      CAPTURE(bits);
      f(policy, bits);
    }
  });
}

}  // namespace

TEST_CASE("codes are bounded and values belong to codes") {
  for_each_width([](const auto& policy, int bits) { CHECK(laws::bounded(policy, bits) == ""); });
}

TEST_CASE("encode and decode are monotone") {
  for_each_width([](const auto& policy, int bits) { CHECK(laws::monotone(policy, bits) == ""); });
}

TEST_CASE("fake_quantize, codes and integer lines agree bit for bit") {
  for_each_width([](const auto& policy, int bits) { CHECK(laws::consistent(policy, bits) == ""); });
}

TEST_CASE("a value is within its step of the surrogate") {
  for_each_width([](const auto& policy, int bits) {
    using P = std::decay_t<decltype(policy)>;
    if (AffinePolicy<P> || code_count<P>(bits) == 2) CHECK(laws::close(policy, bits) == "");
  });
}

TEST_CASE("a logarithmic value is within half a step in the log domain") {
  const std::vector<float> x = laws::sample(600);
  for (int bits = 2; bits <= 8; ++bits) {
    CAPTURE(bits);
    const LogWeights weights;
    const auto state = weights.fit(x);
    CHECK(laws::close_in_log(weights, bits, state.divisor, -1.0F, state.range, LogSides::two) ==
          "");
    const LogActivations one;
    CHECK(laws::close_in_log(one, bits, 1.0F, 0.0F, one.fit(x), LogSides::one) == "");
    const LogActivations two{.one_sided = false};
    CHECK(laws::close_in_log(two, bits, 1.0F, -1.0F, two.fit(x), LogSides::two) == "");
  }
}

TEST_CASE("the value of a code is encoded as the code") {
  for_each_width([](const auto& policy, int bits) { CHECK(laws::idempotent(policy, bits) == ""); });
}

TEST_CASE("zero stays zero exactly where it is claimed") {
  for_each_width([](const auto& policy, int bits) { CHECK(laws::zero(policy, bits) == ""); });
}

TEST_CASE("backward is the derivative of the surrogate") {
  for_each_width(
      [](const auto& policy, int bits) { CHECK(laws::differentiable(policy, bits) == ""); });
  for_each_policy([](const auto& policy) { CHECK(laws::differentiable(policy, 32) == ""); });
}

TEST_CASE("a gate is the derivative") {
  for_each_width([](const auto& policy, int bits) { CHECK(laws::gated(policy, bits) == ""); });
  for_each_policy([](const auto& policy) { CHECK(laws::gated(policy, 32) == ""); });
}

TEST_CASE("32 bits are the surrogate itself") {
  for_each_policy([](const auto& policy) { CHECK(laws::real_path(policy) == ""); });
}

TEST_CASE("codes of a nested policy are the top bits of its 8-bit codes") {
  int policies = 0;
  for_each_policy([&](const auto& policy) {
    if constexpr (NestedPolicy<std::decay_t<decltype(policy)>>) {
      ++policies;
      for (int bits = 1; bits <= 8; ++bits) CHECK(laws::nested(policy, bits) == "");
    }
  });
  CHECK(policies == 4);
}

TEST_CASE("results do not depend on the number of threads") {
  const std::vector<float> x = laws::sample(70001);  // several chunks, the last one short
  std::vector<float> dy(x.size());
  Random random(3, 3);
  for (float& gradient : dy) gradient = random.normal();
  for_each_policy([&](const auto& policy) {
    using P = std::decay_t<decltype(policy)>;
    CAPTURE(P::name);
    const Quantizer<P> quantizer{policy};
    for (const int bits :
         {policy_min_bits<P>(), std::min(3, policy_max_bits<P>()), real_valued_bits}) {
      set_thread_count(1);
      const auto state = quantizer.fit(x, bits);
      std::vector<float> y(x.size());
      std::vector<float> dx(x.size());
      quantizer.fake_quantize(x, bits, y);
      quantizer.backward(x, dy, bits, dx);
      typename P::State by_numbers{};
      if constexpr (GradientLearnedPolicy<P>) {
        by_numbers = quantizer.gradients(x, dy, state, bits);
      }
      for (const int threads : {2, 7}) {
        CAPTURE(threads);
        set_thread_count(threads);
        CHECK(quantizer.fit(x, bits) == state);
        std::vector<float> again(x.size());
        quantizer.fake_quantize(x, bits, again);
        CHECK(again == y);
        quantizer.backward(x, dy, bits, again);
        CHECK(again == dx);
        if constexpr (GradientLearnedPolicy<P>) {
          CHECK(quantizer.gradients(x, dy, state, bits) == by_numbers);
        }
      }
      set_thread_count(0);
    }
  });
}

TEST_CASE("tensors without information: empty, one element, zeros, all equal") {
  const std::vector<float> tensors[] = {{},           {0.0F},       {-0.3F}, {0.0F, 0.0F, -0.0F},
                                        {0.2F, 0.2F}, {-5.0F, 5.0F}};
  for_each_width([&](const auto& policy, int bits) {
    using P = std::decay_t<decltype(policy)>;
    const Quantizer<P> quantizer{policy};
    for (const std::vector<float>& x : tensors) {
      std::vector<float> y(x.size());
      std::vector<float> dx(x.size());
      std::vector<std::uint8_t> codes(x.size());
      quantizer.fake_quantize(x, bits, y);
      quantizer.encode(x, bits, codes);
      quantizer.backward(x, x, bits, dx);
      for (std::size_t i = 0; i < x.size(); ++i) {
        CHECK(std::isfinite(y[i]));
        CHECK(std::isfinite(dx[i]));
        CHECK(codes[i] < code_count<P>(bits));
        CHECK(quantizer.decode(codes[i], quantizer.fit(x, bits), bits) == y[i]);
      }
    }
  });
}

TEST_CASE("NaN and infinity: weights are refused, activations stay on the grid") {
  constexpr float nan = std::numeric_limits<float>::quiet_NaN();
  constexpr float infinity = std::numeric_limits<float>::infinity();
  for_each_width([&](const auto& policy, int bits) {
    using P = std::decay_t<decltype(policy)>;
    const Quantizer<P> quantizer{policy};
    std::vector<float> y(3);
    if constexpr (P::role == TensorRole::weights) {
      const std::string name{P::name};
      CHECK_THROWS_WITH_AS(quantizer.fake_quantize(std::vector<float>{0.5F, nan, 1.0F}, bits, y),
                           (name + ": expected finite weights, element 1 of 3 is nan").c_str(),
                           Error);
      CHECK_THROWS_WITH_AS(
          quantizer.backward(std::vector<float>{0.5F, 1.0F, -infinity}, y, bits, y),
          (name + ": expected finite weights, element 2 of 3 is -inf").c_str(), Error);
    } else {
      const std::vector<float> x{nan, 0.5F, infinity};
      const auto state = quantizer.fit(x, bits);
      CHECK(policy.encode(nan, state, bits) == 0);
      CHECK(policy.encode(-nan, state, bits) == 0);
      CHECK(policy.encode(-infinity, state, bits) == 0);
      CHECK(policy.encode(infinity, state, bits) == code_count<P>(bits) - 1);
      quantizer.fake_quantize(x, bits, y);
      for (const float value : y) CHECK(std::isfinite(value));
    }
  });
}

// Each policy below breaks one rule; the law named beside it must notice.
namespace broken {

struct OffByOne : DoReFaActivations {
  std::int32_t encode(float x, const State& state, int bits) const {
    return DoReFaActivations::encode(x, state, bits) + 1;
  }
};
struct RoundsDown : DoReFaActivations {
  std::int32_t encode(float x, const State&, int bits) const { return FloorGrid::encode(x, bits); }
};
struct Reversed : DoReFaActivations {
  std::int32_t encode(float x, const State& state, int bits) const {
    return (1 << bits) - 1 - DoReFaActivations::encode(x, state, bits);
  }
};
struct WrongScale : DoReFaActivations {
  IntegerLevels levels(const State&, int bits) const {
    return {.scale = 1.0F / static_cast<float>(1 << bits), .multiplier = 1, .offset = 0};
  }
};
struct ShiftedLine : DoReFaActivations {
  IntegerLevels levels(const State& state, int bits) const {
    IntegerLevels line = DoReFaActivations::levels(state, bits);
    line.offset = 1;
    return line;
  }
};
struct ClaimsZero : TanhActivations {
  static constexpr bool represents_zero() { return true; }
};
struct NegatedGradient : DoReFaActivations {
  void backward(std::span<const float> x, std::span<const float> dy, const State& state, int bits,
                std::span<float> dx) const {
    DoReFaActivations::backward(x, dy, state, bits, dx);
    for (float& value : dx) value = -value;
  }
};
struct DetachedMaximum : TanhActivations {
  void backward(std::span<const float> x, std::span<const float> dy, const State& state, int bits,
                std::span<float> dx) const {
    TanhActivations::backward(x, dy, {state.max, -1}, bits, dx);
  }
};
struct WrongGate : DoReFaActivations {
  [[nodiscard]] std::optional<ClampSurrogate> gate(int) const { return ClampSurrogate{0.0F, 2.0F}; }
};
struct IgnoresClamp : DoReFaActivations {
  void backward(std::span<const float>, std::span<const float> dy, const State&, int,
                std::span<float> dx) const {
    std::ranges::copy(dy, dx.begin());
  }
};
struct RoundedNesting : AdaBitsWeights {
  std::int32_t encode(float w, const State& state, int bits) const {
    return RoundGrid::encode(state.unit(w), bits);
  }
};
struct RoundsRealPath : DoReFaActivations {
  float real_valued(float x, const State&) const { return round_half_even(x * 256.0F) / 256.0F; }
};

}  // namespace broken

TEST_CASE("the laws reject broken policies") {
  for (int bits = 2; bits <= 8; ++bits) {
    CAPTURE(bits);
    CHECK(laws::bounded(broken::OffByOne{}, bits) != "");
    CHECK(laws::close(broken::OffByOne{}, bits) != "");
    CHECK(laws::close(broken::RoundsDown{}, bits) != "");
    CHECK(laws::monotone(broken::Reversed{}, bits) != "");
    CHECK(laws::idempotent(broken::Reversed{}, bits) != "");
    CHECK(laws::idempotent(broken::WrongScale{}, bits) != "");
    CHECK(laws::close(broken::ShiftedLine{}, bits) != "");
    CHECK(laws::zero(broken::ShiftedLine{}, bits) != "");
    CHECK(laws::zero(broken::ClaimsZero{}, bits) != "");
    CHECK(laws::differentiable(broken::NegatedGradient{}, bits) != "");
    CHECK(laws::differentiable(broken::DetachedMaximum{}, bits) != "");
    CHECK(laws::differentiable(broken::IgnoresClamp{}, bits) != "");
    CHECK(laws::gated(broken::WrongGate{}, bits) != "");
    if (bits < 8) CHECK(laws::nested(broken::RoundedNesting{}, bits) != "");
  }
  CHECK(laws::real_path(broken::RoundsRealPath{}) != "");
}
