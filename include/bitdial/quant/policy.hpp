// SPDX-License-Identifier: Apache-2.0
// What a quantization policy must provide, one named concept per requirement, so that
// `Quantizer<Policy>` can say in one sentence which one is missing.
#pragma once

#include <concepts>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <type_traits>

#include <bitdial/core/config.hpp>
#include <bitdial/quant/levels.hpp>
#include <bitdial/quant/precision.hpp>
#include <bitdial/quant/straight_through.hpp>
#include <bitdial/quant/uniform_steps.hpp>

namespace bitdial::inline BITDIAL_ABI {

/// Which tensor of a layer a policy is meant for.
enum class TensorRole { weights, activations };

/// `static constexpr std::string_view name`: the name of the policy in error texts and reports.
template <class P>
concept NamedPolicy = requires {
  { P::name } -> std::convertible_to<std::string_view>;
};

/// `static constexpr std::string_view paper`: where the formulas come from.
template <class P>
concept CitedPolicy = requires {
  { P::paper } -> std::convertible_to<std::string_view>;
};

/// `static constexpr TensorRole role`: weights or activations.
template <class P>
concept RolePolicy = requires {
  { P::role } -> std::convertible_to<TensorRole>;
};

/// `fit(x)`: the state is measured once per tensor, for all bit widths.
template <class P>
concept WidthFreePolicy = requires(const P policy, std::span<const float> x) {
  { policy.fit(x) } -> std::same_as<typename P::State>;
};

/// A nested `State` (a maximum, a mean, a learned step, possibly nothing) and the function that
/// measures it, or starts it where it is learned: `fit(x)`, or `fit(x, bits)` where it depends on
/// the bit width.
template <class P>
concept FittingPolicy = std::semiregular<typename P::State> &&
    (WidthFreePolicy<P> || requires(const P policy, std::span<const float> x, int bits) {
      { policy.fit(x, bits) } -> std::same_as<typename P::State>;
    });

/// The state of a tensor at one width.
template <FittingPolicy P>
[[nodiscard]] typename P::State fit_state(const P& policy, std::span<const float> x, int bits) {
  if constexpr (WidthFreePolicy<P>) {
    return policy.fit(x);
  } else {
    return policy.fit(x, bits);
  }
}

/// `encode`: the code of a value, 0 .. 2^bits - 1, monotone in the value.
template <class P>
concept EncodingPolicy = requires(const P policy, float x, const typename P::State& state,
                                  int bits) {
  { policy.encode(x, state, bits) } -> std::same_as<std::int32_t>;
};

/// `levels`: codes are equidistant integers times one scale, so they take part in exact sums.
template <class P>
concept AffinePolicy = requires(const P policy, const typename P::State& state, int bits) {
  { policy.levels(state, bits) } -> std::same_as<IntegerLevels>;
};

/// `decode`: the value of a code. An `AffinePolicy` has it through its levels.
template <class P>
concept DecodingPolicy = AffinePolicy<P> ||
    requires(const P policy, std::int32_t code, const typename P::State& state, int bits) {
  { policy.decode(code, state, bits) } -> std::same_as<float>;
};

/// `real_valued`: the forward path at 32 bits, which rounds nothing. Identity for many policies.
template <class P>
concept RealValuedPolicy = requires(const P policy, float x, const typename P::State& state) {
  { policy.real_valued(x, state) } -> std::same_as<float>;
};

/// `static constexpr bool straight_through = true`: the surrogate is y = x at all bits, and
/// `real_valued` is the identity; in the place of `surrogate`, `backward` and `gate`.
template <class P>
concept StraightThroughPolicy = requires {
  requires static_cast<bool>(P::straight_through);
};

/// `surrogate`: the real-valued map of a whole tensor whose derivative stands for the derivative of
/// the rounded map. Written in double; used to state and to test the gradient, never in training.
/// `surrogate(x, bits, y)` measures x itself, so the gradient goes through what is measured;
/// `surrogate(x, state, bits, y)` holds the state constant.
template <class P>
concept SurrogatePolicy = StraightThroughPolicy<P> ||
    requires(const P policy, std::span<const double> x, int bits, std::span<double> y) {
  policy.surrogate(x, bits, y);
} || requires(const P policy, std::span<const double> x, const typename P::State& state, int bits,
              std::span<double> y) {
  policy.surrogate(x, state, bits, y);
};

/// y = surrogate(x), in whichever form the policy has it.
template <SurrogatePolicy P, class Real>
void surrogate_forward(const P& policy, std::span<const Real> x, const typename P::State& state,
                       int bits, std::span<Real> y) {
  if constexpr (StraightThroughPolicy<P>) {
    IdentitySurrogate::forward(x, y);
  } else if constexpr (requires { policy.surrogate(x, bits, y); }) {
    policy.surrogate(x, bits, y);
  } else {
    policy.surrogate(x, state, bits, y);
  }
}

/// `backward`: the exact derivative of the surrogate, dx = J^T dy; overwrites dx.
template <class P>
concept BackwardPolicy = StraightThroughPolicy<P> ||
    requires(const P policy, std::span<const float> x, std::span<const float> dy,
             const typename P::State& state, int bits, std::span<float> dx) {
  policy.backward(x, dy, state, bits, dx);
};

/// dx = J^T dy of the surrogate.
template <BackwardPolicy P>
void surrogate_backward(const P& policy, std::span<const float> x, std::span<const float> dy,
                        const typename P::State& state, int bits, std::span<float> dx) {
  if constexpr (StraightThroughPolicy<P>) {
    IdentitySurrogate::backward(dy, dx);
  } else {
    policy.backward(x, dy, state, bits, dx);
  }
}

/// Optional: `uniform_steps`, where the codes at these bits are those of `UniformSteps`: training
/// makes them with a kernel. Nothing where they are not.
template <class P>
concept UniformStepsPolicy = requires(const P policy, const typename P::State& state, int bits) {
  { policy.uniform_steps(state, bits) } -> std::same_as<std::optional<UniformSteps>>;
};

/// Optional: `gate`, for a surrogate that is a clamp at these bits, or the identity. Training then
/// keeps one bit per element instead of x. Nothing where the surrogate is another function. At 32
/// bits the identity means that `real_valued` is the identity too.
template <class P>
concept GatedPolicy = requires(const P policy, int bits) {
  { policy.gate(bits) } -> std::same_as<std::optional<ClampSurrogate>>;
};

/// Optional, for policies that at these bits see x through t = `hyperbolic_tangent(x)` alone:
/// `encode_tanh` and `backward_tanh` are `encode` and `backward`, from t. Training computes t with
/// a kernel.
template <class P>
concept TanhPolicy = requires(const P policy, float t, std::span<const float> all,
                              const typename P::State& state, int bits, std::span<float> dx) {
  { policy.sees_tanh(bits) } -> std::same_as<bool>;
  { policy.encode_tanh(t, state, bits) } -> std::same_as<std::int32_t>;
  policy.backward_tanh(all, all, state, bits, dx);
};

/// Everything that `Quantizer<P>` needs. A policy is a small value type; see
/// docs/writing-a-policy.md.
template <class P>
concept QuantizationPolicy = std::semiregular<P> && NamedPolicy<P> && CitedPolicy<P> &&
    RolePolicy<P> && FittingPolicy<P> && EncodingPolicy<P> && DecodingPolicy<P> &&
    RealValuedPolicy<P> && SurrogatePolicy<P> && BackwardPolicy<P>;

/// Optional claim `static constexpr bool nested = true`: with one state, the code of k bits is the
/// top k bits of the 8-bit code, so one stored 8-bit tensor serves every width.
template <class P>
concept NestedPolicy = requires {
  requires static_cast<bool>(P::nested);
};

/// True if 0 is encoded as a code whose value is exactly 0 at `bits`: the optional claim
/// `bool represents_zero() const`, or `represents_zero(bits)` where widths differ. A property of
/// the values for a caller to ask, stated and tested; nothing in bitdial depends on it.
/// (Convolutions leave padded taps out of their sums.)
template <class P>
[[nodiscard]] constexpr bool represents_zero(const P& policy, int bits) noexcept {
  if constexpr (requires {
                  { policy.represents_zero(bits) } -> std::same_as<bool>;
                }) {
    return policy.represents_zero(bits);
  } else if constexpr (requires {
                         { policy.represents_zero() } -> std::same_as<bool>;
                       }) {
    return policy.represents_zero();
  } else {
    return false;
  }
}

/// The widest code of a policy: the optional `static constexpr int max_bits`, else 8.
template <class P>
[[nodiscard]] constexpr int policy_max_bits() noexcept {
  if constexpr (requires {
                  { P::max_bits } -> std::convertible_to<int>;
                }) {
    return P::max_bits;
  } else {
    return max_code_bits;
  }
}

/// The narrowest code of a policy: the optional `static constexpr int min_bits`, else 1.
template <class P>
[[nodiscard]] constexpr int policy_min_bits() noexcept {
  if constexpr (requires {
                  { P::min_bits } -> std::convertible_to<int>;
                }) {
    return P::min_bits;
  } else {
    return 1;
  }
}

/// True if the policy quantizes to `bits` or has `bits` as its real-valued path.
template <class P>
[[nodiscard]] constexpr bool supports_bits(int bits) noexcept {
  return bits == real_valued_bits || (bits >= policy_min_bits<P>() && bits <= policy_max_bits<P>());
}

/// The number of codes at `bits` bits: the optional `static int code_count(int bits)` (three for a
/// ternary policy), else 2^bits. At most 256.
template <class P>
[[nodiscard]] constexpr std::int32_t code_count(int bits) noexcept {
  if constexpr (requires {
                  { P::code_count(bits) } -> std::same_as<std::int32_t>;
                }) {
    return P::code_count(bits);
  } else {
    return 1 << bits;
  }
}

/// Optional claim of a weight policy `static constexpr bool filterwise = true`: every output filter
/// has a state of its own. In a layer each filter is quantized as a tensor; the `Quantizer` takes
/// one filter at a time.
template <class P>
concept FilterwisePolicy = requires {
  requires static_cast<bool>(P::filterwise);
};

/// True if nothing is measured per tensor: training and deployment encode with the same constants.
template <class P>
inline constexpr bool is_stateless = std::is_empty_v<typename P::State>;

/// Optional `float noise() const`, for weights: training passes of a layer add uniform noise from
/// -noise() to noise() to each weight before it is encoded, so that its code is random; 0 adds
/// none.
template <class P>
concept NoisyPolicy = requires(const P policy) {
  { policy.noise() } -> std::same_as<float>;
};

/// Optional `void shift(w, shifted) const`, for weights: what is measured, encoded and
/// differentiated in the place of a tensor, w less constants that depend on all of it. Not at 32
/// bits.
template <class P>
concept ShiftedPolicy = requires(const P policy, std::span<const float> w,
                                 std::span<float> shifted) {
  policy.shift(w, shifted);
};

/// Optional `float evaluation_divisor(state) const`, for weights: what the outputs of a layer with
/// a bias are divided by in evaluation, a positive constant that training has and evaluation drops.
template <class P>
concept EvaluationScaledPolicy = requires(const P policy, const typename P::State& state) {
  { policy.evaluation_divisor(state) } -> std::same_as<float>;
};

/// The shape of the weights of a layer: [out_channels, taps, in_channels] numbers, `in_channels`
/// those that one output channel reads.
struct WeightShape {
  std::int64_t out_channels = 0;
  std::int64_t taps = 1;  ///< positions of the kernel; 1 for a linear layer
  std::int64_t in_channels = 0;
};

/// Optional `P for_shape(const WeightShape& shape) const`: the policy of a layer, where its numbers
/// depend on the shape of the weights. A layer asks for it; `Quantizer` takes a policy as it is.
template <class P>
concept ShapedPolicy = requires(const P policy, const WeightShape& shape) {
  { policy.for_shape(shape) } -> std::same_as<P>;
};

/// Optional `State blend(previous, batch, momentum)`: a running state over batches, which
/// deployment freezes: previous + momentum * (batch - previous).
template <class P>
concept RunningPolicy = requires(const P policy, const typename P::State& state, float momentum) {
  { policy.blend(state, state, momentum) } -> std::same_as<typename P::State>;
};

}  // namespace bitdial::inline BITDIAL_ABI
