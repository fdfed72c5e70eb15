// SPDX-License-Identifier: Apache-2.0
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include <doctest/doctest.h>
#include <bitdial/models/resnet_cifar.hpp>
#include <bitdial/switchable/block_swap.hpp>
#include <support/tensors.hpp>

using namespace bitdial;

namespace {

const PrecisionPlan student = Precision{2, 2};
const PrecisionPlan teacher = Precision{8, 8};
const std::vector<nn::LayerBlock> three_blocks{{.name = "a", .first = 1, .count = 2},
                                               {.name = "b", .first = 3, .count = 3},
                                               {.name = "c", .first = 6, .count = 3}};

}  // namespace

TEST_CASE("never at probability 0, always at 1, and only inside blocks") {
  for (std::uint64_t step = 0; step < 20; ++step) {
    CHECK(swap_blocks(student, teacher, three_blocks, 10, 0.0F, {1, step}) == student);
    const PrecisionPlan all = swap_blocks(student, teacher, three_blocks, 10, 1.0F, {1, step});
    CHECK(all.text() == "w2a2,w8a8,w8a8,w8a8,w8a8,w8a8,w8a8,w8a8,w8a8,w2a2");
  }
}

TEST_CASE("a block is swapped as a whole, block i by draw i") {
  int swapped[3] = {};
  for (std::uint64_t step = 0; step < 3000; ++step) {
    const PrecisionPlan mixed = swap_blocks(student, teacher, three_blocks, 10, 0.3F, {5, step});
    Random random(5, step);
    for (std::size_t i = 0; i < 3; ++i) {
      const bool expected = random.uniform() < 0.3F;
      swapped[i] += expected ? 1 : 0;
      const nn::LayerBlock& block = three_blocks[i];
      for (int l = block.first; l < block.first + block.count; ++l) {
        CHECK(mixed.at(static_cast<std::size_t>(l)) == (expected ? teacher.at(0) : student.at(0)));
      }
    }
  }
  for (const int count : swapped) CHECK(std::abs(count - 900) < 130);  // five deviations
}

TEST_CASE("a swapped block computes with the bank of its own precision") {
  const auto net = models::resnet_cifar<BitList<8, 2>, DoReFaWeights, DoReFaActivations>(
      {.depth = 8, .width = 2, .in_channels = 1, .classes = 3});
  nn::initialize(*net, 1);
  const std::vector<PrecisionPlan> plans{teacher, student};
  add_plans(*net, plans);
  const std::vector<nn::LayerBlock> blocks = nn::blocks(*net);
  REQUIRE(blocks.size() == 3);
  CHECK(blocks[1].name == "stage2.block1");
  const PrecisionPlan mixed = swap_blocks(student, teacher, {&blocks[1], 1},
                                          nn::quantized_layers(*net).size(), 1.0F, {1, 1});
  Tape tape;
  const Tensor<float> x = test::random_images({2, 8, 8, 1}, 3);
  static_cast<void>(
      net->forward(tape.borrow(x), {.plan = mixed, .mode = nn::Mode::training}).value());
  // Running means move where a bank was used.
  for (const auto& named : nn::state(*net)) {
    const std::string& name = named.first;
    if (!name.ends_with("running_mean")) continue;
    CAPTURE(name);
    float moved = 0.0F;
    for (const float value : named.second->span()) moved += std::abs(value);
    const bool in_block = name.starts_with("stage2.block1");
    const bool is_high = name.find("bn.w8a8") != std::string::npos;
    CHECK((moved > 0.0F) == (in_block == is_high));
  }
}

TEST_CASE("a probability outside of 0 to 1 is refused") {
  for (const float probability : {-0.5F, 1.5F, std::nanf("")}) {
    CAPTURE(probability);
    CHECK(test::contains(
        test::error_text<ConfigError>([&] {
          static_cast<void>(swap_blocks(student, teacher, {}, 10, probability, {1, 1}));
        }),
        "swap_blocks: expected a probability between 0 and 1, got "));
  }
}

TEST_CASE("a block outside of the network is refused") {
  const std::vector<nn::LayerBlock> outside{{.name = "tail", .first = 8, .count = 3}};
  CHECK(test::error_text<ConfigError>([&] {
          static_cast<void>(swap_blocks(student, teacher, outside, 10, 0.5F, {1, 1}));
        }) ==
        "swap_blocks: block 'tail' has the layers 8 .. 10, the network has 10 quantized layers");
}
