// SPDX-License-Identifier: Apache-2.0
// DoReFa's quantizer of gradients: few bits per number, rounded at random.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>

#include <bitdial/core/config.hpp>
#include <bitdial/core/error.hpp>
#include <bitdial/core/parallel.hpp>
#include <bitdial/core/random.hpp>
#include <bitdial/core/text.hpp>
#include <bitdial/quant/grid.hpp>
#include <bitdial/quant/precision.hpp>

namespace bitdial::inline BITDIAL_ABI {

/// Replaces the gradients of each of `images` images by 2^G equidistant values around 0.
///
/// g_q = 2 m (Q_G(clamp(g / (2 m) + 1/2 + u / (2^G - 1), 0, 1)) - 1/2), m = max|g| of the image, u
/// uniform in [-1/2, 1/2): the mean over u is g. An image of zeros stays as it is, and so does one
/// whose maximum is not finite. `g` holds the images one after the other; 1..8 bits, else
/// `PrecisionError`. Number i of `random` belongs to element i, so threads do not matter.
/// Zhou et al., "DoReFa-Net", arXiv 1606.06160.
inline void quantize_gradients(std::span<float> g, std::int64_t images, int bits,
                               const Random& random) {
  if (bits < 1 || bits > max_code_bits) {
    throw PrecisionError(
        concat("quantize_gradients: bits must be 1..", max_code_bits, ", got ", bits));
  }
  if (images < 1 || std::ssize(g) % images != 0) {
    throw ShapeError(
        concat("quantize_gradients: ", g.size(), " gradients are not ", images, " images"));
  }
  const std::size_t size = g.size() / static_cast<std::size_t>(images);
  const std::int32_t top = (1 << bits) - 1;
  const auto steps = static_cast<float>(top);
  parallel_for(images, 1, [&](std::int64_t begin, std::int64_t end) {
    for (auto image = static_cast<std::size_t>(begin); image < static_cast<std::size_t>(end);
         ++image) {
      const std::span<float> part = g.subspan(image * size, size);
      float largest = 0.0F;
      for (const float value : part) largest = std::max(largest, std::fabs(value));
      const float step = largest / steps;
      if (!(step > 0.0F) || !std::isfinite(largest)) continue;
      Random numbers = random;
      numbers.seek(image * size);
      for (float& value : part) {
        const float shift = (numbers.uniform() - 0.5F) / steps;
        const float unit = value / largest / 2.0F + 0.5F + shift;
        value = step * static_cast<float>(2 * RoundGrid::encode(unit, bits) - top);
      }
    }
  });
}

}  // namespace bitdial::inline BITDIAL_ABI
