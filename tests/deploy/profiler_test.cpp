// SPDX-License-Identifier: Apache-2.0
// Profiles: every step is there, counts are exact, times add up, and text can be read again.
#include <bitdial/deploy/profile_text.hpp>
#include <bitdial/deploy/profiler.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <cstddef>
#include <limits>
#include <string>
#include <vector>

#include "reference_network.hpp"

namespace {

using namespace bitdial;

std::vector<std::byte> file_of_example() {
  reference::Network net{{6, 8, 3}, {.seed = 9}};
  const int conv = net.conv(0, 8, ops::Window::square(3, {.padding = 1}));
  const int depthwise = net.depthwise(net.relu(conv), ops::Window::square(3, {.padding = 1}));
  static_cast<void>(net.linear(net.global_average_pool(depthwise), 5));
  net.draw_weights({1, 4});
  net.add_plan(PrecisionPlan::uniform("w4a4"));
  net.add_plan(PrecisionPlan::uniform("w1a1"));
  auto bytes = model_bytes(net.packed);
  REQUIRE_MESSAGE(bytes.ok(), bytes.error());
  return *bytes;
}

std::size_t lines_of(const std::string& text) {
  return static_cast<std::size_t>(std::ranges::count(text, '\n'));
}

TEST_CASE("steps, counts and sums of a small network") {
  const std::vector<std::byte> bytes = file_of_example();
  const auto model = Model::from_bytes(bytes);
  REQUIRE_MESSAGE(model.ok(), model.error());
  auto session = Session::create(*model, {.path = KernelPath::planes});
  REQUIRE(session.ok());
  const auto plans = profile(*session, {.seconds = 0.05});
  REQUIRE_MESSAGE(plans.ok(), plans.error());
  REQUIRE(plans->size() == 2);
  for (const PlanProfile& plan : *plans) {
    std::vector<std::string> names;
    double seconds = 0.0;
    for (const StepProfile& step : plan.steps) {
      names.push_back(step.name);
      seconds += step.seconds;
      CHECK(step.seconds > 0.0);
      CHECK((step.peak > 0.0) == (step.kind == "conv2d" || step.kind == "linear"));
    }
    CHECK(names ==
          std::vector<std::string>{"input", "conv0", "conv1", "global_average_pool", "linear2"});
    CHECK(plan.total.seconds == doctest::Approx(seconds));
    const double at_peak = (static_cast<double>(plan.steps[1].macs) / plan.steps[1].peak) +
                           (static_cast<double>(plan.steps[4].macs) / plan.steps[4].peak);
    CHECK(plan.total.share() == doctest::Approx(at_peak / seconds));
  }
  const PlanProfile& plan = plans->front();
  CHECK(plan.plan == "w4a4");
  CHECK(plan.steps[1].kind == "conv2d");
  CHECK(plan.steps[1].widths == "w4a4");
  CHECK(plan.steps[1].path == "planes");
  CHECK(plan.steps[1].macs == 6 * 8 * 8 * 27);
  CHECK(plan.steps[1].bytes == 4 * 8 * 4);  // planes, channels, ceil(27 / 8)
  CHECK(plan.steps[2].kind == "grouped_conv2d");
  CHECK(plan.steps[2].path == "bytes");
  CHECK(plan.steps[2].share() == 0.0);
  CHECK(plan.steps[2].macs == 6 * 8 * 8 * 9);
  CHECK(plan.steps[4].macs == 40);
  CHECK(plan.total.macs == 6 * 8 * 8 * (27 + 9) + 40);
  CHECK(plan.total.bytes == model->packed_bytes(0));
}

TEST_CASE("a given peak counts for every layer; mistakes are sentences") {
  const std::vector<std::byte> bytes = file_of_example();
  const auto model = Model::from_bytes(bytes);
  auto session = Session::create(*model, {.plans = {1}});
  REQUIRE(session.ok());
  const auto plans = profile(*session, {.seconds = 0.01, .peak = 5e9});
  REQUIRE_MESSAGE(plans.ok(), plans.error());
  REQUIRE(plans->size() == 1);
  CHECK(plans->front().plan == "w1a1");
  for (const StepProfile& step : plans->front().steps) {
    CHECK(step.peak == (step.macs > 0 ? 5e9 : 0.0));
  }
  CHECK(plans->front().total.peak == doctest::Approx(5e9));
  const double nan = std::numeric_limits<double>::quiet_NaN();
  CHECK(profile(*session, {.seconds = nan}).error() ==
        "profile: nan seconds, expected more than 0 and at most 1000000");
  CHECK(profile(*session, {.peak = 0.0}).error() == "profile: peak is 0, expected more than 0");
}

TEST_CASE("a peak is that of its kernel: more bit planes take longer") {
  for (const kernels::KernelTable* table : kernels::supported_kernels()) {
    CAPTURE(std::string{table->name});
    const double one = measure_peak(*table, KernelPath::planes, {1, 1});
    CHECK(one > measure_peak(*table, KernelPath::planes, {4, 4}));
    CHECK(measure_peak(*table, KernelPath::planes, {8, 8}) > 0.0);
    CHECK(measure_peak(*table, KernelPath::planes, {3, 1}) > 0.0);
    CHECK(measure_peak(*table, KernelPath::bytes) > 0.0);
  }
}

const std::vector<PlanProfile> written{
    {.plan = "w4a4",
     .steps = {{.name = "a,\"b\"\n",
                .kind = "conv2d",
                .widths = "w4a4",
                .path = "bytes",
                .seconds = 0.0015,
                .macs = 3000000,
                .bytes = 128,
                .peak = 4e9},
               {.name = "relu", .kind = "relu", .seconds = 0.00025}},
     .total = {.name = "total",
               .kind = "total",
               .seconds = 0.00175,
               .macs = 3500000,
               .bytes = 128,
               .peak = 4e9}}};

TEST_CASE("CSV: one header, quoted fields, empty where a step has nothing") {
  CHECK(profile_csv(written) ==
        "plan,step,kind,widths,path,ms,macs,gmac_per_s,share_of_peak,weight_bytes\n"
        "w4a4,\"a,\"\"b\"\"\n\",conv2d,w4a4,bytes,1.5000,3000000,2.00,0.500,128\n"
        "w4a4,relu,relu,,,0.2500,,,,\n"
        "w4a4,total,total,,,1.7500,3500000,2.00,0.500,128\n");
}

TEST_CASE("JSON: escaped strings, null where a step has nothing") {
  CHECK(profile_json(std::span{written}) ==
        "[{\"plan\": \"w4a4\", \"steps\": [\n"
        "  {\"step\": \"a,\\\"b\\\"\\u000a\", \"kind\": \"conv2d\", \"widths\": \"w4a4\", "
        "\"path\": \"bytes\", \"ms\": 1.5, \"macs\": 3000000, \"gmac_per_s\": 2, "
        "\"share_of_peak\": 0.5, \"weight_bytes\": 128},\n"
        "  {\"step\": \"relu\", \"kind\": \"relu\", \"widths\": null, \"path\": null, "
        "\"ms\": 0.25, \"macs\": 0, \"gmac_per_s\": 0, \"share_of_peak\": null, "
        "\"weight_bytes\": 0},\n"
        "  {\"step\": \"total\", \"kind\": \"total\", \"widths\": null, \"path\": null, "
        "\"ms\": 1.75, \"macs\": 3500000, \"gmac_per_s\": 2, \"share_of_peak\": 0.5, "
        "\"weight_bytes\": 128}\n]}]\n");
}

TEST_CASE("table: columns line up, one block per plan") {
  std::vector<PlanProfile> two{written[0], written[0]};
  for (PlanProfile& plan : two) plan.steps[0].name = "stem";
  const std::string text = profile_table(two);
  CHECK(lines_of(text) == 2 * 5 + 1);
  CHECK(text.starts_with(
      "plan w4a4\n"
      "step   kind    widths  path       ms     macs  gmac_per_s  share_of_peak  weight_bytes\n"
      "stem   conv2d  w4a4    bytes  1.5000  3000000        2.00          0.500           128\n"
      "relu   relu                   0.2500\n"
      "total  total                  1.7500  3500000        2.00          0.500           128\n"
      "\nplan w4a4\n"));
  CHECK(profile_table({}).empty());
}

}  // namespace
