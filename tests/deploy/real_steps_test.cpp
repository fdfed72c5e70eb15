// SPDX-License-Identifier: Apache-2.0
// The real-valued steps of packed networks against the operations of the training graph.
#include <bitdial/deploy/real_steps.hpp>

#include <doctest/doctest.h>

#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>

#include <bitdial/core/random.hpp>
#include <bitdial/core/tensor.hpp>
#include <bitdial/ops/pooling.hpp>

using namespace bitdial;
using ops::Window;

namespace {

// Small whole numbers, so that equals meet, with NaN, infinities and both zeros among them.
Tensor<float> awkward_image(const Shape& shape) {
  constexpr float infinity = std::numeric_limits<float>::infinity();
  const float values[] = {std::nanf(""), -infinity, infinity, -0.0F, 0.0F, 1.0F, -2.0F};
  Tensor<float> x(shape);
  Random random(7, 0);
  for (float& value : x.span()) {
    const std::uint32_t i = random.below(12);
    value = values[i < 7 ? i : 0];  // half of them NaN: some windows hold nothing else
  }
  return x;
}

}  // namespace

TEST_CASE("max_pool_pixel has the bits of ops::max_pool2d_forward, NaN included") {
  const Shape shape{1, 9, 8, 19};
  const Tensor<float> x = awkward_image(shape);
  std::int64_t only_nan = 0;
  for (const Window& window :
       {Window::square(2, {.stride = 2}), Window::square(3, {.stride = 2, .padding = 1}),
        Window::square(2, {.stride = 9, .padding = 3}), Window::square(1)}) {
    const Shape pooled = ops::pool2d_output_shape("max_pool2d", shape, window);
    Tensor<float> expected(pooled);
    Tensor<std::int32_t> argmax(pooled);
    ops::max_pool2d_forward(expected.view(), argmax.view(), x.view(), window);
    Tensor<float> y(pooled);
    for (std::int64_t i = 0; i < pooled[1] * pooled[2]; ++i) {
      bitdial::detail::max_pool_pixel(window, {.h = 9, .w = 8, .c = 19}, x.data(), i / pooled[2],
                                      i % pooled[2], y.data() + i * 19);
    }
    CHECK(std::memcmp(y.data(), expected.data(), y.span().size_bytes()) == 0);
    for (const float value : y.span()) only_nan += std::isnan(value) ? 1 : 0;
  }
  CHECK(only_nan > 100);
}
