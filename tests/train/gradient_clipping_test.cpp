// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <utility>
#include <vector>

#include <doctest/doctest.h>
#include <bitdial/core/parallel.hpp>
#include <bitdial/train/gradient_clipping.hpp>

using namespace bitdial;

namespace {

/// The gradient of a parameter after clipping to a share of 1/4.
std::vector<float> clipped(const std::vector<float>& value, const std::vector<float>& gradient,
                           nn::ParameterRole role) {
  Tensor<float> tensor({static_cast<std::int64_t>(value.size())});
  std::ranges::copy(value, tensor.data());
  nn::Parameter parameter(std::move(tensor), role);
  std::ranges::copy(gradient, parameter.grad.data());
  train::ClippedGradients gradients({{"p", &parameter}});
  gradients.add(0.25F);
  CHECK(std::ranges::all_of(parameter.grad.span(), [](float g) { return g == 0.0F; }));
  gradients.finish();
  return {parameter.grad.span().begin(), parameter.grad.span().end()};
}

using Values = std::vector<float>;
using Role = nn::ParameterRole;

}  // namespace

TEST_CASE("a gradient is at most a share of its parameter, in its own direction") {
  // |w| = 5, |g| = 10: a quarter of 5 is an eighth of 10.
  CHECK(clipped({3.0F, 4.0F}, {8.0F, -6.0F}, Role::weight) == Values{1.0F, -0.75F});
  CHECK(clipped({3.0F, 4.0F}, {8.0F, -6.0F}, Role::clip) == Values{1.0F, -0.75F});
  CHECK(clipped({3.0F, 4.0F}, {1.0F, -0.75F}, Role::weight) == Values{1.0F, -0.75F});
  CHECK(clipped({3.0F, 4.0F}, {0.0F, 0.0F}, Role::weight) == Values{0.0F, 0.0F});
}

TEST_CASE("what starts at 0 can leave it") {
  // Least sizes of four numbers: 2 * 0.001 and 2 * 1.
  const Values zeros(4, 0.0F), ones(4, 1.0F);
  for (const float g : clipped(zeros, ones, Role::weight)) CHECK(g == doctest::Approx(0.00025));
  for (const Role role : {Role::bias, Role::batch_norm, Role::architecture}) {
    CHECK(clipped(zeros, ones, role) == Values(4, 0.25F));
  }
}

TEST_CASE("what is not finite stays to be reported") {
  constexpr float infinity = std::numeric_limits<float>::infinity();
  CHECK(clipped({1.0F, 1.0F}, {infinity, 1.0F}, Role::weight) == Values{infinity, 1.0F});
  CHECK(std::isnan(clipped({1.0F}, {std::nanf("")}, Role::weight)[0]));
}

TEST_CASE("every pass is limited on its own, and adds to the others") {
  nn::Parameter parameter(Tensor<float>({2}), Role::weight);
  std::ranges::copy(Values{3.0F, 4.0F}, parameter.value.data());
  train::ClippedGradients gradients({{"p", &parameter}});
  for (const char* const round : {"first", "second"}) {
    CAPTURE(round);
    gradients.start();
    std::ranges::copy(Values{800.0F, -600.0F}, parameter.grad.data());  // becomes {1, -0.75}
    gradients.add(0.25F);
    std::ranges::copy(Values{0.0F, 0.5F}, parameter.grad.data());  // small enough
    gradients.add(0.25F);
    gradients.finish();
    CHECK(Values(parameter.grad.span().begin(), parameter.grad.span().end()) ==
          Values{1.0F, -0.25F});
  }
  gradients.start();
  gradients.finish();
  CHECK(Values(parameter.grad.span().begin(), parameter.grad.span().end()) == Values{0.0F, 0.0F});
}

TEST_CASE("norms do not depend on the number of threads") {
  Tensor<float> value({100003}), gradient({100003});
  for (std::int64_t i = 0; i < value.size(); ++i) {
    value[i] = std::sin(static_cast<float>(i));
    gradient[i] = std::cos(3.0F * static_cast<float>(i));
  }
  const auto run = [&](int threads) {
    set_thread_count(threads);
    nn::Parameter parameter(value, Role::weight);
    parameter.grad = gradient;
    train::ClippedGradients gradients({{"p", &parameter}});
    gradients.add(0.1F);
    gradients.finish();
    set_thread_count(0);
    return std::vector<float>(parameter.grad.span().begin(), parameter.grad.span().end());
  };
  CHECK(run(1) == run(3));
}
