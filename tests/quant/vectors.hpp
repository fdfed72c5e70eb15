// SPDX-License-Identifier: Apache-2.0
// Published test vectors: common inputs and comparison at the seven printed digits.
#pragma once

#include <doctest/doctest.h>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <vector>

#include <bitdial/quant/quantizer.hpp>

namespace vectors {

inline const std::vector<float> weights{-1.2F, -0.5F, -0.1F, 0.05F, 0.3F, 0.8F};
inline const std::vector<float> gradients{0.1F, -0.2F, 0.3F, -0.4F, 0.5F, -0.6F};
inline const std::vector<float> activations{-0.4F, 0.1F, 0.26F, 0.5F, 0.74F, 0.9F, 1.3F};
inline const std::vector<float> relu_activations{-0.4F, 0.0F,  0.02F, 0.1F, 0.26F,
                                                 0.5F,  0.74F, 0.9F,  1.3F};

inline void check_near(const std::vector<float>& found, const std::vector<double>& expected) {
  REQUIRE(found.size() == expected.size());
  for (std::size_t i = 0; i < found.size(); ++i) {
    CAPTURE(i);
    CAPTURE(found[i]);
    CAPTURE(expected[i]);
    CHECK(std::fabs(static_cast<double>(found[i]) - expected[i]) <= 1e-6);
  }
}

template <class P>
void check_forward(const P& policy, const std::vector<float>& x, int bits,
                   const std::vector<double>& expected) {
  CAPTURE(bits);
  std::vector<float> y(x.size());
  bitdial::Quantizer<P>{policy}.fake_quantize(x, bits, y);
  check_near(y, expected);
}

template <class P>
void check_backward(const P& policy, const std::vector<float>& x, const std::vector<float>& dy,
                    int bits, const std::vector<double>& expected) {
  CAPTURE(bits);
  std::vector<float> dx(x.size(), 99.0F);  // backward overwrites
  bitdial::Quantizer<P>{policy}.backward(x, dy, bits, dx);
  check_near(dx, expected);
}

template <class P>
void check_codes(const P& policy, const std::vector<float>& x, int bits,
                 const std::vector<std::uint8_t>& expected) {
  CAPTURE(bits);
  std::vector<std::uint8_t> codes(x.size());
  bitdial::Quantizer<P>{policy}.encode(x, bits, codes);
  CHECK(codes == expected);
}

}  // namespace vectors
