// SPDX-License-Identifier: Apache-2.0
// LQ-Nets: values are sums of a learned basis, one number of the basis per bit.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string_view>

#include <bitdial/core/batch_group.hpp>
#include <bitdial/core/config.hpp>
#include <bitdial/quant/codebook.hpp>
#include <bitdial/quant/learned_parameter.hpp>
#include <bitdial/quant/policy.hpp>
#include <bitdial/quant/span_loops.hpp>
#include <bitdial/quant/statistics.hpp>
#include <bitdial/quant/straight_through.hpp>

namespace bitdial::inline BITDIAL_ABI {

/// What a bit of an LQ-Nets code is worth when it is 0: the negative of the basis, or nothing.
enum class BasisBits { minus_and_plus, zero_and_one };

/// The basis v of LQ-Nets; at k bits the first k numbers count.
struct LqNetsState {
  std::array<float, 8> basis{};

  /// sum over i of b_i v_i for each of the 2^k patterns of bits b.
  [[nodiscard]] std::array<float, 256> sums(BasisBits kind, int bits) const noexcept {
    std::array<float, 256> values{};
    for (std::size_t pattern = 0; pattern < std::size_t{1} << bits; ++pattern) {
      for (std::size_t i = 0; i < static_cast<std::size_t>(bits); ++i) {
        const bool is_set = ((pattern >> i) & 1U) != 0;
        if (is_set) {
          values[pattern] += basis[i];
        } else if (kind == BasisBits::minus_and_plus) {
          values[pattern] -= basis[i];
        }
      }
    }
    return values;
  }
  [[nodiscard]] Codebook codebook(BasisBits kind, int bits) const noexcept {
    const std::array<float, 256> values = sums(kind, bits);
    return Codebook{std::span{values}.first(std::size_t{1} << bits)};
  }
  friend bool operator==(const LqNetsState&, const LqNetsState&) = default;
};

namespace detail {

/// How many elements each code has, and their sum.
struct CodeSums {
  std::array<double, 256> count{};
  std::array<double, 256> sum{};
};

[[nodiscard]] inline CodeSums code_sums(std::span<const float> x, const Codebook& book) {
  return reduce_chunks(
      x.size(), CodeSums{},
      [x, &book](std::int64_t begin, std::int64_t end) {
        CodeSums chunk;
        for (auto i = static_cast<std::size_t>(begin); i < static_cast<std::size_t>(end); ++i) {
          if (!std::isfinite(x[i])) continue;
          const auto code = static_cast<std::size_t>(book.encode(x[i]));
          chunk.count[code] += 1.0;
          chunk.sum[code] += static_cast<double>(x[i]);
        }
        return chunk;
      },
      [](CodeSums total, const CodeSums& chunk) {
        for (std::size_t code = 0; code < total.count.size(); ++code) {
          total.count[code] += chunk.count[code];
          total.sum[code] += chunk.sum[code];
        }
        return total;
      });
}

/// The basis after one step of QEM: encode x, then v = (B^T B + r I)^-1 (B^T x + r v_old),
/// r = 1e-4, then 0.9 v_old + 0.1 v. Elements that are not finite are left out.
/// Where `group` holds the other parts of x, they are added up.
[[nodiscard]] inline LqNetsState qem_step(std::span<const float> x, const LqNetsState& state,
                                          BasisBits kind, int bits, BatchGroup* group = nullptr) {
  constexpr double ridge = 1e-4;
  constexpr double kept = 0.9;
  const auto size = static_cast<std::size_t>(bits);
  const std::size_t patterns = std::size_t{1} << bits;
  CodeSums found = code_sums(x, state.codebook(kind, bits));
  if (group != nullptr) {
    group->sum(found.count);
    group->sum(found.sum);
  }
  // The bits of a code: patterns in the order of their values.
  const std::array<float, 256> values = state.sums(kind, bits);
  std::array<std::size_t, 256> order{};
  for (std::size_t i = 0; i < patterns; ++i) order[i] = i;
  std::sort(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(patterns),
            [&](std::size_t a, std::size_t b) {
              return values[a] < values[b] || (values[a] == values[b] && a < b);
            });
  std::array<std::array<double, 9>, 8> rows{};  // B^T B + r I, and the right side
  for (std::size_t code = 0; code < patterns; ++code) {
    const auto bit = [&](std::size_t i) {
      if (((order[code] >> i) & 1U) != 0) return 1.0;
      return kind == BasisBits::minus_and_plus ? -1.0 : 0.0;
    };
    for (std::size_t i = 0; i < size; ++i) {
      for (std::size_t j = 0; j < size; ++j) rows[i][j] += found.count[code] * bit(i) * bit(j);
      rows[i][8] += found.sum[code] * bit(i);
    }
  }
  for (std::size_t i = 0; i < size; ++i) {
    rows[i][i] += ridge;
    rows[i][8] += ridge * static_cast<double>(state.basis[i]);
  }
  // Elimination without pivots: the matrix is symmetric and positive definite.
  for (std::size_t i = 0; i < size; ++i) {
    for (std::size_t j = 0; j < size; ++j) {
      if (j == i) continue;
      const double factor = rows[j][i] / rows[i][i];
      for (std::size_t k = i; k < rows[j].size(); ++k) rows[j][k] -= factor * rows[i][k];
    }
  }
  LqNetsState next = state;
  for (std::size_t i = 0; i < size; ++i) {
    const auto old = static_cast<double>(state.basis[i]);
    next.basis[i] = static_cast<float>(kept * old + (1.0 - kept) * rows[i][8] / rows[i][i]);
  }
  return next;
}

/// v_i = first 2^i.
[[nodiscard]] inline LqNetsState doubling_basis(double first, int bits) noexcept {
  LqNetsState state;
  for (int i = 0; i < bits; ++i) {
    state.basis[static_cast<std::size_t>(i)] = static_cast<float>(std::ldexp(first, i));
  }
  return state;
}

/// The published start of a basis suits normal values of deviation 1 with this factor.
inline constexpr double normal_quartile = 0.6745;

}  // namespace detail

/// Weights sum_i b_i v_i with b in {-1, 1}, one learned basis v per output filter.
///
/// The nearest sum is taken, the middle of two belongs to the lower one. A training pass quantizes
/// with v, then moves v by one step of QEM: 0.9 v + 0.1 (B^T B + r I)^-1 (B^T w + r v), B the bits
/// of the codes of w, r = 1e-4. v starts at 0.6745 sqrt(2 / n) / 2^(k-1) 2^i with n = taps x output
/// channels. Gradient: identity. 32 bits: identity. Non-finite weights throw `Error`.
/// Zhang et al., "LQ-Nets", arXiv 1807.10029.
struct LqNetsWeights {
  static constexpr std::string_view name = "LqNetsWeights";
  static constexpr std::string_view paper = "arXiv 1807.10029";
  static constexpr TensorRole role = TensorRole::weights;
  static constexpr bool straight_through = true;
  static constexpr bool filterwise = true;
  static constexpr BasisBits bits_of_basis = BasisBits::minus_and_plus;
  using State = LqNetsState;
  static constexpr std::array parameters{learned<&State::basis>("basis")};

  std::int64_t fan_out = 0;  ///< n; a layer sets it. 0: the number of weights of the filter

  [[nodiscard]] LqNetsWeights for_shape(const WeightShape& shape) const {
    return {fan_out > 0 ? fan_out : shape.taps * shape.out_channels};
  }
  [[nodiscard]] State fit(std::span<const float> w, int bits) const {
    static_cast<void>(weight_statistics(name, w));
    if (bits == real_valued_bits) return {};
    const double n = std::fmax(1.0, static_cast<double>(fan_out > 0 ? fan_out : std::ssize(w)));
    const double largest = detail::normal_quartile * std::sqrt(2.0 / n);
    return detail::doubling_basis(std::ldexp(largest, 1 - bits), bits);
  }
  [[nodiscard]] Codebook codebook(const State& state, int bits) const noexcept {
    return state.codebook(bits_of_basis, bits);
  }
  [[nodiscard]] std::int32_t encode(float w, const State& state, int bits) const noexcept {
    return codebook(state, bits).encode(w);
  }
  [[nodiscard]] float decode(std::int32_t code, const State& state, int bits) const noexcept {
    return codebook(state, bits).decode(code);
  }
  [[nodiscard]] float real_valued(float w, const State&) const noexcept { return w; }
  [[nodiscard]] State relearn(std::span<const float> w, const State& state, int bits) const {
    return detail::qem_step(w, state, bits_of_basis, bits);
  }
};

/// Activations sum_i b_i v_i with b in {0, 1}, one learned basis v per layer; zero is a value.
///
/// As `LqNetsWeights`; v starts at 0.6745 * 2 / (2^k - 1) 2^i, which suits unit variance. Gradient:
/// 1 for x up to the largest value, negative x included (a ReLU precedes), else 0. 32 bits:
/// identity. NaN gets code 0 and no gradient. Zhang et al., "LQ-Nets", arXiv 1807.10029.
struct LqNetsActivations {
  static constexpr std::string_view name = "LqNetsActivations";
  static constexpr std::string_view paper = "arXiv 1807.10029";
  static constexpr TensorRole role = TensorRole::activations;
  static constexpr BasisBits bits_of_basis = BasisBits::zero_and_one;
  using State = LqNetsState;
  static constexpr std::array parameters{learned<&State::basis>("basis")};

  [[nodiscard]] static constexpr bool represents_zero() noexcept { return true; }

  [[nodiscard]] State fit(std::span<const float>, int bits) const noexcept {
    if (bits == real_valued_bits) return {};
    return detail::doubling_basis(detail::normal_quartile * 2.0 / ((1 << bits) - 1), bits);
  }
  [[nodiscard]] Codebook codebook(const State& state, int bits) const noexcept {
    return state.codebook(bits_of_basis, bits);
  }
  [[nodiscard]] std::int32_t encode(float x, const State& state, int bits) const noexcept {
    return codebook(state, bits).encode(x);
  }
  [[nodiscard]] float decode(std::int32_t code, const State& state, int bits) const noexcept {
    return codebook(state, bits).decode(code);
  }
  [[nodiscard]] float real_valued(float x, const State&) const noexcept { return x; }
  [[nodiscard]] State relearn(std::span<const float> x, const State& state, int bits,
                              BatchGroup* group = nullptr) const {
    return detail::qem_step(x, state, bits_of_basis, bits, group);
  }

  template <class Real>
  void surrogate(std::span<const Real> x, const State& state, int bits, std::span<Real> y) const {
    clamp(state, bits).forward(x, y);
  }
  void backward(std::span<const float> x, std::span<const float> dy, const State& state, int bits,
                std::span<float> dx) const {
    clamp(state, bits).backward(x, dy, dx);
  }

 private:
  [[nodiscard]] ClampSurrogate clamp(const State& state, int bits) const noexcept {
    if (bits == real_valued_bits) return ClampSurrogate::identity();
    return {-std::numeric_limits<float>::infinity(), decode((1 << bits) - 1, state, bits)};
  }
};

}  // namespace bitdial::inline BITDIAL_ABI
