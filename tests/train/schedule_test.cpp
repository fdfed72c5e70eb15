// SPDX-License-Identifier: Apache-2.0
#include <cmath>

#include <doctest/doctest.h>
#include <bitdial/train/schedule.hpp>

using bitdial::ConfigError;
using bitdial::train::ConstantSchedule;
using bitdial::train::CosineSchedule;
using bitdial::train::PiecewiseLinearSchedule;
using bitdial::train::Schedule;
using bitdial::train::StepSchedule;

TEST_CASE("a constant stays") {
  const ConstantSchedule schedule{.rate = 0.25F};
  CHECK(schedule(0) == 0.25F);
  CHECK(schedule(1000000) == 0.25F);
}

TEST_CASE("steps multiply at and after each milestone") {
  const StepSchedule schedule{.rate = 1.0F, .milestones = {10, 20}, .factor = 0.5F};
  CHECK(schedule(0) == 1.0F);
  CHECK(schedule(9) == 1.0F);
  CHECK(schedule(10) == 0.5F);
  CHECK(schedule(19) == 0.5F);
  CHECK(schedule(20) == 0.25F);
  CHECK(schedule(1000) == 0.25F);
  const StepSchedule unordered{.rate = 1.0F, .milestones = {20, 10}, .factor = 0.5F};
  CHECK(unordered(15) == 0.5F);
}

TEST_CASE("a cosine falls from the rate to the final rate and stays there") {
  const CosineSchedule schedule({.rate = 0.8F, .steps = 100, .final_rate = 0.2F});
  CHECK(schedule(0) == doctest::Approx(0.8));
  CHECK(schedule(50) == doctest::Approx(0.5));
  CHECK(schedule(25) == doctest::Approx(0.2 + 0.3 * (1.0 + std::sqrt(0.5))));
  CHECK(schedule(100) == doctest::Approx(0.2));
  CHECK(schedule(5000) == doctest::Approx(0.2));
  for (int step = 1; step <= 100; ++step) CHECK(schedule(step) < schedule(step - 1));
}

TEST_CASE("the warm-up rises linearly and meets the cosine at the full rate") {
  const CosineSchedule schedule({.rate = 1.0F, .steps = 110, .warmup = 10});
  CHECK(schedule(0) == doctest::Approx(0.1));
  CHECK(schedule(4) == doctest::Approx(0.5));
  CHECK(schedule(9) == doctest::Approx(1.0));
  CHECK(schedule(10) == doctest::Approx(1.0));
  CHECK(schedule(60) == doctest::Approx(0.5));
  CHECK(schedule(110) == doctest::Approx(0.0));
}

TEST_CASE("a cosine without room is refused") {
  CHECK_THROWS_AS(CosineSchedule({.steps = 0}), ConfigError);
  CHECK_THROWS_AS(CosineSchedule({.steps = 10, .warmup = -1}), ConfigError);
  CHECK_THROWS_WITH(CosineSchedule({.steps = 10, .warmup = 10}),
                    "cosine schedule: expected 0 <= warmup < steps, found warmup 10, steps 10");
}

TEST_CASE("straight lines go through the points and stop at both ends") {
  const PiecewiseLinearSchedule schedule({{10, 0.1F}, {20, 0.6F}, {30, 0.0F}});
  CHECK(schedule(0) == 0.1F);
  CHECK(schedule(10) == 0.1F);
  CHECK(schedule(15) == doctest::Approx(0.35));
  CHECK(schedule(20) == 0.6F);
  CHECK(schedule(29) == doctest::Approx(0.06));
  CHECK(schedule(30) == 0.0F);
  CHECK(schedule(1000) == 0.0F);
  CHECK(PiecewiseLinearSchedule({{5, 0.25F}})(0) == 0.25F);
  CHECK_THROWS_WITH_AS(PiecewiseLinearSchedule({}),
                       "piecewise linear schedule: expected points, got none", ConfigError);
  CHECK_THROWS_WITH_AS(PiecewiseLinearSchedule({{5, 0.0F}, {5, 1.0F}}),
                       "piecewise linear schedule: expected ascending steps, found 5 after 5",
                       ConfigError);
}

TEST_CASE("any callable is a schedule") {
  Schedule schedule = StepSchedule{.rate = 1.0F, .milestones = {5}};
  CHECK(schedule(5) == doctest::Approx(0.1));
  schedule = [](std::int64_t step) { return static_cast<float>(step); };
  CHECK(schedule(7) == 7.0F);
}
