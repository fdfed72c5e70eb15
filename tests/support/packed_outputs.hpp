// SPDX-License-Identifier: Apache-2.0
// Whole networks, trained for a step, packed and run: the outputs of evaluation, bit for bit.
#pragma once

#include <cmath>
#include <cstdint>
#include <vector>

#include <bitdial/nn/init.hpp>
#include <bitdial/switchable/add_plans.hpp>
#include <bitdial/train/sgd.hpp>
#include <support/packed_comparison.hpp>

namespace test {

/// One step of SGD on random images of [H, W, C], the gradients of all plans summed. Returns the
/// loss of every plan.
inline std::vector<float> train_step(bitdial::nn::Module& network, const bitdial::Shape& image,
                                     const std::vector<bitdial::PrecisionPlan>& plans,
                                     std::int64_t count, std::uint64_t seed) {
  bitdial::train::Sgd optimizer(bitdial::nn::parameters(network), {.momentum = 0.9F});
  const bitdial::Tensor<float> images = random_images({count, image[0], image[1], image[2]}, seed);
  std::vector<std::int32_t> labels;
  for (std::int64_t i = 0; i < count; ++i) labels.push_back(static_cast<std::int32_t>(i % 2));
  std::vector<float> losses;
  for (const bitdial::PrecisionPlan& plan : plans) {
    bitdial::Tape tape;
    const bitdial::Var logits =
        network.forward(tape.borrow(images), {.plan = plan, .mode = bitdial::nn::Mode::training});
    const bitdial::Var loss = bitdial::ad::softmax_cross_entropy(logits, labels);
    losses.push_back(loss.value()[0]);
    tape.backward(loss);
  }
  optimizer.step(0.01F);
  return losses;
}

/// Packs `network` and compares the outputs of every plan with evaluation, for every kernel table
/// of this machine.
inline void check_packed_outputs(bitdial::nn::Module& network, const bitdial::Shape& image,
                                 const std::vector<bitdial::PrecisionPlan>& plans,
                                 std::int64_t count, std::uint64_t seed) {
  const ByteImages images(count, image, seed);
  const auto bytes =
      bitdial::model_bytes(bitdial::pack(network, {.plans = plans, .input_shape = image}));
  REQUIRE_MESSAGE(bytes, (bytes ? std::string{} : bytes.error()));
  const auto model = bitdial::Model::from_bytes(*bytes);
  REQUIRE_MESSAGE(model, (model ? std::string{} : model.error()));
  for (std::size_t plan = 0; plan < plans.size(); ++plan) {
    bitdial::Tape tape;
    const bitdial::Tensor<float> expected =
        network.forward(tape.borrow(images.values), {.plan = plans[plan]}).value();
    for (const bitdial::kernels::KernelTable* table : bitdial::kernels::supported_kernels()) {
      CAPTURE(table->name);
      CAPTURE(plan);
      auto session = bitdial::Session::create(
          *model, {.threads = 2, .max_batch = count, .kernels = table, .work_per_thread = 1});
      REQUIRE_MESSAGE(session, (session ? std::string{} : session.error()));
      bitdial::Tensor<float> outputs(expected.shape());
      REQUIRE(session->run(images.bytes, outputs.span(), plan));
      CHECK(same_bits(outputs, expected));
    }
  }
}

/// Initializes `network`, trains it for a step with finite losses, and compares the packed outputs
/// of every plan with evaluation. `image` is [H, W, C].
inline void check_step_and_packing(bitdial::nn::Module& network, const bitdial::Shape& image,
                                   const std::vector<bitdial::PrecisionPlan>& plans) {
  bitdial::nn::initialize(network, 7);
  bitdial::add_plans(network, plans);
  for (const float loss : train_step(network, image, plans, 4, 8)) CHECK(std::isfinite(loss));
  check_packed_outputs(network, image, plans, 2, 9);
}

}  // namespace test
