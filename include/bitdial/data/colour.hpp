// SPDX-License-Identifier: Apache-2.0
// Random colours: jitter of brightness, contrast and saturation; noise along the principal
// components of the colours of ImageNet ("lighting").
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <span>
#include <utility>

#include <bitdial/core/error.hpp>
#include <bitdial/core/random.hpp>
#include <bitdial/core/text.hpp>

namespace bitdial::inline BITDIAL_ABI::data {

/// Largest relative changes, each >= 0 and at most 1. SP-Nets: 0.4 for all three.
struct ColourJitter {
  float brightness = 0.0F;
  float contrast = 0.0F;
  float saturation = 0.0F;

  friend bool operator==(const ColourJitter&, const ColourJitter&) = default;
};

/// What happens to the colours of one image.
struct ColourChange {
  enum class Kind : std::uint8_t { brightness, contrast, saturation };
  struct Step {
    Kind kind = Kind::brightness;
    float factor = 1.0F;
  };
  std::array<Step, 3> steps{};   ///< in this order
  std::array<float, 3> shift{};  ///< added to red, green and blue at the end

  /// Whether nothing changes.
  [[nodiscard]] bool is_identity() const noexcept {
    return std::ranges::all_of(steps, [](const Step& step) { return step.factor == 1.0F; }) &&
           std::ranges::all_of(shift, [](float value) { return value == 0.0F; });
  }
};

/// The eigenvalues and, in rows, eigenvectors of the covariance of the RGB values of ImageNet in
/// [0, 1], as the training code of ResNet published them.
inline constexpr std::array<float, 3> imagenet_colour_eigenvalues{0.2175F, 0.0188F, 0.0045F};
inline constexpr std::array<std::array<float, 3>, 3> imagenet_colour_eigenvectors{
    {{-0.5675F, -0.5808F, -0.5836F}, {0.7192F, -0.0045F, -0.6948F}, {0.4009F, -0.8140F, 0.4203F}}};

/// Factors uniform in [1 - jitter, 1 + jitter] in random order; shift = sum_i a_i l_i v_i with
/// a_i ~ N(0, lighting), l and v the eigenvalues and eigenvectors above.
///
/// Throws `ConfigError` for a jitter outside [0, 1] and a negative lighting.
/// Jitter: Howard, 1312.5402. Lighting: Krizhevsky et al., "ImageNet classification with deep
/// convolutional neural networks", 2012.
[[nodiscard]] inline ColourChange draw_colour(const ColourJitter& jitter, float lighting,
                                              Random& random) {
  const auto in_range = [](float value) { return value >= 0.0F && value <= 1.0F; };
  if (!in_range(jitter.brightness) || !in_range(jitter.contrast) || !in_range(jitter.saturation) ||
      !(lighting >= 0.0F && lighting < 100.0F)) {
    throw ConfigError(
        concat("colour: expected jitter in [0, 1] and lighting >= 0, found brightness ",
               jitter.brightness, ", contrast ", jitter.contrast, ", saturation ",
               jitter.saturation, ", lighting ", lighting));
  }
  using Kind = ColourChange::Kind;
  const auto factor = [&](float range) { return random.uniform(1.0F - range, 1.0F + range); };
  ColourChange change;
  change.steps[0] = {Kind::brightness, factor(jitter.brightness)};
  change.steps[1] = {Kind::contrast, factor(jitter.contrast)};
  change.steps[2] = {Kind::saturation, factor(jitter.saturation)};
  std::swap(change.steps[2], change.steps[random.below(3)]);
  std::swap(change.steps[1], change.steps[random.below(2)]);
  if (lighting > 0.0F) {
    for (std::size_t i = 0; i < 3; ++i) {
      const float amount = lighting * random.normal() * imagenet_colour_eigenvalues[i];
      for (std::size_t c = 0; c < 3; ++c) {
        change.shift[c] = std::fma(amount, imagenet_colour_eigenvectors[i][c], change.shift[c]);
      }
    }
  }
  return change;
}

/// Changes the colours of `pixels`, RGB values in [0, 1], which they stay:
///   brightness: f p;  contrast: f p + (1 - f) mean(grey);  saturation: f p + (1 - f) grey(p);
///   grey = 0.299 R + 0.587 G + 0.114 B;  each result is clamped to [0, 1].
inline void apply_colour(const ColourChange& change, std::span<float> pixels) {
  const auto grey = [](const float* p) {
    return std::fma(0.299F, p[0], std::fma(0.587F, p[1], 0.114F * p[2]));
  };
  const auto clamped = [](float value) { return std::clamp(value, 0.0F, 1.0F); };
  for (const auto& [kind, factor] : change.steps) {
    if (factor == 1.0F) continue;
    float mean = 0.0F;
    if (kind == ColourChange::Kind::contrast) {
      double sum = 0.0;
      for (std::size_t i = 0; i < pixels.size(); i += 3) {
        sum += static_cast<double>(grey(pixels.data() + i));
      }
      mean = static_cast<float>(sum / (static_cast<double>(pixels.size()) / 3.0));
    }
    for (std::size_t i = 0; i < pixels.size(); i += 3) {
      float* const p = pixels.data() + i;
      float other = mean;  // zero for brightness
      if (kind == ColourChange::Kind::saturation) other = grey(p);
      const float added = (1.0F - factor) * other;
      for (std::size_t c = 0; c < 3; ++c) p[c] = clamped(std::fma(factor, p[c], added));
    }
  }
  if (std::ranges::all_of(change.shift, [](float value) { return value == 0.0F; })) return;
  for (std::size_t i = 0; i < pixels.size(); ++i) {
    pixels[i] = clamped(pixels[i] + change.shift[i % 3]);
  }
}

}  // namespace bitdial::inline BITDIAL_ABI::data
