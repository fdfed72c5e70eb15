// SPDX-License-Identifier: Apache-2.0
#include <array>
#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include <doctest/doctest.h>
#include <bitdial/switchable/methods.hpp>
#include <bitdial/switchable/teaching.hpp>
#include <support/tensors.hpp>

using namespace bitdial;

namespace {

Tensor<float> row(std::initializer_list<float> values) {
  Tensor<float> tensor({1, static_cast<std::int64_t>(values.size())});
  std::ranges::copy(values, tensor.data());
  return tensor;
}

const std::array<std::int32_t, 1> class_0{0};

/// Loss and gradient of the logits (1, 1, -0.5) taught by switches with `teachers`' logits.
struct Outcome {
  double loss = 0.0;
  std::vector<double> gradient;
};
Outcome outcome(const Teaching& teaching, const std::vector<Tensor<float>>& teachers) {
  Tape tape;
  std::vector<Tensor<float>> lessons;
  for (const Tensor<float>& logits : teachers) {
    lessons.push_back(lesson_of(tape.borrow(logits), teaching));
  }
  std::vector<const Tensor<float>*> pointers;
  for (const Tensor<float>& lesson : lessons) pointers.push_back(&lesson);
  const Var student = tape.leaf(row({1.0F, 1.0F, -0.5F}));
  const Var loss = switch_loss(student, class_0, pointers, teaching);
  tape.backward(loss);
  Outcome result{static_cast<double>(loss.value()[0]), {}};
  for (const float g : student.grad().span()) result.gradient.push_back(static_cast<double>(g));
  return result;
}

const Tensor<float> teacher_logits = row({2.0F, 0.5F, -1.0F});

// The vectors of SP-Nets' losses: logits (2, .5, -1) teach (1, 1, -.5), the label is class 0.
constexpr double cross_entropy = 0.798916185;
constexpr double kl = 0.23600044;
constexpr double kl_with_epsilon = 0.23599191;
constexpr double soft_cross_entropy = 0.857585045;
constexpr std::array<double, 3> label_slope{0.4498162 - 1.0, 0.4498162, 0.1003676};
constexpr std::array<double, 3> taught_slope{-0.3357808, 0.2745258, 0.061255};

}  // namespace

TEST_CASE("a lesson is a distribution, with temperature, or the logits themselves") {
  Tape tape;
  const Var logits = tape.leaf(teacher_logits);
  const Tensor<float> p = lesson_of(logits, {});
  CHECK(p[0] == doctest::Approx(0.785597).epsilon(1e-6));
  CHECK(p[1] == doctest::Approx(0.1752904).epsilon(1e-6));
  CHECK(p[2] == doctest::Approx(0.0391126).epsilon(1e-6));
  const Tensor<float> soft = lesson_of(logits, {.temperature = 2.0});
  CHECK(soft[0] / soft[1] == doctest::Approx(std::exp(0.75)));
  CHECK(test::same_bits(
      lesson_of(logits, {.divergence = Divergence::mean_squared_error, .temperature = 2.0}),
      teacher_logits));
}

TEST_CASE("labels and divergence add up with their weights") {
  for (const float label_weight : {1.0F, 0.25F, 0.0F}) {
    for (const float weight : {1.0F, 2.5F}) {
      CAPTURE(label_weight);
      CAPTURE(weight);
      const double l = static_cast<double>(label_weight), w = static_cast<double>(weight);
      Teaching teaching{.weight = weight, .label_weight = label_weight};
      const Outcome by_kl = outcome(teaching, {teacher_logits});
      teaching.divergence = Divergence::soft_cross_entropy;
      const Outcome by_soft = outcome(teaching, {teacher_logits});
      CHECK(by_kl.loss == doctest::Approx(l * cross_entropy + w * kl).epsilon(1e-6));
      CHECK(by_soft.loss ==
            doctest::Approx(l * cross_entropy + w * soft_cross_entropy).epsilon(1e-6));
      for (std::size_t c = 0; c < 3; ++c) {
        const double slope = l * label_slope[c] + w * taught_slope[c];
        CHECK(by_kl.gradient[c] == doctest::Approx(slope).epsilon(1e-5));
        CHECK(by_soft.gradient[c] == doctest::Approx(slope).epsilon(1e-5));
      }
    }
  }
}

TEST_CASE("the mean squared error compares logits") {
  const Outcome taught =
      outcome({.divergence = Divergence::mean_squared_error, .weight = 3.0F, .label_weight = 0.0F},
              {teacher_logits});
  // Differences (-1, 0.5, 0.5).
  CHECK(taught.loss == doctest::Approx(3.0 * 1.5 / 3.0));
  CHECK(taught.gradient[0] == doctest::Approx(3.0 * 2.0 * -1.0 / 3.0));
  CHECK(taught.gradient[1] == doctest::Approx(3.0 * 2.0 * 0.5 / 3.0));
  CHECK(taught.gradient[2] == doctest::Approx(3.0 * 2.0 * 0.5 / 3.0));
}

TEST_CASE("several teachers add up; without one only labels count, with weight 1") {
  const Teaching teaching{.weight = 0.5F};
  const Tensor<float> same = row({1.0F, 1.0F, -0.5F});
  CHECK(outcome(teaching, {teacher_logits, teacher_logits}).loss ==
        doctest::Approx(cross_entropy + kl).epsilon(1e-6));
  CHECK(outcome(teaching, {teacher_logits, same}).loss ==
        doctest::Approx(cross_entropy + 0.5 * kl).epsilon(1e-6));
  CHECK(outcome({.label_weight = 0.0F}, {}).loss == doctest::Approx(cross_entropy).epsilon(1e-6));
}

TEST_CASE("a student that equals its teacher has no divergence, at any temperature") {
  const Tensor<float> same = row({1.0F, 1.0F, -0.5F});
  for (const double temperature : {1.0, 4.0}) {
    CHECK(outcome({.temperature = temperature}, {same}).loss ==
          doctest::Approx(cross_entropy).epsilon(1e-6));
  }
}

TEST_CASE("the ensemble is the mean of the lessons") {
  const std::vector<Tensor<float>> lessons{row({1.0F, 0.0F}), row({0.0F, 1.0F}),
                                           row({0.25F, 0.75F}), row({0.5F, 0.5F})};
  const Tensor<float> mean = mean_lesson(lessons);
  CHECK(mean.shape() == Shape{1, 2});
  CHECK(mean[0] == 0.4375F);
  CHECK(mean[1] == 0.5625F);
}

TEST_CASE("the settings of the papers") {
  CHECK(outcome(methods::sp_nets(), {teacher_logits}).loss ==
        doctest::Approx(cross_entropy + kl_with_epsilon).epsilon(1e-7));
  CHECK(methods::sp_nets_ensemble().teacher == Teacher::ensemble);
  CHECK(methods::adabits().teacher == Teacher::none);
  CHECK(outcome(methods::any_precision(), {teacher_logits}).loss ==
        doctest::Approx(soft_cross_entropy).epsilon(1e-7));
  CHECK(methods::any_precision().teacher == Teacher::next_higher);
  CHECK(methods::any_precision_soft().teacher == Teacher::highest);
  CHECK(outcome(methods::coquant(0.5F), {teacher_logits}).loss ==
        doctest::Approx(cross_entropy + 0.5 * soft_cross_entropy).epsilon(1e-7));
  CHECK(methods::coquant().teacher == Teacher::best);
  CHECK(methods::coquant(1.0F, Teacher::random).teacher == Teacher::random);
  CHECK(outcome(methods::instantnet(), {teacher_logits, teacher_logits}).loss ==
        doctest::Approx(cross_entropy + 2.0 * 0.5).epsilon(1e-6));
  CHECK(methods::instantnet().teacher == Teacher::all_higher);
  CHECK(outcome(methods::quantizable(0.25F), {teacher_logits}).loss ==
        doctest::Approx(0.75 * cross_entropy + 0.25 * kl).epsilon(1e-6));
  // Any-Precision's "soft" is the consistency loss with lambda 1 and soft cross-entropy.
  CHECK(outcome(methods::quantizable(1.0F, Divergence::soft_cross_entropy), {teacher_logits})
            .gradient == outcome(methods::any_precision_soft(), {teacher_logits}).gradient);
}

TEST_CASE("numbers out of range are refused") {
  const auto text = [](const Teaching& teaching) {
    return test::error_text<ConfigError>([&] { require_valid(teaching, 3); });
  };
  CHECK(text({.weight = -1.0F}) ==
        "teaching: expected weights >= 0, got weight -1, label_weight 1");
  CHECK(text({.label_weight = std::nanf("")}) ==
        "teaching: expected weights >= 0, got weight 1, label_weight nan");
  CHECK(text({.temperature = 0.0}) ==
        "teaching: expected temperature > 0 and epsilon >= 0, got 0 and 0");
  CHECK(text({.switch_weights = {1.0F}}) ==
        "teaching: expected one of switch_weights per switch, got 1 for 3");
  CHECK(text({.switch_weights = {1.0F, -2.0F, 1.0F}}) ==
        "teaching: expected switch_weights >= 0, got -2");
  CHECK(text({.teacher = Teacher::chosen}) ==
        "teaching: Teacher::chosen needs the function `choose`");
  CHECK(text({.switch_weights = {1.0F, 0.0F, 2.0F}}).empty());
}
