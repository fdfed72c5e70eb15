// SPDX-License-Identifier: Apache-2.0
// Kurtosis and its penalty: published vectors, gradient, distributions.
#include <bitdial/ops/kurtosis.hpp>

#include <cmath>

#include <doctest/doctest.h>
#include <bitdial/autodiff/functions.hpp>
#include <bitdial/autodiff/grad_check.hpp>

#include "op_support.hpp"

using namespace bitdial;

namespace {

Tensor<double> vector_weights() {
  Tensor<double> w({6});
  const double values[] = {-1.2, -.5, -.1, .05, .3, .8};
  std::copy_n(values, 6, w.data());
  return w;
}

double penalty(const Tensor<double>& w, const ops::KurtosisOptions& options) {
  Tensor<double> loss({1});
  ops::kurtosis_penalty_forward(loss.view(), w.view(), options);
  return loss[0];
}

}  // namespace

TEST_CASE("the published numbers") {
  const Tensor<double> w = vector_weights();
  CHECK(ops::kurtosis(w.cview()) == doctest::Approx(1.607790738).epsilon(1e-9));
  CHECK(ops::kurtosis(w.cview(), ops::Deviation::population) ==
        doctest::Approx(2.315218663).epsilon(1e-9));
  CHECK(penalty(w, {}) == doctest::Approx(.0369444).epsilon(1e-5));
}

TEST_CASE("the gradient is that of the formula, for both deviations and any target") {
  for (const ops::Deviation deviation : {ops::Deviation::unbiased, ops::Deviation::population}) {
    for (const double target : {1.8, 3.0}) {
      Tensor<double> w = op_test::random_tensor<double>({3, 3, 5}, 8);
      const ops::KurtosisOptions options{.target = target, .deviation = deviation};
      Tensor<double> dw(w.shape());
      Tensor<double> dloss({1}, 0.7);
      ops::kurtosis_penalty_backward(dw.view(), dloss.cview(), w.cview(), options);
      const GradCheck found =
          check_gradient(w.view(), dw.cview(), [&] { return 0.7 * penalty(w, options); });
      CAPTURE(found.text());
      CHECK(found.error < 1e-8);
      CHECK(std::abs(dw[0]) > 1e-6);
      // Backward accumulates.
      Tensor<double> twice = dw;
      ops::kurtosis_penalty_backward(twice.view(), dloss.cview(), w.cview(), options);
      CHECK(twice[0] == doctest::Approx(2.0 * dw[0]));
    }
  }
}

TEST_CASE("uniform numbers have 1.8, normal ones 3; scale and shift do not count") {
  Tensor<double> uniform({20000});
  Tensor<double> normal({20000});
  Random random(1, 1);
  for (std::int64_t i = 0; i < uniform.size(); ++i) {
    uniform[i] = 5.0 + 0.1 * static_cast<double>(random.uniform());
    normal[i] = static_cast<double>(random.normal());
  }
  CHECK(ops::kurtosis(uniform.cview()) == doctest::Approx(1.8).epsilon(0.02));
  CHECK(ops::kurtosis(normal.cview()) == doctest::Approx(3.0).epsilon(0.05));
}

TEST_CASE("equal numbers have no kurtosis and no gradient") {
  Tensor<double> w({4}, 0.5);
  CHECK(ops::kurtosis(w.cview()) == 0.0);
  Tensor<double> dw({4});
  ops::kurtosis_penalty_backward(dw.view(), Tensor<double>({1}, 1.0).cview(), w.cview());
  CHECK(dw[0] == 0.0);
}

TEST_CASE("on the tape") {
  Tape tape;
  Tensor<float> w({6});
  const Tensor<double> wide = vector_weights();
  for (std::int64_t i = 0; i < 6; ++i) w[i] = static_cast<float>(wide[i]);
  const Var leaf = tape.leaf(w);
  const Var loss = ad::kurtosis_penalty(leaf);
  CHECK(loss.value()[0] == doctest::Approx(.0369444F).epsilon(1e-5));
  tape.backward(loss);
  Tensor<double> dw({6});
  ops::kurtosis_penalty_backward(dw.view(), Tensor<double>({1}, 1.0).cview(), wide.cview());
  for (std::int64_t i = 0; i < 6; ++i) {
    CHECK(static_cast<double>(leaf.grad()[i]) == doctest::Approx(dw[i]).epsilon(1e-4));
  }
}
