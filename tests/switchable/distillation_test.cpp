// SPDX-License-Identifier: Apache-2.0
#include <array>
#include <cmath>
#include <cstdint>
#include <vector>

#include <doctest/doctest.h>
#include <bitdial/switchable/distillation.hpp>

using namespace bitdial;

namespace {

Tensor<float> row(std::initializer_list<float> values) {
  Tensor<float> tensor({1, static_cast<std::int64_t>(values.size())});
  std::ranges::copy(values, tensor.data());
  return tensor;
}

const std::array<std::int32_t, 1> class_0{0};

}  // namespace

TEST_CASE("probabilities of the teacher, with temperature") {
  Tape tape;
  const Var logits = tape.leaf(row({2.0F, 0.5F, -1.0F}));
  const Tensor<float> p = detached_probabilities(logits, 1.0);
  CHECK(p[0] == doctest::Approx(0.785597).epsilon(1e-6));
  CHECK(p[1] == doctest::Approx(0.1752904).epsilon(1e-6));
  CHECK(p[2] == doctest::Approx(0.0391126).epsilon(1e-6));
  const Tensor<float> soft = detached_probabilities(logits, 2.0);
  CHECK(soft[0] / soft[1] == doctest::Approx(std::exp(0.75)));
}

TEST_CASE("the loss of a switch is CE + weight * KL(teacher || student)") {
  const Tensor<float> teacher = row({0.785597F, 0.1752904F, 0.0391126F});
  for (const float weight : {0.0F, 1.0F, 2.5F}) {
    CAPTURE(weight);
    Tape tape;
    const Var student = tape.leaf(row({1.0F, 1.0F, -0.5F}));
    const Var loss = switch_loss(student, class_0, &teacher, {.weight = weight});
    CHECK(loss.value()[0] ==
          doctest::Approx(0.798916185 + static_cast<double>(weight) * 0.23600044).epsilon(1e-6));
    tape.backward(loss);
    const double labelled[] = {0.4498162 - 1.0, 0.4498162, 0.1003676};
    const double taught[] = {-0.3357808, 0.2745258, 0.061255};
    for (std::int64_t c = 0; c < 3; ++c) {
      CHECK(student.grad()[c] ==
            doctest::Approx(labelled[c] + static_cast<double>(weight) * taught[c]).epsilon(1e-5));
    }
  }
}

TEST_CASE("the switch without a teacher learns from labels alone") {
  Tape tape;
  const Var student = tape.leaf(row({1.0F, 1.0F, -0.5F}));
  CHECK(switch_loss(student, class_0, nullptr, {}).value()[0] ==
        doctest::Approx(0.798916185).epsilon(1e-6));
}

TEST_CASE("a student that equals its teacher has no distillation loss, at any temperature") {
  for (const double temperature : {1.0, 4.0}) {
    Tape tape;
    const Var student = tape.leaf(row({1.0F, 1.0F, -0.5F}));
    const Tensor<float> teacher = detached_probabilities(student, temperature);
    const Var loss =
        switch_loss(student, class_0, &teacher, {.weight = 1.0F, .temperature = temperature});
    CHECK(loss.value()[0] == doctest::Approx(0.798916185).epsilon(1e-6));
  }
}

TEST_CASE("the ensemble is the mean of the distributions") {
  const std::vector<Tensor<float>> distributions{row({1.0F, 0.0F}), row({0.0F, 1.0F}),
                                                 row({0.25F, 0.75F}), row({0.5F, 0.5F})};
  const Tensor<float> mean = mean_distribution(distributions);
  CHECK(mean.shape() == Shape{1, 2});
  CHECK(mean[0] == 0.4375F);
  CHECK(mean[1] == 0.5625F);
}
