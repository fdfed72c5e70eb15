// SPDX-License-Identifier: Apache-2.0
// Grouped convolution by its definition, one multiplication after the other.
#pragma once

#include <cstdint>
#include <vector>

#include <bitdial/ops/grouped_conv2d.hpp>

namespace op_test {

struct GroupedCase {
  bitdial::Shape x;
  std::int64_t out = 1;
  std::int64_t groups = 1;
  bitdial::ops::Window window;

  [[nodiscard]] bitdial::Shape w() const {
    return {out, window.kernel_h, window.kernel_w, x[3] / groups};
  }
  [[nodiscard]] bitdial::Shape y() const {
    return bitdial::ops::grouped_conv2d_output_shape(x, w(), window, groups);
  }
};

/// Calls f(index of y, of x, of w) for every product, taps in the order of w.
template <class F>
void for_each_product(const GroupedCase& c, F f) {
  const bitdial::Shape y = c.y();
  const bitdial::Shape w = c.w();
  const bitdial::ops::Window& v = c.window;
  for (std::int64_t n = 0; n < y[0]; ++n)
    for (std::int64_t oh = 0; oh < y[1]; ++oh)
      for (std::int64_t ow = 0; ow < y[2]; ++ow)
        for (std::int64_t o = 0; o < y[3]; ++o)
          for (std::int64_t kh = 0; kh < w[1]; ++kh)
            for (std::int64_t kw = 0; kw < w[2]; ++kw)
              for (std::int64_t i = 0; i < w[3]; ++i) {
                const std::int64_t ih = oh * v.stride_h + kh * v.dilation_h - v.padding_h;
                const std::int64_t iw = ow * v.stride_w + kw * v.dilation_w - v.padding_w;
                if (ih < 0 || ih >= c.x[1] || iw < 0 || iw >= c.x[2]) continue;
                const std::int64_t channel = o / (c.out / c.groups) * w[3] + i;
                f(((n * y[1] + oh) * y[2] + ow) * y[3] + o,
                  ((n * c.x[1] + ih) * c.x[2] + iw) * c.x[3] + channel,
                  ((o * w[1] + kh) * w[2] + kw) * w[3] + i);
              }
}

}  // namespace op_test
