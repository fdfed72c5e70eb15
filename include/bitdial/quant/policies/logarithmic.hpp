// SPDX-License-Identifier: Apache-2.0
// Logarithmic weights and activations: the Log quantizer of SP-Nets.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string_view>

#include <bitdial/core/config.hpp>
#include <bitdial/quant/grid.hpp>
#include <bitdial/quant/log_range.hpp>
#include <bitdial/quant/policy.hpp>
#include <bitdial/quant/span_loops.hpp>
#include <bitdial/quant/statistics.hpp>
#include <bitdial/quant/straight_through.hpp>

namespace bitdial::inline BITDIAL_ABI {

namespace detail {

struct MagnitudeRange {
  float min = std::numeric_limits<float>::infinity();
  float max = 0.0F;
};

// The smallest and the largest of magnitude(x_i).
template <class Magnitude>
[[nodiscard]] MagnitudeRange magnitude_range(std::span<const float> x, Magnitude magnitude) {
  return reduce_chunks(
      x.size(), MagnitudeRange{},
      [x, magnitude](std::int64_t begin, std::int64_t end) {
        MagnitudeRange chunk;
        for (auto i = static_cast<std::size_t>(begin); i < static_cast<std::size_t>(end); ++i) {
          const float m = magnitude(x[i]);
          chunk.min = std::min(chunk.min, m);
          chunk.max = std::max(chunk.max, m);
        }
        return chunk;
      },
      [](MagnitudeRange a, MagnitudeRange b) {
        return MagnitudeRange{std::min(a.min, b.min), std::max(a.max, b.max)};
      });
}

}  // namespace detail

/// Weights +-2^e, e equidistant between the smallest and the largest log2 |w|; no zero.
///
/// m = min(|w|, 1) / max of it; k >= 2: one bit is the sign (sign(0) = +1), the others number
/// 2^(k-1) exponents, see `LogRange`. k = 1: sign(w). 32 bits: identity. Gradient identity for
/// every width. If all magnitudes are equal every code has that magnitude; a tensor of zeros has
/// the floor magnitude. Non-finite weights throw `Error`. From code of the first author of SP-Nets:
/// that the paper means this quantizer is inferred. Guerra et al., "Switchable precision neural
/// networks", arXiv 2002.02815.
struct LogWeights {
  static constexpr std::string_view name = "LogWeights";
  static constexpr std::string_view paper = "arXiv 2002.02815";
  static constexpr TensorRole role = TensorRole::weights;
  static constexpr bool straight_through = true;

  struct State {
    float divisor = 1.0F;  ///< the largest of min(|w|, 1), 1 if that is 0
    LogRange range;
    friend bool operator==(const State&, const State&) = default;
  };

  [[nodiscard]] State fit(std::span<const float> w) const {
    static_cast<void>(weight_statistics(name, w));
    if (w.empty()) return {};
    const auto found = detail::magnitude_range(w, clamped_magnitude);
    const float divisor = found.max > 0.0F ? found.max : 1.0F;
    return {divisor, LogRange::of(found.min / divisor, found.max / divisor)};
  }

  [[nodiscard]] std::int32_t encode(float w, const State& state, int bits) const noexcept {
    if (bits == 1) return SignGrid::encode_zero_up(w);
    const float magnitude = clamped_magnitude(w) / state.divisor;
    return SignedLogCode::encode(!(w >= 0.0F), state.range.encode(magnitude, bits, LogSides::two),
                                 bits);
  }

  [[nodiscard]] float decode(std::int32_t code, const State& state, int bits) const noexcept {
    if (bits == 1) return SignGrid::levels().value(code);
    const float magnitude =
        state.range.decode(SignedLogCode::magnitude(code, bits), bits, LogSides::two);
    return SignedLogCode::negative(code, bits) ? -magnitude : magnitude;
  }

  [[nodiscard]] float real_valued(float w, const State&) const noexcept { return w; }

 private:
  [[nodiscard]] static float clamped_magnitude(float w) noexcept {
    return std::fabs(clamp_nan_low(w, -1.0F, 1.0F));
  }
};

/// What the gradient of `LogActivations` does outside the clamp.
enum class LogGradient {
  identity,  ///< dx = dy everywhere
  clipped    ///< dx = dy inside [0, 1] or [-1, 1], ends included, else 0
};

/// Activations 2^e (one-sided) or +-2^e, e equidistant between the smallest and the largest
/// log2 |x|; no zero.
///
/// x is clamped to [0, 1] (one-sided) or [-1, 1]; then k >= 2 bits number 2^k exponents, or a sign
/// (sign(0) = +1) and 2^(k-1) exponents, see `LogRange`. k = 1: sign(x) with sign(0) = -1, gradient
/// 1 for |x| <= 1. 32 bits: identity. If all magnitudes are equal every code has that magnitude.
/// NaN counts as the lower end of the clamp. From code of the first author of SP-Nets: that the
/// paper means this quantizer is inferred, and so is a running range. Guerra et al., "Switchable
/// precision neural networks", arXiv 2002.02815.
struct LogActivations {
  static constexpr std::string_view name = "LogActivations";
  static constexpr std::string_view paper = "arXiv 2002.02815";
  static constexpr TensorRole role = TensorRole::activations;

  using State = LogRange;

  bool one_sided = true;
  LogGradient gradient = LogGradient::identity;

  [[nodiscard]] State fit(std::span<const float> x) const {
    if (x.empty()) return {};
    const auto found = detail::magnitude_range(
        x, [low = low()](float value) { return std::fabs(clamp_nan_low(value, low, 1.0F)); });
    return LogRange::of(found.min, found.max);
  }

  /// The running range, blended in the log domain.
  [[nodiscard]] State blend(const State& previous, const State& batch,
                            float momentum) const noexcept {
    const double m = momentum;
    return {std::fma(m, batch.low - previous.low, previous.low),
            std::fma(m, batch.high - previous.high, previous.high)};
  }

  [[nodiscard]] std::int32_t encode(float x, const State& state, int bits) const noexcept {
    if (bits == 1) return SignGrid::encode_zero_down(x);
    const std::int32_t e = state.encode(std::fabs(clamp_nan_low(x, low(), 1.0F)), bits, sides());
    return one_sided ? e : SignedLogCode::encode(!(x >= 0.0F), e, bits);
  }

  [[nodiscard]] float decode(std::int32_t code, const State& state, int bits) const noexcept {
    if (bits == 1) return SignGrid::levels().value(code);
    if (one_sided) return state.decode(code, bits, sides());
    const float magnitude = state.decode(SignedLogCode::magnitude(code, bits), bits, sides());
    return SignedLogCode::negative(code, bits) ? -magnitude : magnitude;
  }

  [[nodiscard]] float real_valued(float x, const State&) const noexcept { return x; }

  template <class Real>
  void surrogate(std::span<const Real> x, int bits, std::span<Real> y) const {
    if (bits == 1) return SignGrid::hard_tanh().forward(x, y);
    if (is_identity(bits)) return IdentitySurrogate::forward(x, y);
    ClampSurrogate{low(), 1.0F}.forward(x, y);
  }
  void backward(std::span<const float> x, std::span<const float> dy, const State&, int bits,
                std::span<float> dx) const {
    if (bits == 1) return SignGrid::hard_tanh().backward(x, dy, dx);
    if (is_identity(bits)) return IdentitySurrogate::backward(dy, dx);
    ClampSurrogate{low(), 1.0F}.backward(x, dy, dx);
  }

  [[nodiscard]] std::optional<ClampSurrogate> gate(int bits) const noexcept {
    if (bits == 1) return SignGrid::hard_tanh();
    return is_identity(bits) ? ClampSurrogate::identity() : ClampSurrogate{low(), 1.0F};
  }

 private:
  [[nodiscard]] float low() const noexcept { return one_sided ? 0.0F : -1.0F; }
  [[nodiscard]] LogSides sides() const noexcept {
    return one_sided ? LogSides::one : LogSides::two;
  }
  [[nodiscard]] bool is_identity(int bits) const noexcept {
    return bits == real_valued_bits || gradient == LogGradient::identity;
  }
};

}  // namespace bitdial::inline BITDIAL_ABI
