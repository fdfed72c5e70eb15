// SPDX-License-Identifier: Apache-2.0
#include <array>

#include <bitdial/bitdial.hpp>

float quantized_in_another_unit(float x, int bits);

float quantized_in_another_unit(float x, int bits) {
  const std::array<float, 1> in{x};
  std::array<float, 1> out{};
  bitdial::Quantizer<bitdial::DoReFaActivations>{}.fake_quantize(in, bits, out);
  return out[0];
}
