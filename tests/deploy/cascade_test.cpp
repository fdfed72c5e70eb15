// SPDX-License-Identifier: Apache-2.0
// Cascades: confidence, escalation, and the choice of stages and thresholds.
#include <bitdial/deploy/cascade.hpp>
#include <bitdial/deploy/fit_cascade.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include <bitdial/core/random.hpp>

#include "reference_network.hpp"

namespace {

using namespace bitdial;

constexpr float nan = std::numeric_limits<float>::quiet_NaN();

Confidence of(const std::vector<float>& outputs) {
  return confidence_of(outputs);
}

TEST_CASE("the margin is the difference of the two largest shares") {
  const Confidence two = of({0.0F, std::log(3.0F)});
  CHECK(two.label == 1);
  CHECK(two.margin == doctest::Approx(0.5));
  CHECK(of({1.0F, 1.0F, 0.0F}).label == 0);
  CHECK(of({1.0F, 1.0F, 0.0F}).margin == 0.0F);
  CHECK(of({1000.0F, -1000.0F}).margin == 1.0F);
  CHECK(of({4.0F}).margin == 1.0F);
  CHECK(of({}).label == 0);
  for (const auto& broken : {std::vector<float>{nan, 1.0F}, {1.0F, nan}, {nan, nan}}) {
    CHECK(of(broken).margin == 0.0F);
  }
  const float infinity = std::numeric_limits<float>::infinity();
  CHECK(of({infinity, 0.0F}).margin == 0.0F);  // infinity - infinity is not a number
}

std::vector<std::byte> model_bytes_of_three_plans() {
  reference::Network net{{6, 6, 3}, {.seed = 4}};
  const int conv = net.conv(0, 8, ops::Window::square(3, {.padding = 1}));
  static_cast<void>(net.linear(net.global_average_pool(net.relu(conv)), 5));
  net.draw_weights({1, 2, 8});
  net.add_plan(PrecisionPlan::uniform("w8a8"));
  net.add_plan(PrecisionPlan::uniform("w2a2"));
  net.add_plan(PrecisionPlan::uniform("w1a1"));
  auto bytes = model_bytes(net.packed);
  REQUIRE_MESSAGE(bytes.ok(), bytes.error());
  return *bytes;
}

TEST_CASE("an unsure stage hands on, and the outputs are those of the stage that answered") {
  const auto bytes = model_bytes_of_three_plans();
  const auto model = Model::from_bytes(bytes);
  auto session = Session::create(*model);
  REQUIRE(session.ok());
  const std::vector<std::uint8_t> image(108, 77);
  std::vector<float> outputs(5), direct(5);
  const float never = std::numeric_limits<float>::infinity();
  const std::array<std::array<float, 2>, 3> thresholds{
      {{0.0F, 0.0F}, {never, 0.0F}, {never, never}}};
  const std::array<std::size_t, 3> plans{2, 1, 0};
  for (std::size_t expected = 0; expected < 3; ++expected) {
    const auto cascade = Cascade::create(
        *model, {{2, thresholds[expected][0]}, {1, thresholds[expected][1]}, {0, never}});
    REQUIRE(cascade.ok());
    const auto answer = cascade->run(*session, image, outputs);
    REQUIRE_MESSAGE(answer.ok(), answer.error());
    CHECK(answer->stage == expected);
    REQUIRE(session->run(image, direct, plans[expected]).ok());
    CHECK(outputs == direct);
    CHECK(answer->label == confidence_of(direct).label);
  }
}

TEST_CASE("wrong cascades are sentences") {
  const auto bytes = model_bytes_of_three_plans();
  const auto model = Model::from_bytes(bytes);
  CHECK(Cascade::create(*model, {}).error() == "cascade: expected at least one stage, got none");
  CHECK(Cascade::create(*model, {{3, 0.5F}}).error() ==
        "cascade: plan 3 is not in this model, expected 0 to 2");
  CHECK(Cascade::create(*model, {{1, nan}, {0, 0.0F}}).error() ==
        "cascade: the threshold of plan w2a2 is nan, expected a margin: 0 always answers, above 1 "
        "never; fit_cascade finds one");
  CHECK(
      Cascade::create(*model, {{1, 0.5F}, {0, -0.25F}}).error() ==
      "cascade: the threshold of plan w8a8 is -0.25, expected a margin: 0 always answers, above 1 "
      "never; fit_cascade finds one");
  CHECK(Cascade::create(*model, {{1, 0.5F}, {0, 0.0F}, {1, 0.9F}}).error() ==
        "cascade: plan w2a2 occurs twice, expected each once: it answers the same again");
  const auto cascade = Cascade::create(*model, {{1, 0.5F}, {0, 0.0F}});
  auto session = Session::create(*model, {.plans = {1}});
  std::vector<float> outputs(4);
  const std::vector<std::uint8_t> image(108);
  CHECK(cascade->run(*session, image, outputs).error() ==
        "cascade: 4 output values, one image gives 5");
  // Plan 0 is missing, although plan 1 would always answer.
  const auto always = Cascade::create(*model, {{1, 0.0F}, {0, 0.0F}});
  outputs.resize(5);
  CHECK(always->run(*session, image, outputs).error() ==
        "session: plan w8a8 was not among the plans that this session was created for, w2a2; name "
        "it in SessionOptions::plans");
}

TEST_CASE("a stage whose threshold was forgotten does not answer") {
  const auto bytes = model_bytes_of_three_plans();
  const auto model = Model::from_bytes(bytes);
  auto session = Session::create(*model);
  const auto cascade = Cascade::create(*model, {{.plan = 2}, {.plan = 0}});
  REQUIRE(cascade);
  std::vector<float> outputs(5);
  const std::vector<std::uint8_t> image(108, 77);
  CHECK(cascade->run(*session, image, outputs)->stage == 1);
}

TEST_CASE("a cascade pays when it is quicker and keeps the accuracy it was allowed") {
  CascadeReport report{.stages = {{1, 0.5F}, {0, 0.0F}},
                       .shares = {},
                       .accuracy = 0.89,
                       .full_accuracy = 0.9,
                       .mean_latency = 0.5,
                       .full_latency = 1.0,
                       .tolerance = 0.02};
  CHECK(report.pays());
  report.tolerance = 0.005;
  CHECK_FALSE(report.pays());
  report.accuracy = 0.95;
  CHECK(report.pays());
  report.mean_latency = 1.0;
  CHECK_FALSE(report.pays());
  report.mean_latency = 0.5;
  report.stages.erase(report.stages.begin());
  CHECK_FALSE(report.pays());
}

// Plan 0 is right when its margin is high; plan 1 is right on 90 % of the images.
struct Held {
  std::vector<PlanAnswers> plans;
  std::vector<std::int32_t> labels;
};

Held held_out(std::size_t count, double cheap_latency, bool informative) {
  Held held;
  held.plans = {{7, cheap_latency, {}}, {3, 1.0, {}}};
  Random random{5, 0};
  for (std::size_t i = 0; i < count; ++i) {
    const auto label = static_cast<std::int32_t>(random.below(10));
    const float margin = random.uniform();
    const bool right = informative ? random.uniform() < margin : random.uniform() < 0.5F;
    held.labels.push_back(label);
    held.plans[0].answers.push_back({right ? label : (label + 1) % 10, margin});
    const bool full_right = random.uniform() < 0.9F;
    held.plans[1].answers.push_back({full_right ? label : (label + 2) % 10, 0.5F});
  }
  return held;
}

TEST_CASE("a cheap stage that knows when it is right pays") {
  const Held held = held_out(20000, 0.1, true);
  const auto report = fit_cascade(held.plans, held.labels);
  REQUIRE_MESSAGE(report.ok(), report.error());
  REQUIRE(report->stages.size() == 2);
  CHECK(report->stages[0].plan == 7);
  CHECK(report->stages[1].plan == 3);
  CHECK(report->images == 10000);
  CHECK(report->pays());
  CHECK(report->accuracy >= report->full_accuracy - 0.01);
  CHECK(report->shares[0] > 0.1);
  CHECK(report->shares[0] + report->shares[1] == doctest::Approx(1.0));
  CHECK(report->mean_latency == doctest::Approx(0.1 + report->shares[1]));
  CHECK(report->agreement < 1.0);
  // More tolerance, less time.
  const auto loose = fit_cascade(held.plans, held.labels, {.tolerance = 0.05});
  CHECK(loose->mean_latency < report->mean_latency);
}

TEST_CASE("a stage that is no cheaper, or does not know when it is right, does not pay") {
  for (const Held& held : {held_out(4000, 1.0, true), held_out(4000, 0.5, false)}) {
    const auto report = fit_cascade(held.plans, held.labels);
    REQUIRE(report.ok());
    CHECK(report->stages.size() == 1);
    CHECK(report->stages[0].plan == 3);
    CHECK_FALSE(report->pays());
    CHECK(report->agreement == 1.0);
    CHECK(report->accuracy == report->full_accuracy);
  }
}

TEST_CASE("the accuracy curve is monotone and pools equal margins") {
  // Margins 0.1 0.2 0.2 0.3, right: 1 0 1 1. Pooled: (0.1 .. 0.2) 2/3, (0.3) 1.
  const PlanAnswers plan{0, 1.0, {{0, 0.1F}, {1, 0.2F}, {0, 0.2F}, {0, 0.3F}}};
  const std::vector<std::int32_t> labels{0, 0, 0, 0};
  const std::vector<std::size_t> images{0, 1, 2, 3};
  const detail::AccuracyCurve curve{plan, labels, images};
  std::vector<double> levels;
  curve.append_levels(levels);
  REQUIRE(levels.size() == 2);
  CHECK(levels[0] == doctest::Approx(2.0 / 3.0));
  CHECK(levels[1] == 1.0);
  CHECK(curve.threshold(0.5) == 0.1F);
  CHECK(curve.threshold(0.7) == 0.3F);
  CHECK(curve.threshold(1.1) == std::numeric_limits<float>::infinity());
}

TEST_CASE("answers come from the session, errors are sentences") {
  const auto bytes = model_bytes_of_three_plans();
  const auto model = Model::from_bytes(bytes);
  auto session = Session::create(*model, {.max_batch = 2});
  std::vector<std::uint8_t> images(5 * 108);
  for (std::size_t i = 0; i < images.size(); ++i) images[i] = static_cast<std::uint8_t>(i * 37);
  const std::vector<std::size_t> stages{2, 0};
  const std::vector<double> latencies{0.5, 1.0};
  const auto answers = collect_answers(*session, images, stages, latencies);
  REQUIRE_MESSAGE(answers.ok(), answers.error());
  REQUIRE(answers->size() == 2);
  std::vector<std::int32_t> classes(5);
  REQUIRE(session->classify(images, classes, 0).ok());
  for (std::size_t i = 0; i < 5; ++i) CHECK((*answers)[1].answers[i].label == classes[i]);

  CHECK(collect_answers(*session, images, stages, {}).error() ==
        "cascade: 0 latencies for 2 plans");
  images.pop_back();
  CHECK(collect_answers(*session, images, stages, latencies).error() ==
        "cascade: 539 input bytes, one image has 108, [6, 6, 3]");
  CHECK(fit_cascade({}, classes).error() == "cascade: 0 plans, expected 1 to 8");
  CHECK(fit_cascade(*answers, std::span{classes}.first(1)).error() ==
        "cascade: 1 held-out images, expected at least 2");
  CHECK(fit_cascade(*answers, std::span{classes}.first(4)).error() ==
        "cascade: 5 answers of plan 2 for 4 labels");
  CHECK(fit_cascade(*answers, classes, {.tolerance = double{nan}}).error() ==
        "cascade: tolerance is nan, expected a share from 0 to 1");
  std::vector<PlanAnswers> timeless = *answers;
  for (const double wrong :
       {0.0, -1.0, double{nan}, double{std::numeric_limits<float>::infinity()}}) {
    timeless[1].latency = wrong;
    CHECK(fit_cascade(timeless, classes).error() ==
          concat("cascade: plan 0: latency ", wrong, " s, expected a number above 0"));
  }
}

}  // namespace
