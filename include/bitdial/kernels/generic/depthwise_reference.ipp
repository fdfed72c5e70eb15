// SPDX-License-Identifier: Apache-2.0
// The meaning of the depthwise kernel on codes, in portable C++.

template <std::int64_t cols>
void depthwise_u8s8(const DepthwiseU8S8& d) noexcept {
  const std::int64_t g = d.group_taps, groups = depthwise_groups(d.taps, g);
  for (std::int64_t p = 0; p < d.pixels; ++p) {
    for (std::int64_t c = 0; c < d.channels; ++c) {
      const std::int64_t place = depthwise_place(c, cols);
      std::int32_t products = 0;
      std::int32_t codes = 0;
      for (std::int64_t t = 0; t < d.taps; ++t) {
        const std::int32_t code = d.x[p * d.x_step + d.offsets[t] + c];
        products += code * d.w[((c / cols * groups + t / g) * cols + place) * 4 + t % g];
        codes += code;
      }
      const auto sum = static_cast<std::int32_t>(
          static_cast<std::uint32_t>(d.product_factor) * static_cast<std::uint32_t>(products) +
          static_cast<std::uint32_t>(d.code_factor) * static_cast<std::uint32_t>(codes));
      if (d.sums != nullptr) {
        d.sums[p * d.channels + c] = sum;
        continue;
      }
      const std::int64_t at = c / cols * cols + place;
      const float y = std::fma(static_cast<float>(sum), d.scale[at], d.bias[at]);
      d.codes[p * d.codes_step + c] = code_of(y, d.steps);
    }
  }
}
