// SPDX-License-Identifier: Apache-2.0
#include <array>
#include <cmath>
#include <cstdint>
#include <set>
#include <vector>

#include <doctest/doctest.h>
#include <bitdial/data/colour.hpp>

using bitdial::ConfigError;
using bitdial::Random;
using bitdial::data::apply_colour;
using bitdial::data::ColourChange;
using bitdial::data::draw_colour;
using bitdial::data::imagenet_colour_eigenvalues;
using bitdial::data::imagenet_colour_eigenvectors;
using Kind = ColourChange::Kind;
using Pixels = std::vector<float>;

namespace {

Pixels recoloured(const ColourChange& change, Pixels pixels) {
  apply_colour(change, pixels);
  return pixels;
}

ColourChange only(Kind kind, float factor) {
  ColourChange change;
  change.steps[1] = {kind, factor};
  return change;
}

const Pixels picture{0.2F, 0.4F, 0.6F, 0.5F, 0.5F, 0.5F, 0.9F, 0.1F, 0.3F};

double grey(const float* p) {
  return 0.299 * static_cast<double>(p[0]) + 0.587 * static_cast<double>(p[1]) +
         0.114 * static_cast<double>(p[2]);
}

}  // namespace

TEST_CASE("no change is the identity") {
  CHECK(ColourChange{}.is_identity());
  CHECK(recoloured({}, picture) == picture);
}

TEST_CASE("brightness scales, and values stay in [0, 1]") {
  const Pixels bright = recoloured(only(Kind::brightness, 1.5F), picture);
  for (std::size_t i = 0; i < picture.size(); ++i) {
    CHECK(bright[i] == doctest::Approx(std::min(1.0F, 1.5F * picture[i])));
  }
  for (const float value : recoloured(only(Kind::brightness, 0.0F), picture)) CHECK(value == 0.0F);
}

TEST_CASE("saturation keeps the grey value, factor 0 leaves nothing else") {
  const Pixels pale = recoloured(only(Kind::saturation, 0.6F), picture);
  const Pixels none = recoloured(only(Kind::saturation, 0.0F), picture);
  for (std::size_t i = 0; i < picture.size(); i += 3) {
    CHECK(grey(&pale[i]) == doctest::Approx(grey(&picture[i])));
    for (std::size_t c = 0; c < 3; ++c) {
      CHECK(static_cast<double>(none[i + c]) == doctest::Approx(grey(&picture[i])));
    }
  }
  for (std::size_t c = 3; c < 6; ++c) CHECK(pale[c] == doctest::Approx(0.5F));
}

TEST_CASE("contrast keeps the mean grey value, factor 0 leaves nothing else") {
  double mean = 0.0;
  for (std::size_t i = 0; i < picture.size(); i += 3) mean += grey(&picture[i]) / 3.0;
  const Pixels flat = recoloured(only(Kind::contrast, 0.7F), picture);
  double flat_mean = 0.0;
  for (std::size_t i = 0; i < picture.size(); i += 3) flat_mean += grey(&flat[i]) / 3.0;
  CHECK(flat_mean == doctest::Approx(mean));
  for (const float value : recoloured(only(Kind::contrast, 0.0F), picture)) {
    CHECK(static_cast<double>(value) == doctest::Approx(mean));
  }
}

TEST_CASE("factors lie in their range, the order is random") {
  std::set<std::array<Kind, 3>> orders;
  for (std::uint64_t i = 0; i < 300; ++i) {
    Random random(2, i);
    const ColourChange change =
        draw_colour({.brightness = 0.4F, .contrast = 0.2F, .saturation = 0.1F}, 0.0F, random);
    std::array<Kind, 3> order{};
    for (std::size_t s = 0; s < 3; ++s) {
      const auto [kind, factor] = change.steps[s];
      order[s] = kind;
      const float range = kind == Kind::brightness ? 0.4F : kind == Kind::contrast ? 0.2F : 0.1F;
      CHECK(std::abs(factor - 1.0F) <= range + 1e-6F);
      CHECK(factor != 1.0F);
    }
    orders.insert(order);
    CHECK(change.shift == std::array<float, 3>{});
  }
  CHECK(orders.size() == 6);
  Random random(2, 0);
  CHECK(draw_colour({}, 0.0F, random).is_identity());
}

TEST_CASE("lighting has the covariance of the colours, times its deviation squared") {
  // cov(shift) = s^2 V diag(l^2) V^T, over many draws.
  constexpr float strength = 0.1F;
  constexpr int count = 40000;
  double covariance[3][3] = {};
  for (std::uint64_t i = 0; i < count; ++i) {
    Random random(5, i);
    const auto shift = draw_colour({}, strength, random).shift;
    for (std::size_t a = 0; a < 3; ++a) {
      for (std::size_t b = 0; b < 3; ++b) {
        covariance[a][b] += static_cast<double>(shift[a]) * static_cast<double>(shift[b]) / count;
      }
    }
  }
  for (std::size_t a = 0; a < 3; ++a) {
    for (std::size_t b = 0; b < 3; ++b) {
      double wanted = 0.0;
      for (std::size_t k = 0; k < 3; ++k) {
        const double value = static_cast<double>(strength * imagenet_colour_eigenvalues[k]);
        wanted += value * value * static_cast<double>(imagenet_colour_eigenvectors[k][a]) *
                  static_cast<double>(imagenet_colour_eigenvectors[k][b]);
      }
      CHECK(covariance[a][b] == doctest::Approx(wanted).epsilon(0.05));
    }
  }
}

TEST_CASE("the eigenvectors are orthonormal") {
  for (std::size_t a = 0; a < 3; ++a) {
    for (std::size_t b = 0; b < 3; ++b) {
      double product = 0.0;
      for (std::size_t c = 0; c < 3; ++c) {
        product += static_cast<double>(imagenet_colour_eigenvectors[a][c]) *
                   static_cast<double>(imagenet_colour_eigenvectors[b][c]);
      }
      CHECK(std::abs(product - (a == b ? 1.0 : 0.0)) < 1e-3);
    }
  }
}

TEST_CASE("a shift is added and clamped") {
  ColourChange change;
  change.shift = {0.25F, -0.25F, 0.0F};
  CHECK(recoloured(change, {0.5F, 0.5F, 0.5F, 0.875F, 0.125F, 1.0F}) ==
        Pixels{0.75F, 0.25F, 0.5F, 1.0F, 0.0F, 1.0F});
}

TEST_CASE("options out of range") {
  Random random(1, 1);
  CHECK_THROWS_AS(static_cast<void>(draw_colour({.contrast = 1.5F}, 0.0F, random)), ConfigError);
  CHECK_THROWS_AS(static_cast<void>(draw_colour({.saturation = -0.1F}, 0.0F, random)), ConfigError);
  CHECK_THROWS_AS(static_cast<void>(draw_colour({}, -1.0F, random)), ConfigError);
  CHECK_THROWS_AS(static_cast<void>(draw_colour({}, std::nanf(""), random)), ConfigError);
}
