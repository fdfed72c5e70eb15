// SPDX-License-Identifier: Apache-2.0
#include <array>

#include <bitdial/bitdial.hpp>

float quantized_in_another_unit(float x, int bits);

int main() {
  const std::array<float, 3> x{-1.0F, 0.25F, 0.5F};
  std::array<float, 3> y{};
  const bitdial::Quantizer<bitdial::DoReFaWeights> quantizer;
  for (const int bits : {8, 4, 2, 1}) {
    quantizer.fake_quantize(x, bits, y);
    if (!(y[0] < y[2])) return 1;
  }
  return quantized_in_another_unit(0.6F, 1) == 1.0F ? 0 : 2;
}
