// SPDX-License-Identifier: Apache-2.0
#include <cstdint>
#include <vector>

#include <doctest/doctest.h>
#include <bitdial/autodiff/grad_check.hpp>
#include <bitdial/switchable/joint_loss.hpp>
#include <bitdial/switchable/methods.hpp>
#include <support/tensors.hpp>

using namespace bitdial;

namespace {

const std::vector<std::int32_t> labels{2, 0};

std::vector<Tensor<float>> three_modes() {
  std::vector<Tensor<float>> logits;
  for (std::uint64_t mode = 0; mode < 3; ++mode) {
    logits.push_back(test::random_tensor({2, 3}, mode + 1));
  }
  return logits;
}

}  // namespace

TEST_CASE("a function of all logits has gradients for each of them") {
  const JointLoss loss = on_tape([](std::span<const Var> z, std::span<const std::int32_t>) {
    return ad::mean_squared_error(ad::add(z[0], z[2]), Tensor<float>({2, 3}).view());
  });
  const std::vector<Tensor<float>> z = three_modes();
  const JointLossValue value = loss(z, labels);
  REQUIRE(value.gradients.size() == 3);
  float expected = 0.0F;
  for (std::int64_t i = 0; i < 6; ++i) {
    const float sum = z[0][i] + z[2][i];
    expected += sum * sum / 6.0F;
    CHECK(value.gradients[0][i] == doctest::Approx(sum / 3.0F));
    CHECK(value.gradients[2][i] == value.gradients[0][i]);
    CHECK(value.gradients[1][i] == 0.0F);  // not used
  }
  CHECK(value.loss == doctest::Approx(expected));
}

TEST_CASE("consistency is what switches learn from the highest, added up") {
  const std::vector<Tensor<float>> z = three_modes();
  for (const Divergence divergence :
       {Divergence::kl, Divergence::soft_cross_entropy, Divergence::mean_squared_error}) {
    const float lambda = 0.3F;
    const JointLossValue joint =
        consistency_loss({.lambda = lambda, .divergence = divergence})(z, labels);
    const Teaching teaching = methods::quantizable(lambda, divergence);
    float sum = 0.0F;
    for (std::size_t mode = 0; mode < 3; ++mode) {
      Tape tape;
      const Var logits = tape.leaf(z[mode]);
      const Tensor<float> lesson = lesson_of(tape.borrow(z[0]), teaching);
      std::vector<const Tensor<float>*> lessons{&lesson};
      if (mode == 0) lessons.clear();
      const Var loss = switch_loss(logits, labels, lessons, teaching);
      tape.backward(loss);
      sum += loss.value()[0];
      for (std::int64_t i = 0; i < 6; ++i) {
        CHECK(logits.grad()[i] == doctest::Approx(joint.gradients[mode][i]).epsilon(1e-5));
      }
    }
    CHECK(joint.loss == doctest::Approx(sum).epsilon(1e-6));
  }
}

TEST_CASE("gradients of the consistency loss, into the teacher too") {
  for (const Divergence divergence :
       {Divergence::kl, Divergence::soft_cross_entropy, Divergence::mean_squared_error}) {
    const ConsistencyOptions options{.lambda = 0.6F,
                                     .divergence = divergence,
                                     .temperature = 2.0,
                                     .detach_teacher = false,
                                     .mode_weights = {0.5F, 2.0F}};
    std::vector<Tensor<double>> points;
    for (const Tensor<float>& z : three_modes()) {
      Tensor<double> wide(z.shape());
      std::ranges::copy(z.span(), wide.data());
      points.push_back(std::move(wide));
    }
    const GradCheck result =
        check_gradients(points, [&](BasicTape<double>&, std::span<const BasicVar<double>> z) {
          return consistency(z, labels, options);
        });
    CHECK_MESSAGE(result.error < 1e-7, result.text());
    CHECK(result.error >= 0.0);
  }
}

TEST_CASE("consistency checks its options") {
  const auto text = [](const ConsistencyOptions& options) {
    return test::error_text<ConfigError>(
        [&] { static_cast<void>(consistency_loss(options)(three_modes(), labels)); });
  };
  CHECK(text({.lambda = 1.5F}) == "consistency: expected lambda in [0, 1], got 1.5");
  CHECK(text({.mode_weights = {1.0F}}) ==
        "consistency: expected one of mode_weights per lower mode, got 1 for 2");
  CHECK(test::error_text<ConfigError>([] { static_cast<void>(consistency_loss()({}, {})); }) ==
        "consistency: expected at least one mode, got none");
}
