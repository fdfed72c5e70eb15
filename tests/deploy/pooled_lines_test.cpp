// SPDX-License-Identifier: Apache-2.0
// Bands of lines: whatever the window, its lines are there when the pool asks for them, in memory
// that was planned, and nobody makes lines that nobody reads twice over.
#include <bitdial/deploy/pooled_lines.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace {

using namespace bitdial;
using detail::PooledLines;

Step convolution_of(std::int64_t lines, std::int64_t line_values) {
  Step step;
  step.kind = ops::NodeKind::conv2d;
  step.y_shape = {lines, line_values, 1};
  return step;
}
Step pool_of(const Step& convolution, const ops::Window& window) {
  Step step;
  step.kind = ops::NodeKind::max_pool2d;
  step.window = window;
  step.x_shape = convolution.y_shape;
  step.y_shape = {window.output_h(convolution.y_shape.h), convolution.y_shape.w, 1};
  return step;
}

/// Lines that are made for the lines `pooled` of the pool; checks that all are there in time. A
/// line's first value is its number.
std::int64_t lines_made(const Step& convolution, const Step& pool, IndexRange pooled) {
  const std::int64_t lines = convolution.y_shape.h, values = convolution.y_shape.w;
  const ops::Window& window = pool.window;
  const std::size_t count = PooledLines::bytes(convolution, pool) / sizeof(float);
  std::vector<float> memory(count, -1.0F);
  std::int64_t made = 0, last = 0;
  bool in_order = true, in_memory = true, there = true;
  const auto at = [&](const float* image, std::int64_t line) {
    return image - memory.data() + line * values;
  };
  const auto fits = [&](std::ptrdiff_t place) {
    return place >= 0 && place + values <= static_cast<std::ptrdiff_t>(count);
  };
  PooledLines band{convolution, pool, memory.data()};
  band.run(
      pooled,
      [&](IndexRange range, float* image) {
        in_order &= range.begin >= last && range.begin % PooledLines::unit == 0 &&
                    range.begin < range.end &&
                    (range.end % PooledLines::unit == 0 || range.end == lines);
        for (std::int64_t line = range.begin; line < range.end; ++line) {
          in_memory &= fits(at(image, line));
          if (in_memory) {
            memory[static_cast<std::size_t>(at(image, line))] = static_cast<float>(line);
          }
        }
        made += range.end - range.begin;
        last = range.end;
      },
      [&](std::int64_t line, const float* image) {
        for (std::int64_t ky = 0; ky < window.kernel_h; ++ky) {
          const std::int64_t y = line * window.stride_h - window.padding_h + ky * window.dilation_h;
          if (y < 0 || y >= lines) continue;
          there &= fits(at(image, y)) &&
                   memory[static_cast<std::size_t>(at(image, y))] == static_cast<float>(y);
        }
      });
  CAPTURE(window.kernel_h);
  CAPTURE(window.stride_h);
  CAPTURE(window.padding_h);
  CAPTURE(window.dilation_h);
  CAPTURE(lines);
  CAPTURE(values);
  CHECK(in_order);
  CHECK(in_memory);
  CHECK(there);
  return made;
}

TEST_CASE("all windows, also those that step over more lines than the memory holds") {
  for (const std::int64_t values : {8, 1 << 12, 1 << 14}) {  // 16 and 4 lines of the last two fit
    for (const std::int64_t lines : {1, 7, 45}) {
      const Step convolution = convolution_of(lines, values);
      for (const std::int64_t kernel : {1, 3, 6}) {
        for (const std::int64_t stride : {1, 2, 5, 13, 40}) {
          for (const std::int64_t padding : {0, 1, 9}) {
            for (const std::int64_t dilation : {1, 4}) {
              const ops::Window window{.kernel_h = kernel,
                                       .stride_h = stride,
                                       .padding_h = padding,
                                       .dilation_h = dilation};
              if (window.output_h(lines) < 1) continue;
              const Step pool = pool_of(convolution, window);
              const std::int64_t h = pool.y_shape.h;
              CHECK(lines_made(convolution, pool, {0, h}) <= lines);
              CHECK(lines_made(convolution, pool, {h / 2, h}) <= lines);
              if (h > 1) CHECK(lines_made(convolution, pool, {0, h / 2}) <= lines);
            }
          }
        }
      }
    }
  }
}

TEST_CASE("a part of a pool makes its own lines, and whole units at its ends") {
  // The whole image would fit.
  const Step convolution = convolution_of(64, 16);
  const Step pool = pool_of(convolution, {.kernel_h = 3, .stride_h = 2, .padding_h = 1});
  CHECK(lines_made(convolution, pool, {0, 32}) == 64);
  CHECK(lines_made(convolution, pool, {0, 16}) == 32);
  CHECK(lines_made(convolution, pool, {16, 32}) == 36);
  CHECK(lines_made(convolution, pool, {10, 12}) == 8);
}

TEST_CASE("memory: no more than the image, however large the window") {
  const Step convolution = convolution_of(7, 100);
  for (const std::int64_t padding : {0, 1 << 16}) {
    const Step pool =
        pool_of(convolution, {.kernel_h = padding > 0 ? 1 << 16 : 2, .padding_h = padding});
    CHECK(PooledLines::bytes(convolution, pool) == 8 * 100 * sizeof(float));
  }
}

}  // namespace
