// SPDX-License-Identifier: Apache-2.0
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include <doctest/doctest.h>
#include <bitdial/train/evaluate.hpp>
#include <support/damaged_source.hpp>
#include <support/tensors.hpp>
#include <support/training_run.hpp>

using namespace bitdial;

TEST_CASE("one row of logits per image, in the order of the data set, for any batch size") {
  nn::Sequential net = test::training_network();
  const data::Dataset& data = test::training_data();
  const PrecisionPlan plan = Precision{4, 4};
  const Tensor<float> all = train::evaluate(net, data, plan);
  CHECK(all.shape() == Shape{70, 10});
  for (const std::int64_t batch_size : {1, 16, 69, 70}) {
    CHECK(test::same_bits(train::evaluate(net, data, plan, batch_size), all));
  }

  Tensor<float> image({1, 12, 12, 1});
  for (const std::int64_t index : {0, 33, 69}) {
    const auto bytes = data.image(index);
    for (std::int64_t i = 0; i < image.size(); ++i) {
      image[i] = static_cast<float>(bytes[static_cast<std::size_t>(i)]) / 255.0F;
    }
    Tape tape;
    const Var logits = net.forward(tape.borrow(image), {.plan = plan});
    for (std::int64_t c = 0; c < 10; ++c) CHECK(logits.value()[c] == all[index * 10 + c]);
  }
}

TEST_CASE("plans give different answers, and nothing of the network moves") {
  nn::Sequential net = test::training_network();
  const auto before = test::snapshot(net);
  const Tensor<float> high = train::evaluate(net, test::training_data(), Precision{8, 8});
  const Tensor<float> low = train::evaluate(net, test::training_data(), Precision{2, 2});
  CHECK_FALSE(test::same_bits(high, low));
  const auto after = test::snapshot(net);
  for (std::size_t i = 0; i < before.size(); ++i) CHECK(test::same_bits(before[i], after[i]));
}

TEST_CASE("damaged images are named and left out where that is asked for") {
  nn::Sequential net = test::training_network();
  const test::DamagedSource images;
  const PrecisionPlan plan = Precision{4, 4};
  CHECK(test::error_text<FileError>(
            [&] { static_cast<void>(train::evaluate(net, images, plan)); }) == "image 4: cut off");
  const Tensor<float> all = train::evaluate(net, test::training_data(), plan);
  for (const std::int64_t batch_size : {1, 2, 16, 250}) {
    const train::ReadableAnswers found = train::evaluate_readable(net, images, plan, batch_size);
    REQUIRE(found.logits.shape() == Shape{63, 10});
    REQUIRE(found.damaged.size() == 7);
    CHECK(found.damaged[1] == "image 14: cut off");
    REQUIRE(found.indices.size() == 63);
    REQUIRE(found.labels.size() == 63);
    for (std::size_t row = 0; row < found.indices.size(); ++row) {
      const std::int64_t index = found.indices[row];
      CHECK(index == static_cast<std::int64_t>(row + (row + 5) / 9));
      CHECK(found.labels[row] == images.label(index));
      for (std::int64_t c = 0; c < 10; ++c) {
        CHECK(found.logits[static_cast<std::int64_t>(row) * 10 + c] == all[index * 10 + c]);
      }
    }
  }
}
