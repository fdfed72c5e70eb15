// SPDX-License-Identifier: Apache-2.0
// Tensors for tests: random contents, comparison of bits, text of an exception.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <string>
#include <utility>

#include <bitdial/core/random.hpp>
#include <bitdial/core/tensor.hpp>

namespace test {

/// Uniform values in [low, high); equal arguments give equal tensors.
inline bitdial::Tensor<float> random_tensor(const bitdial::Shape& shape, std::uint64_t seed,
                                            float low = -1.0F, float high = 1.0F) {
  bitdial::Random random(seed, 77);
  bitdial::Tensor<float> tensor(shape);
  for (float& x : tensor.span()) x = random.uniform(low, high);
  return tensor;
}

/// Images as networks see them: multiples of 1/255 in [0, 1].
inline bitdial::Tensor<float> random_images(const bitdial::Shape& shape, std::uint64_t seed) {
  bitdial::Random random(seed, 78);
  bitdial::Tensor<float> tensor(shape);
  for (float& x : tensor.span()) x = static_cast<float>(random.below(256)) / 255.0F;
  return tensor;
}

/// True for equal shapes and equal bits, so that -0 differs from 0.
inline bool same_bits(const bitdial::Tensor<float>& a, const bitdial::Tensor<float>& b) {
  return a.shape() == b.shape() && std::ranges::equal(a.span(), b.span(), [](float x, float y) {
           return std::bit_cast<std::uint32_t>(x) == std::bit_cast<std::uint32_t>(y);
         });
}

/// max |a - b| over max |a|, for equal shapes.
inline float relative_difference(const bitdial::Tensor<float>& a, const bitdial::Tensor<float>& b) {
  float largest = 0.0F, size = 0.0F;
  for (std::int64_t i = 0; i < a.size(); ++i) {
    largest = std::max(largest, std::fabs(a[i] - b[i]));
    size = std::max(size, std::fabs(a[i]));
  }
  return largest / size;
}

/// The text of the exception of type `E` that `f` throws; "" when it throws none.
template <class E, class F>
std::string error_text(F&& f) {
  try {
    std::forward<F>(f)();
  } catch (const E& error) {
    return error.what();
  }
  return "";
}

inline bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace test
