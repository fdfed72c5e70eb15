// SPDX-License-Identifier: Apache-2.0
// The smallest policy that satisfies `QuantizationPolicy`; the cases take one piece away each.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <string_view>

#include <bitdial/quant/quantizer.hpp>

struct ArchetypePolicy {
  static constexpr std::string_view name = "archetype";
  static constexpr std::string_view paper = "none";
  static constexpr bitdial::TensorRole role = bitdial::TensorRole::weights;
  struct State {};

  [[nodiscard]] State fit(std::span<const float>) const { return {}; }
  [[nodiscard]] std::int32_t encode(float, const State&, int) const { return 0; }
  [[nodiscard]] bitdial::IntegerLevels levels(const State&, int) const { return {}; }
  [[nodiscard]] float real_valued(float x, const State&) const { return x; }
  void surrogate(std::span<const double>, int, std::span<double> y) const {
    std::ranges::fill(y, 0.0);
  }
  void backward(std::span<const float>, std::span<const float>, const State&, int,
                std::span<float> dx) const {
    std::ranges::fill(dx, 0.0F);
  }
};
