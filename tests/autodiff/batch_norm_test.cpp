// SPDX-License-Identifier: Apache-2.0
#include <bitdial/autodiff/batch_norm.hpp>

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include <doctest/doctest.h>
#include <bitdial/autodiff/convolution.hpp>
#include <bitdial/autodiff/functions.hpp>
#include <bitdial/autodiff/learned_quantization.hpp>
#include <bitdial/autodiff/mixture.hpp>
#include <bitdial/core/parallel.hpp>
#include <bitdial/quant/policies/dorefa.hpp>
#include <bitdial/quant/policies/pact.hpp>
#include <bitdial/quant/quantizer.hpp>
#include <support/tensors.hpp>

using namespace bitdial;

namespace {

/// A normalised, rectified and quantized result, and what reads it.
struct NormalisedBlock {
  Tape tape;
  Tensor<float> running[4]{Tensor<float>({32}), Tensor<float>({32}), Tensor<float>({32}),
                           Tensor<float>({32})};
  Var x, gamma, beta, rectified, quantized, y;

  /// `is_mixed`: a mixture, which names its first term alone, reads the quantized values too.
  explicit NormalisedBlock(bool is_mixed = false) {
    x = tape.leaf(test::random_images({20, 16, 15, 16}, 1));
    gamma = tape.leaf(test::random_tensor({32}, 2, 0.5F, 1.5F));
    beta = tape.leaf(test::random_tensor({32}, 3, 0.0F, 0.5F));
    const Var expanded = ad::conv2d(x, tape.leaf(test::random_tensor({32, 1, 1, 16}, 4)),
                                    ops::Window::square(1, {}));
    rectified = ad::relu(ad::batch_norm(expanded, gamma, beta, running[0], running[1]));
    quantized = ad::fake_quantize(rectified, Quantizer<DoReFaActivations>{}, 4);
    Var mixed;
    if (is_mixed) {
      const Var terms[] = {tape.leaf(test::random_tensor(quantized.shape(), 7)), quantized};
      mixed = ad::mixture(tape.leaf(test::random_tensor({2}, 8)), std::span<const Var>{terms});
    }
    const Var sums = ad::grouped_conv2d(quantized, tape.leaf(test::random_tensor({32, 3, 3, 1}, 5)),
                                        ops::Window::square(3, {.padding = 1}), 32);
    y = ad::relu(ad::batch_norm(sums, tape.leaf(Tensor<float>({32}, 1.0F)),
                                tape.leaf(Tensor<float>({32})), running[2], running[3]));
    if (is_mixed) y = ad::add(y, mixed);
  }
  void run() { tape.backward(y, test::random_tensor(y.shape(), 6)); }
};

}  // namespace

TEST_CASE("who computes the gradient of a normalised value takes the sums that its slope needs") {
  NormalisedBlock block, apart, twice;
  const auto sums = block.tape.start_sums(block.quantized, 1);
  REQUIRE(sums != nullptr);
  block.run();
  std::vector<double> first, second;
  sums->total(first, second);
  for (std::int64_t c = 0; c < 32; ++c) {
    CHECK(static_cast<float>(first[static_cast<std::size_t>(c)]) == block.beta.grad()[c]);
  }
  // Not where the gradient changes on its way, nor where it has another part.
  apart.tape.on_gradient(apart.rectified, [](Gradient&) {});
  CHECK(apart.tape.start_sums(apart.quantized, 1) == nullptr);
  apart.run();
  static_cast<void>(ad::add(twice.quantized, twice.quantized));
  CHECK(twice.tape.start_sums(twice.quantized, 1) == nullptr);
  CHECK(block.tape.start_sums(block.x, 1) == nullptr);
  // A learned clip has a gradient of its own.
  NormalisedBlock clipped;
  const Quantizer<PactActivations> quantizer{};
  const Var clip = clipped.tape.leaf(Tensor<float>({1}, 0.8F));
  const Var values = ad::clip_fake_quantize(clipped.rectified, clip, quantizer, PactState{0.8F}, 4);
  CHECK(clipped.tape.start_sums(values, 1) == nullptr);
  CHECK(test::relative_difference(apart.gamma.grad(), block.gamma.grad()) < 2e-6F);
  CHECK(test::relative_difference(apart.beta.grad(), block.beta.grad()) < 2e-6F);
  CHECK(test::relative_difference(apart.x.grad(), block.x.grad()) < 2e-6F);
  // Nor are they kept where another part comes later.
  NormalisedBlock mixed(true), mixed_apart(true);
  mixed_apart.tape.on_gradient(mixed_apart.rectified, [](Gradient&) {});
  mixed.run();
  mixed_apart.run();
  CHECK(test::relative_difference(mixed_apart.gamma.grad(), mixed.gamma.grad()) < 2e-6F);
  CHECK(test::relative_difference(mixed_apart.x.grad(), mixed.x.grad()) < 2e-6F);
  for (const int threads : {1, 3}) {
    set_thread_count(threads);
    NormalisedBlock again;
    again.run();
    set_thread_count(0);
    CHECK(std::ranges::equal(again.x.grad().span(), block.x.grad().span()));
    CHECK(std::ranges::equal(again.gamma.grad().span(), block.gamma.grad().span()));
  }
}
