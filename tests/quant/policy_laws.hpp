// SPDX-License-Identifier: Apache-2.0
// The laws that every quantization policy obeys, as functions that return a description of the
// first violation, or an empty text. `policy_laws_test.cpp` applies them to every policy and width,
// and to deliberately broken policies, which they must reject.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <set>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include <bitdial/core/random.hpp>
#include <bitdial/core/text.hpp>
#include <bitdial/quant/log_range.hpp>
#include <bitdial/quant/policies/adabits.hpp>
#include <bitdial/quant/policies/bi_real.hpp>
#include <bitdial/quant/policies/cg_pact.hpp>
#include <bitdial/quant/policies/dorefa.hpp>
#include <bitdial/quant/policies/double_rounding.hpp>
#include <bitdial/quant/policies/gaussian.hpp>
#include <bitdial/quant/policies/hwgq.hpp>
#include <bitdial/quant/policies/logarithmic.hpp>
#include <bitdial/quant/policies/lq_nets.hpp>
#include <bitdial/quant/policies/lsq.hpp>
#include <bitdial/quant/policies/lsq_plus.hpp>
#include <bitdial/quant/policies/pact.hpp>
#include <bitdial/quant/policies/power_of_two.hpp>
#include <bitdial/quant/policies/qil.hpp>
#include <bitdial/quant/policies/sawb.hpp>
#include <bitdial/quant/policies/scale_adjusted.hpp>
#include <bitdial/quant/policies/scaled_dorefa.hpp>
#include <bitdial/quant/policies/sign.hpp>
#include <bitdial/quant/policies/tanh.hpp>
#include <bitdial/quant/policies/ttq.hpp>
#include <bitdial/quant/policies/twn.hpp>
#include <bitdial/quant/policies/two_sided.hpp>
#include <bitdial/quant/policies/xnor.hpp>
#include <bitdial/quant/quantizer.hpp>

namespace laws {

using bitdial::concat;
using bitdial::Quantizer;

/// Normal values with the special points of every policy among them: 0, the ends of the clamps, an
/// element beyond them.
inline std::vector<float> sample(std::size_t size) {
  std::vector<float> x(size);
  bitdial::Random random(11, size);
  for (float& value : x) value = 0.7F * random.normal();
  const float special[] = {0.0F, 1.0F, -1.0F, 0.5F, -0.5F, 0.25F, 1.75F, 1e-3F, -1e-3F};
  for (std::size_t i = 0; i < std::size(special) && i < size; ++i) x[i * 3 % size] = special[i];
  return x;
}

template <class P>
std::vector<float> values(const Quantizer<P>& quantizer, const typename P::State& state, int bits) {
  std::vector<float> result;
  for (int code = 0; code < bitdial::code_count<P>(bits); ++code) {
    result.push_back(quantizer.decode(code, state, bits));
  }
  return result;
}

/// Codes lie in 0 .. 2^bits - 1 and the quantized tensor has no value but theirs.
template <class P>
std::string bounded(const P& policy, int bits) {
  const Quantizer<P> quantizer{policy};
  const std::vector<float> x = sample(600);
  const auto state = quantizer.fit(x, bits);
  std::vector<float> y(x.size());
  quantizer.fake_quantize(x, bits, y);
  const std::vector<float> legal = values(quantizer, state, bits);
  for (std::size_t i = 0; i < x.size(); ++i) {
    const int code = policy.encode(x[i], state, bits);
    if (code < 0 || code >= bitdial::code_count<P>(bits))
      return concat("code ", code, " of x = ", x[i]);
    if (!std::isfinite(y[i]) || std::ranges::find(legal, y[i]) == legal.end()) {
      return concat("value ", y[i], " of x = ", x[i], " belongs to no code");
    }
  }
  if (std::set<float>(y.begin(), y.end()).size() > legal.size()) {
    return "more values than codes";
  }
  return {};
}

/// A larger x never gets a smaller code, a larger code has a larger value, and no code
/// between the extremes is skipped.
template <class P>
std::string monotone(const P& policy, int bits) {
  const Quantizer<P> quantizer{policy};
  std::vector<float> x = sample(600);
  const auto state = quantizer.fit(x, bits);
  for (int i = -32768; i <= 32768; ++i) x.push_back(static_cast<float>(i) * 0x1p-13F);
  for (int e = 13; e <= 100; ++e) {
    x.push_back(std::ldexp(1.0F, -e));
    x.push_back(-std::ldexp(1.0F, -e));
  }
  std::ranges::sort(x);
  int previous = policy.encode(x.front(), state, bits);
  for (const float value : x) {
    const int code = policy.encode(value, state, bits);
    if (code < previous) return concat("code falls at x = ", value);
    if (code > previous + 1) return concat("codes are skipped at x = ", value);
    previous = code;
  }
  const std::vector<float> ascending = values(quantizer, state, bits);
  if (std::ranges::adjacent_find(ascending, std::greater_equal{}) != ascending.end()) {
    return "values do not ascend with their codes";
  }
  return {};
}

/// fake_quantize, encode + decode, and the integer line say the same, bit for bit.
template <class P>
std::string consistent(const P& policy, int bits) {
  const Quantizer<P> quantizer{policy};
  const std::vector<float> x = sample(600);
  const auto state = quantizer.fit(x, bits);
  std::vector<float> y(x.size());
  std::vector<float> decoded(x.size());
  std::vector<std::uint8_t> codes(x.size());
  quantizer.fake_quantize(x, bits, y);
  quantizer.encode(x, bits, codes);
  quantizer.decode(codes, state, bits, decoded);
  for (std::size_t i = 0; i < x.size(); ++i) {
    if (codes[i] != policy.encode(x[i], state, bits)) return concat("codes differ at ", x[i]);
    if (y[i] != decoded[i]) return concat("fake_quantize ", y[i], ", decode ", decoded[i]);
    if constexpr (bitdial::AffinePolicy<P>) {
      const float on_line = quantizer.levels(x, bits).value(codes[i]);
      if (y[i] != on_line) return concat("fake_quantize ", y[i], ", integer line ", on_line);
    }
    if constexpr (requires { policy.decode(0, state, bits); }) {
      if (y[i] != policy.decode(codes[i], state, bits)) return "decode of the policy differs";
    }
  }
  return {};
}

/// The largest distance of a value from its surrogate, in steps: half of one where a grid rounds.
template <class P>
double error_in_steps(const P&) {
  return 0.5;
}
inline double error_in_steps(const bitdial::AdaBitsWeights& policy) {
  return policy.grid == bitdial::AdaBitsGrid::modified ? 1.0 : 0.5;
}
inline double error_in_steps(const bitdial::HwgqActivations& policy) {
  return policy.rule == bitdial::HwgqRule::nearest ? 0.5 : 1.0;
}
inline double error_in_steps(const bitdial::TernaryWeights&) {
  return 1.0;
}
/// Half a step from w - mean, and the term w / n.
inline double error_in_steps(const bitdial::XnorWeights&) {
  return 0.52;
}
/// Two roundings, the finer one of half a step of 8 bits.
inline double error_in_steps(const bitdial::DoubleRoundingWeights&) {
  return 0.75;
}
template <class W>
double error_in_steps(const bitdial::ScaleAdjusted<W>& policy) {
  return error_in_steps(policy.weights);
}

/// |surrogate(x) - fake_quantize(x)| is at most half a step (a step on the modified floor grid)
/// wherever the surrogate is inside the range of the codes.
template <class P>
std::string close(const P& policy, int bits) {
  const Quantizer<P> quantizer{policy};
  const std::vector<float> x = sample(600);
  const std::vector<double> wide(x.begin(), x.end());
  std::vector<double> surrogate(x.size());
  std::vector<float> y(x.size());
  surrogate_forward<P, double>(policy, wide, quantizer.fit(x, bits), bits, surrogate);
  quantizer.fake_quantize(x, bits, y);
  const std::vector<float> line = values(quantizer, quantizer.fit(x, bits), bits);
  const double step = static_cast<double>(line[1]) - static_cast<double>(line[0]);
  const double bound = error_in_steps(policy) * step;
  int inside = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    if (surrogate[i] < static_cast<double>(line.front()) - bound) continue;
    if (surrogate[i] > static_cast<double>(line.back()) + bound) continue;
    ++inside;
    const double error = std::fabs(surrogate[i] - static_cast<double>(y[i]));
    if (error > bound + 1e-6) {
      return concat("x = ", x[i], ": ", y[i], " is ", error, " from its surrogate, bound ", bound);
    }
  }
  return inside > 100 ? std::string{} : "too few elements inside the range";
}

/// The same in the log domain: |log2 m - log2 |y|| is at most half a step for a magnitude m inside
/// the range, and the sign is kept.
template <class P>
std::string close_in_log(const P& policy, int bits, float divisor, float low_clamp,
                         const bitdial::LogRange& range, bitdial::LogSides sides) {
  const Quantizer<P> quantizer{policy};
  const std::vector<float> x = sample(600);
  std::vector<float> y(x.size());
  quantizer.fake_quantize(x, bits, y);
  const double floor = bitdial::LogRange::floor_at(bits, sides);
  const double step = (std::max(range.high, floor) - std::max(range.low, floor)) /
                      bitdial::LogRange::steps(bits, sides);
  for (std::size_t i = 0; i < x.size(); ++i) {
    const float clamped = std::clamp(x[i], low_clamp, 1.0F);
    const double magnitude = std::fabs(static_cast<double>(clamped) / static_cast<double>(divisor));
    const double expected = std::max(std::log2(magnitude), floor);
    const double found = std::log2(std::fabs(static_cast<double>(y[i])));
    if (std::fabs(expected - found) > step / 2 + 1e-6) {
      return concat("x = ", x[i], ": log2 ", found, ", expected about ", expected);
    }
    if ((y[i] < 0.0F) != (clamped < 0.0F)) return concat("sign of x = ", x[i], " is lost");
  }
  return {};
}

/// A real x whose surrogate is `value`, given the state.
template <class P>
float preimage(const P&, const typename P::State&, float value, int) {
  return value;
}
inline float tanh_preimage(const bitdial::TanhRange& range, double value) {
  const double most = std::atanh(static_cast<double>(range.max));
  if (std::fabs(value) >= 1.0) return static_cast<float>(std::copysign(most, value));
  return static_cast<float>(std::atanh(value * static_cast<double>(range.max)));
}
inline float preimage(const bitdial::DoReFaWeights&, const bitdial::DoReFaWeights::State& state,
                      float value, int bits) {
  return bits == 1 ? value : tanh_preimage(state.range, static_cast<double>(value));
}
inline float preimage(const bitdial::TanhActivations&, const bitdial::TanhRange& state, float value,
                      int bits) {
  return bits == 1 ? value : tanh_preimage(state, static_cast<double>(value));
}
inline float preimage(const bitdial::AdaBitsWeights& policy, const bitdial::TanhRange& state,
                      float value, int bits) {
  const double to_middle =
      policy.grid == bitdial::AdaBitsGrid::modified ? std::ldexp(1.0, -bits) : 0.0;
  return tanh_preimage(state, static_cast<double>(value) + to_middle);
}
inline float preimage(const bitdial::ScaledDoReFaWeights&,
                      const bitdial::ScaledDoReFaWeights::State& state, float value, int) {
  return tanh_preimage(state.range,
                       static_cast<double>(value) / static_cast<double>(state.mean_abs));
}
inline float preimage(const bitdial::LogWeights&, const bitdial::LogWeights::State& state,
                      float value, int) {
  return value * state.divisor;
}
inline float preimage(const bitdial::QilWeights&, const bitdial::QilWeights::State& state,
                      float value, int) {
  const double u =
      std::pow(std::fabs(static_cast<double>(value)), 1.0 / static_cast<double>(state.gamma));
  const double m =
      static_cast<double>(state.centre) + static_cast<double>(state.distance) * (2.0 * u - 1.0);
  return value == 0.0F ? 0.0F : std::copysign(static_cast<float>(m), value);
}
inline float preimage(const bitdial::QilActivations&, const bitdial::QilActivations::State& state,
                      float value, int) {
  return preimage(bitdial::QilWeights{}, {state.centre, state.distance, 1.0F}, value, 0);
}
template <class W>
float preimage(const bitdial::ScaleAdjusted<W>& policy,
               const typename bitdial::ScaleAdjusted<W>::State& state, float value, int bits) {
  return preimage(policy.weights, state.weights, value / state.factor, bits);
}

/// Encoding the value of a code gives the code again, for every code.
template <class P>
std::string idempotent(const P& policy, int bits) {
  const Quantizer<P> quantizer{policy};
  const auto state = quantizer.fit(sample(600), bits);
  for (int code = 0; code < bitdial::code_count<P>(bits); ++code) {
    const float value = quantizer.decode(code, state, bits);
    const int again = policy.encode(preimage(policy, state, value, bits), state, bits);
    if (again != code) return concat("code ", code, " comes back as ", again);
  }
  return {};
}

/// 0 becomes exactly 0 if and only if the policy claims it.
template <class P>
std::string zero(const P& policy, int bits) {
  const Quantizer<P> quantizer{policy};
  const auto state = quantizer.fit(sample(600), bits);
  const float value = quantizer.decode(policy.encode(0.0F, state, bits), state, bits);
  if ((value == 0.0F) == bitdial::represents_zero(policy, bits)) return {};
  return concat("0 becomes ", value);
}

/// The state at which a derivative is taken: off kinks that `fit` puts an element on.
template <class P>
typename P::State state_off_kinks(const P& policy, const std::vector<float>& x, int bits) {
  auto state = bitdial::fit_state(policy, x, bits);
  if constexpr (std::is_same_v<P, bitdial::DoubleRoundingWeights>) state.step *= 0.9F;
  if constexpr (std::is_same_v<P, bitdial::QilWeights>) state = {0.625F, 0.5F, 0.75F};
  if constexpr (std::is_same_v<P, bitdial::QilActivations>) state = {0.625F, 0.5F};
  return state;
}

/// `backward` is the derivative of the surrogate at x: central differences in double.
template <class P>
std::string differentiable_at(const P& policy, int bits, const std::vector<float>& x) {
  constexpr double h = 1e-6;
  const Quantizer<P> quantizer{policy};
  bitdial::Random random(5, 0);
  std::vector<float> dy(x.size());
  for (float& gradient : dy) gradient = random.normal();
  std::vector<float> dx(x.size(), 99.0F);
  const auto state = state_off_kinks(policy, x, bits);
  quantizer.backward(x, dy, state, bits, dx);

  std::vector<double> point(x.begin(), x.end());
  std::vector<double> y(x.size());
  const auto loss = [&] {
    surrogate_forward<P, double>(policy, point, state, bits, y);
    double sum = 0.0;
    for (std::size_t i = 0; i < y.size(); ++i) sum += static_cast<double>(dy[i]) * y[i];
    return sum;
  };
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double at = point[i];
    point[i] = at + h;
    const double above = loss();
    point[i] = at - h;
    const double below = loss();
    point[i] = at;
    const double expected = (above - below) / (2 * h);
    if (std::fabs(expected - static_cast<double>(dx[i])) > 1e-5 * (1.0 + std::fabs(expected))) {
      return concat("element ", i, ", x = ", x[i], ": backward ", dx[i], ", difference ", expected);
    }
  }
  return {};
}

/// The same at a random tensor and at its negation: the largest element has either sign.
template <class P>
std::string differentiable(const P& policy, int bits) {
  std::vector<float> x = sample(41);
  for (float& value : x) {  // off the kinks of the clamps
    if (value == 0.0F || std::fabs(value) == 1.0F) value += 0.01F;
  }
  const std::string fault = differentiable_at(policy, bits, x);
  if (!fault.empty()) return fault;
  for (float& value : x) value = -value;
  return differentiable_at(policy, bits, x);
}

/// A declared gate is the derivative: 1 inside, 0 outside and for NaN; everywhere for the identity,
/// which at 32 bits is the map itself.
template <class P>
std::string gated(const P& policy, int bits) {
  const Quantizer<P> quantizer{policy};
  const auto gate = quantizer.gate(bits);
  if (!gate) return {};
  std::vector<float> x = sample(600);
  for (const float edge : {gate->low, gate->high, -1.0F, 0.0F, 1.0F}) {
    if (std::isfinite(edge)) x.push_back(edge);
  }
  std::vector<float> dy(x.size());
  for (std::size_t i = 0; i < dy.size(); ++i) dy[i] = static_cast<float>(i) + 1.0F;
  std::vector<float> dx(x.size());
  quantizer.backward(x, dy, bits, dx);
  std::vector<float> y = x;
  if (bits == bitdial::real_valued_bits) quantizer.fake_quantize(x, bits, y);
  for (std::size_t i = 0; i < x.size(); ++i) {
    if (dx[i] != (gate->passes(x[i]) ? dy[i] : 0.0F)) return concat("gradient at ", x[i]);
    if (gate->passes_all() && y[i] != x[i]) return concat(x[i], " becomes ", y[i]);
  }
  return {};
}

/// At 32 bits the quantizer is its own surrogate.
template <class P>
std::string real_path(const P& policy) {
  const Quantizer<P> quantizer{policy};
  const std::vector<float> x = sample(600);
  const std::vector<double> wide(x.begin(), x.end());
  std::vector<double> surrogate(x.size());
  std::vector<float> y(x.size());
  surrogate_forward<P, double>(policy, wide, quantizer.fit(x, 32), 32, surrogate);
  quantizer.fake_quantize(x, 32, y);
  for (std::size_t i = 0; i < x.size(); ++i) {
    if (std::fabs(surrogate[i] - static_cast<double>(y[i])) > 1e-6) {
      return concat("x = ", x[i], ": ", y[i], ", surrogate ", surrogate[i]);
    }
  }
  return {};
}

/// The k-bit code is the top k bits of the 8-bit code: at and around every boundary of the grid,
/// one float to each side, and on a fine lattice.
template <class P>
std::string nested(const P& policy, int bits) {
  const std::vector<float> x = sample(600);
  const auto state = bitdial::fit_state(policy, x, bits);
  const bitdial::TanhRange range = [&] {
    if constexpr (requires { state.weights.max; }) {
      return bitdial::TanhRange{state.weights.max, -1};
    } else {
      return bitdial::TanhRange{state.max, -1};
    }
  }();
  const auto differs = [&](float value) {
    return policy.encode(value, state, bits) != policy.encode(value, state, 8) >> (8 - bits);
  };
  for (int boundary = 0; boundary <= 256; ++boundary) {
    const float value = tanh_preimage(range, boundary / 128.0 - 1.0);
    float below = value;
    float above = value;
    for (int ulp = 0; ulp < 4; ++ulp) {
      if (differs(below) || differs(above)) return concat("boundary ", boundary, " at ", value);
      below = std::nextafter(below, -100.0F);
      above = std::nextafter(above, 100.0F);
    }
  }
  for (int i = -100000; i <= 100000; ++i) {
    const float value = static_cast<float>(i) * 2.5e-5F;
    if (differs(value)) return concat("x = ", value);
  }
  return {};
}

}  // namespace laws
