// SPDX-License-Identifier: Apache-2.0
// The meaning of the depthwise kernels on real numbers, in portable C++. They can start at a
// channel.

template <class T>
void depthwise_taps_from(const DepthwiseTaps<T>& d, std::int64_t first) noexcept {
  for (std::int64_t p = 0; p < d.pixels; ++p) {
    for (std::int64_t c = first; c < d.channels; ++c) {
      T& y = d.y[p * d.y_step + c];
      T sum = d.accumulate ? y : T{0};
      for (std::int64_t t = 0; t < d.taps; ++t) {
        sum = std::fma(d.x[t][p * d.x_step + c], d.w[t][c], sum);
      }
      y = sum;
    }
  }
}

template <class T>
void depthwise_weight_sums_from(const DepthwiseWeightSums<T>& d, std::int64_t first) noexcept {
  for (std::int64_t t = 0; t < d.taps; ++t) {
    for (std::int64_t p = 0; p < d.pixels; ++p) {
      for (std::int64_t c = first; c < d.channels; ++c) {
        d.dw[t][c] = std::fma(d.dy[p * d.channels + c], d.x[t][p * d.x_step + c], d.dw[t][c]);
      }
    }
  }
}

template <class T>
void depthwise_taps(const DepthwiseTaps<T>& d) noexcept {
  depthwise_taps_from(d, 0);
}

template <class T>
void depthwise_weight_sums(const DepthwiseWeightSums<T>& d) noexcept {
  depthwise_weight_sums_from(d, 0);
}
