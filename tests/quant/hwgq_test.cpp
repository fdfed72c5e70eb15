// SPDX-License-Identifier: Apache-2.0
// HWGQ activations, both rules, against published vectors.
#include <bitdial/quant/policies/hwgq.hpp>

#include "normal_error.hpp"
#include "vectors.hpp"

using namespace bitdial;

namespace {

const std::vector<float> x{-0.3F, 0.0F, 0.1F, 0.26F, 0.28F, 0.7F, 0.81F, 1.0F, 1.4F, 1.7F, 3.0F};

}  // namespace

TEST_CASE("activations, nearest value") {
  const HwgqActivations policy;
  vectors::check_forward(policy, x, 1, {0, 0, 0, 0, 0, 0.799, 0.799, 0.799, 0.799, 0.799, 0.799});
  vectors::check_forward(policy, x, 2,
                         {0, 0, 0, 0, 0.538, 0.538, 1.076, 1.076, 1.614, 1.614, 1.614});
  vectors::check_forward(policy, x, 3,
                         {0, 0, 0, 0.3217, 0.3217, 0.6434, 0.9651, 0.9651, 1.2868, 1.6085, 2.2519});
  vectors::check_forward(policy, x, 4,
                         {0, 0, 0.185, 0.185, 0.37, 0.74, 0.74, 0.925, 1.48, 1.665, 2.775});
  vectors::check_backward(policy, x, std::vector<float>(x.size(), 1.0F), 2,
                          {0, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0});
}

TEST_CASE("activations, every positive value gets a step") {
  const HwgqActivations policy{.rule = HwgqRule::positive_step};
  vectors::check_forward(policy, x, 2,
                         {0, 0, 0.538, 0.538, 0.538, 0.538, 1.076, 1.076, 1.614, 1.614, 1.614});
  vectors::check_backward(policy, x, std::vector<float>(x.size(), 1.0F), 2,
                          {0, 0, 1, 1, 1, 1, 1, 1, 1, 0, 0});
  vectors::check_forward(policy, {-1.0F, 0.0F, 2.5F}, 32, {0, 0, 2.5});
}

TEST_CASE("the steps are those of the least square error for normal values, at every width") {
  const HwgqActivations policy{.rule = HwgqRule::positive_step};
  for (int bits = 1; bits <= 8; ++bits) {
    CAPTURE(bits);
    for (const double f : {0.97, 1.03}) {
      CHECK(vectors::normal_error(policy, bits, 1.0) < vectors::normal_error(policy, bits, f));
    }
  }
}
