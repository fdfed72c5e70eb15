// SPDX-License-Identifier: Apache-2.0
// Quantizer<Policy>: the checked, threaded operations over a whole tensor that any policy gets.
#pragma once

#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <bitdial/core/config.hpp>
#include <bitdial/core/error.hpp>
#include <bitdial/core/text.hpp>
#include <bitdial/quant/codebook.hpp>
#include <bitdial/quant/learned_parameter.hpp>
#include <bitdial/quant/levels.hpp>
#include <bitdial/quant/policy.hpp>
#include <bitdial/quant/precision.hpp>
#include <bitdial/quant/span_loops.hpp>
#include <bitdial/quant/straight_through.hpp>

namespace bitdial::inline BITDIAL_ABI {

/// Encode, decode, fake-quantize and differentiate one tensor as `Policy` says.
///
/// Each operation exists twice: on a tensor alone, which measures it first (`fit`), and with a
/// `State` measured before: of the weights of this step, or frozen for deployment. Bits are 1..8
/// (or what the policy allows); 32 selects the policy's real-valued path where there is one.
/// Throws `ShapeError` for spans of unequal length and `PrecisionError` for bits that the policy
/// does not have. Results do not depend on the number of threads.
template <class Policy>
class Quantizer {
  static_assert(std::semiregular<Policy>,
                "bitdial: Quantizer<Policy>: Policy must be default constructible and copyable "
                "(make it a small value type).");
  static_assert(NamedPolicy<Policy>,
                "bitdial: Quantizer<Policy>: Policy needs `static constexpr std::string_view "
                "name`.");
  static_assert(CitedPolicy<Policy>,
                "bitdial: Quantizer<Policy>: Policy needs `static constexpr std::string_view "
                "paper`.");
  static_assert(RolePolicy<Policy>,
                "bitdial: Quantizer<Policy>: Policy needs `static constexpr TensorRole role`.");
  static_assert(FittingPolicy<Policy>,
                "bitdial: Quantizer<Policy>: Policy needs a regular `struct State` and `State "
                "fit(std::span<const float> x) const` (or `fit(x, bits)`, where it depends on the "
                "width).");
  static_assert(EncodingPolicy<Policy>,
                "bitdial: Quantizer<Policy>: Policy needs `std::int32_t encode(float x, const "
                "State& state, int bits) const`.");
  static_assert(DecodingPolicy<Policy>,
                "bitdial: Quantizer<Policy>: Policy needs `IntegerLevels levels(const State& "
                "state, int bits) const` or, if its values are not equidistant, `float "
                "decode(std::int32_t code, const State& state, int bits) const`.");
  static_assert(RealValuedPolicy<Policy>,
                "bitdial: Quantizer<Policy>: Policy needs `float real_valued(float x, const "
                "State& state) const`.");
  static_assert(SurrogatePolicy<Policy>,
                "bitdial: Quantizer<Policy>: Policy needs `void surrogate(std::span<const double> "
                "x, int bits, std::span<double> y) const` (or with `const State& state` before "
                "`bits`), or `static constexpr bool straight_through = true` for y = x.");
  static_assert(BackwardPolicy<Policy>,
                "bitdial: Quantizer<Policy>: Policy needs `void backward(std::span<const float> "
                "x, std::span<const float> dy, const State& state, int bits, std::span<float> dx) "
                "const`, or `static constexpr bool straight_through = true` for dx = dy.");
  static_assert(
      !NamedParametersPolicy<Policy> || LearnedPolicy<Policy>,
      "bitdial: Quantizer<Policy>: Policy names learned `parameters`, so it needs `State "
      "gradients(std::span<const float> x, std::span<const float> dy, const State& state, "
      "int bits) const` or `State relearn(std::span<const float> x, const State& state, "
      "int bits) const`.");

 public:
  using State = typename Policy::State;

  Quantizer() = default;
  explicit Quantizer(Policy policy) : policy_{std::move(policy)} {}

  [[nodiscard]] const Policy& policy() const noexcept { return policy_; }

  /// Measures what the policy needs of a tensor; learned numbers get the value at which training
  /// starts.
  [[nodiscard]] State fit(std::span<const float> x, int bits) const {
    check("fit", bits, {});
    return state_of(x, bits);
  }
  /// The same for all bit widths.
  template <class P = Policy>
  [[nodiscard]] State fit(std::span<const float> x) const {
    static_assert(WidthFreePolicy<P>,
                  "bitdial: Quantizer<Policy>::fit: the state of this Policy depends on the bit "
                  "width; call fit(x, bits).");
    if constexpr (WidthFreePolicy<P>) return policy_.fit(Shifted{policy_, x}.values());
  }

  /// The numbers of a learned parameter of `state`, to read and to set; only for policies that
  /// learn. Throws `ConfigError` with the names that exist.
  ///
  ///     quantizer.parameter(state, "alpha")[0] = 0.8F;
  template <class P = Policy>
  [[nodiscard]] static std::span<float> parameter(State& state, std::string_view name) {
    static_assert(NamedParametersPolicy<P>,
                  "bitdial: Quantizer<Policy>::parameter: this Policy learns nothing.");
    if constexpr (NamedParametersPolicy<P>) {
      std::vector<std::string> known;
      for (const auto& parameter : P::parameters) {
        if (parameter.name == name) return parameter.numbers(state);
        known.emplace_back(parameter.name);
      }
      throw ConfigError(
          concat(prefix("parameter"), "no parameter '", name, "', there is ", join(known)));
    }
  }

  /// The learned parameters, in the order of the policy.
  template <class P = Policy>
  [[nodiscard]] static constexpr auto parameters() noexcept {
    return P::parameters;
  }

  /// The derivative of the loss by the learned numbers, in a state: member by member, 0 for what is
  /// not learned. `dy` is the derivative by the quantized tensor.
  template <class P = Policy>
  [[nodiscard]] State gradients(std::span<const float> x, std::span<const float> dy,
                                const State& state, int bits) const {
    check("gradients", bits, {{"x", x.size()}, {"dy", dy.size()}});
    static_assert(GradientLearnedPolicy<P>,
                  "bitdial: Quantizer<Policy>::gradients: this Policy learns nothing by gradient.");
    if constexpr (GradientLearnedPolicy<P>) return policy_.gradients(x, dy, state, bits);
  }

  /// y = decode(encode(x)), bit for bit; at 32 bits the real-valued path. y may be x.
  void fake_quantize(std::span<const float> x, int bits, std::span<float> y) const {
    check("fake_quantize", bits, {{"x", x.size()}, {"y", y.size()}});
    fake_quantize(x, state_of(x, bits), bits, y);
  }
  void fake_quantize(std::span<const float> x, const State& state, int bits,
                     std::span<float> y) const {
    check("fake_quantize", bits, {{"x", x.size()}, {"y", y.size()}});
    const Policy policy = policy_;
    if (bits == real_valued_bits) {
      detail::transform_spans(
          y, [policy, state](float value) { return policy.real_valued(value, state); }, x);
      return;
    }
    const Shifted shifted{policy, x};
    if constexpr (AffinePolicy<Policy>) {
      const AffineValues values{policy.levels(state, bits)};
      detail::transform_spans(
          y,
          [policy, state, bits, values](float value) {
            return values(static_cast<float>(policy.encode(value, state, bits)));
          },
          shifted.values());
    } else {
      const std::array<float, 256> values = table(state, bits);
      detail::transform_spans(
          y,
          [encode = encoder(state, bits), &values](float value) {
            return values[static_cast<std::size_t>(encode(value))];
          },
          shifted.values());
    }
  }

  /// dx = J^T dy, J the derivative of the policy's surrogate at x; overwrites dx.
  ///
  /// `state` is `fit(x)` of this very x: the gradient goes through what was measured too. Or it
  /// belongs to no tensor (frozen or blended: an index of -1): what was measured is a constant. The
  /// state of another tensor gives a wrong gradient, or a `ShapeError` where its element is not in
  /// x.
  void backward(std::span<const float> x, std::span<const float> dy, int bits,
                std::span<float> dx) const {
    check("backward", bits, {{"x", x.size()}, {"dy", dy.size()}, {"dx", dx.size()}});
    backward(x, dy, state_of(x, bits), bits, dx);
  }
  void backward(std::span<const float> x, std::span<const float> dy, const State& state, int bits,
                std::span<float> dx) const {
    check("backward", bits, {{"x", x.size()}, {"dy", dy.size()}, {"dx", dx.size()}});
    surrogate_backward(policy_, Shifted{policy_, x}.values(), dy, state, bits, dx);
  }

  /// The clamp of x that `backward` differentiates at these bits; nothing where it is another
  /// function of x, as the clamp of a shifted tensor is.
  [[nodiscard]] std::optional<ClampSurrogate> gate(int bits) const noexcept {
    if constexpr (StraightThroughPolicy<Policy>) return ClampSurrogate::identity();
    if constexpr (GatedPolicy<Policy>) {
      const std::optional<ClampSurrogate> clamp = policy_.gate(bits);
      if (!ShiftedPolicy<Policy> || (clamp && clamp->passes_all())) return clamp;
    }
    return std::nullopt;
  }

  /// The short form of `encode` at these bits, where there is one; a shifted tensor has none.
  [[nodiscard]] std::optional<UniformSteps> uniform_steps(const State& state,
                                                          int bits) const noexcept {
    if constexpr (UniformStepsPolicy<Policy> && !ShiftedPolicy<Policy>) {
      return policy_.uniform_steps(state, bits);
    }
    return std::nullopt;
  }

  /// codes[i] in 0 .. 2^bits - 1; 32 bits have no codes.
  void encode(std::span<const float> x, int bits, std::span<std::uint8_t> codes) const {
    check_codes("encode", bits, {{"x", x.size()}, {"codes", codes.size()}});
    encode(x, state_of(x, bits), bits, codes);
  }
  void encode(std::span<const float> x, const State& state, int bits,
              std::span<std::uint8_t> codes) const {
    check_codes("encode", bits, {{"x", x.size()}, {"codes", codes.size()}});
    detail::transform_spans(
        codes,
        [encode = encoder(state, bits)](float value) {
          return static_cast<std::uint8_t>(encode(value));
        },
        Shifted{policy_, x}.values());
  }

  /// `encode` and `backward` where the policy sees tanh at these bits (`TanhPolicy`): `tanh` gives
  /// a tensor of the hyperbolic tangents of a span.
  template <class Tanh>
  void encode_by_tanh(Tanh tanh, std::span<const float> x, const State& state, int bits,
                      std::span<std::uint8_t> codes) const requires TanhPolicy<Policy> {
    check_codes("encode", bits, {{"x", x.size()}, {"codes", codes.size()}});
    const auto t = tanh(Shifted{policy_, x}.values());
    detail::transform_spans(
        codes,
        [policy = policy_, state, bits](float value) {
          return static_cast<std::uint8_t>(policy.encode_tanh(value, state, bits));
        },
        std::span<const float>{t.span()});
  }
  template <class Tanh>
  void backward_by_tanh(Tanh tanh, std::span<const float> x, std::span<const float> dy,
                        const State& state, int bits,
                        std::span<float> dx) const requires TanhPolicy<Policy> {
    check("backward", bits, {{"x", x.size()}, {"dy", dy.size()}, {"dx", dx.size()}});
    const auto t = tanh(Shifted{policy_, x}.values());
    policy_.backward_tanh(t.span(), dy, state, bits, dx);
  }

  /// y[i] = value of codes[i]. A code of 2^bits or more is a broken contract of the caller.
  void decode(std::span<const std::uint8_t> codes, const State& state, int bits,
              std::span<float> y) const {
    check_codes("decode", bits, {{"codes", codes.size()}, {"y", y.size()}});
    if constexpr (AffinePolicy<Policy>) {
      const AffineValues values{policy_.levels(state, bits)};
      detail::transform_spans(
          y, [values](std::uint8_t code) { return values(static_cast<float>(code)); }, codes);
    } else {
      const std::array<float, 256> values = table(state, bits);
      detail::transform_spans(
          y, [&values](std::uint8_t code) { return values[code]; }, codes);
    }
  }

  /// The value of one code.
  [[nodiscard]] float decode(std::int32_t code, const State& state, int bits) const {
    if constexpr (AffinePolicy<Policy>) {
      return policy_.levels(state, bits).value(code);
    } else {
      return policy_.decode(code, state, bits);
    }
  }

  /// The integer line on which the codes of this tensor lie; only for an affine policy.
  template <class P = Policy>
  [[nodiscard]] IntegerLevels levels(std::span<const float> x, int bits) const {
    check_codes("levels", bits, {});
    return levels(state_of(x, bits), bits);
  }
  template <class P = Policy>
  [[nodiscard]] IntegerLevels levels(const State& state, int bits) const {
    static_assert(AffinePolicy<P>,
                  "bitdial: Quantizer<Policy>::levels: the values of this Policy are not "
                  "equidistant, it has no integer line; use `decode`.");
    check_codes("levels", bits, {});
    if constexpr (AffinePolicy<P>) return policy_.levels(state, bits);
  }

 private:
  /// A tensor, or what its policy puts in its place.
  class Shifted {
   public:
    Shifted(const Policy& policy, std::span<const float> x) : values_{x} {
      if constexpr (ShiftedPolicy<Policy>) {
        own_.resize(x.size());
        policy.shift(x, own_);
        values_ = own_;
      }
    }
    Shifted(const Shifted&) = delete;
    [[nodiscard]] std::span<const float> values() const noexcept { return values_; }

   private:
    std::vector<float> own_;
    std::span<const float> values_;
  };

  [[nodiscard]] State state_of(std::span<const float> x, int bits) const {
    return fit_state(policy_, Shifted{policy_, x}.values(), bits);
  }

  /// `IntegerLevels::value` in float: level and code are below 2^24, so nothing is rounded but the
  /// product with the scale. (Baseline x86 has no vector multiplication of 32-bit integers.)
  struct AffineValues {
    explicit AffineValues(const IntegerLevels& line) noexcept
        : scale{line.scale},
          multiplier{static_cast<float>(line.multiplier)},
          offset{static_cast<float>(line.offset)} {}
    [[nodiscard]] float operator()(float code) const noexcept {
      return scale * (multiplier * code + offset);
    }
    float scale;
    float multiplier;
    float offset;
  };

  struct Extent {
    std::string_view what;
    std::size_t size;
  };

  [[nodiscard]] static std::string prefix(std::string_view function) {
    return concat("Quantizer<", Policy::name, ">::", function, ": ");
  }

  static void check_bits(std::string_view function, int bits, bool legal, std::string_view also) {
    if (legal) return;
    constexpr int least = policy_min_bits<Policy>();
    constexpr int most = policy_max_bits<Policy>();
    throw PrecisionError(concat(prefix(function), "bits must be ", least, most > least ? ".." : "",
                                most > least ? std::to_string(most) : "", also, ", got ", bits));
  }

  static void check_sizes(std::string_view function, std::initializer_list<Extent> extents) {
    for (const Extent& other : extents) {
      const Extent& first = *extents.begin();
      if (other.size == first.size) continue;
      throw ShapeError(concat(prefix(function), first.what, " has ", first.size, " elements, ",
                              other.what, " has ", other.size));
    }
  }

  static void check(std::string_view function, int bits, std::initializer_list<Extent> extents) {
    check_bits(function, bits, supports_bits<Policy>(bits), " or 32");
    check_sizes(function, extents);
  }

  static void check_codes(std::string_view function, int bits,
                          std::initializer_list<Extent> extents) {
    check_bits(function, bits, bits != real_valued_bits && supports_bits<Policy>(bits), "");
    check_sizes(function, extents);
  }

  /// The policy's `encode` of one tensor.
  [[nodiscard]] auto encoder(const State& state, int bits) const {
    if constexpr (CodebookPolicy<Policy>) {
      return [book = policy_.codebook(state, bits)](float value) { return book.encode(value); };
    } else {
      return [policy = policy_, state, bits](float value) {
        return policy.encode(value, state, bits);
      };
    }
  }

  /// The value of every code, so that a non-affine decode runs once per code, not once per element.
  [[nodiscard]] std::array<float, 256> table(const State& state, int bits) const {
    std::array<float, 256> values{};
    const auto fill = [&](auto value_of) {
      for (std::int32_t code = 0; code < code_count<Policy>(bits); ++code) {
        values[static_cast<std::size_t>(code)] = value_of(code);
      }
    };
    if constexpr (CodebookPolicy<Policy>) {
      fill([book = policy_.codebook(state, bits)](std::int32_t code) { return book.decode(code); });
    } else {
      fill([&](std::int32_t code) { return decode(code, state, bits); });
    }
    return values;
  }

  Policy policy_{};
};

}  // namespace bitdial::inline BITDIAL_ABI
