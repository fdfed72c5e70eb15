// SPDX-License-Identifier: Apache-2.0
// Gradients of few bits on the tape: values stay, what flows back is on the grid.
#include <bitdial/autodiff/quantize_gradient.hpp>

#include <doctest/doctest.h>
#include <bitdial/autodiff/functions.hpp>
#include <support/tensors.hpp>

using namespace bitdial;

namespace {

struct Gradients {
  Tensor<float> dx;
  Tensor<float> y;
};

/// The gradient of 2 x^2-like sums through y = 3 x with `bits` bits between them.
Gradients run(int bits, const RandomStreams& streams) {
  Tape tape;
  tape.set_random_streams(streams);
  const Var x = tape.leaf(test::random_tensor({2, 3, 3, 4}, 5, -1.0F, 1.0F));
  const Var y = ad::scale(x, 3.0F);
  ad::quantize_gradient(y, bits);
  const Tensor<float> values = y.value();
  const std::vector<std::int32_t> labels{1, 3};
  tape.backward(ad::softmax_cross_entropy(ad::global_average_pool(y), labels));
  return {x.grad(), values};
}

}  // namespace

TEST_CASE("32 bits change nothing; fewer change gradients but no value") {
  const Gradients plain = run(32, {1, 0});
  const Gradients coarse = run(3, {1, 0});
  CHECK(test::same_bits(plain.y, coarse.y));
  std::vector<float> expected(plain.dx.span().begin(), plain.dx.span().end());
  for (float& value : expected) value /= 3.0F;
  RandomStreams streams(1, 0);
  quantize_gradients(expected, 2, 3, streams.next());
  for (std::size_t i = 0; i < expected.size(); ++i) {
    CHECK(coarse.dx.data()[i] == doctest::Approx(3.0F * expected[i]).epsilon(1e-5));
  }
}

TEST_CASE("the step and the seed decide, nothing else") {
  CHECK(test::same_bits(run(4, {1, 7}).dx, run(4, {1, 7}).dx));
  CHECK_FALSE(test::same_bits(run(4, {1, 7}).dx, run(4, {1, 8}).dx));
  CHECK_FALSE(test::same_bits(run(4, {1, 7}).dx, run(4, {2, 7}).dx));
}

TEST_CASE("a value without derivative") {
  Tape tape;
  ad::quantize_gradient(tape.constant(Tensor<float>({2, 2})), 4);
  ad::quantize_gradient(tape.leaf(Tensor<float>({2, 2})), 4);  // nothing flows on from a leaf
  CHECK(tape.size() == 2);
}
