// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include <doctest/doctest.h>
#include <bitdial/train/svg_canvas.hpp>

using namespace bitdial::train;
using detail::ChartAxis;
using detail::round_axis;
using detail::spread;

TEST_CASE("HTML is escaped") {
  CHECK(escape_html("a<b>&\"c\" 'd'") == "a&lt;b&gt;&amp;&quot;c&quot; &#39;d&#39;");
  CHECK(escape_html("tab\tbell\x07") == "tab bell ");
  CHECK(escape_html("µ█") == "µ█");
}

TEST_CASE("an axis has round ticks and contains its data") {
  const ChartAxis percent = round_axis(68.3, 91.2, 5);
  CHECK(percent.low == doctest::Approx(65.0));
  CHECK(percent.high == doctest::Approx(95.0));
  CHECK(percent.step == doctest::Approx(5.0));
  CHECK(percent.digits == 0);
  CHECK(percent.ticks.size() == 7);

  const ChartAxis small = round_axis(0.0, 0.19, 7);
  CHECK(small.step == doctest::Approx(0.05));
  CHECK(small.digits == 2);
  CHECK(small.low == 0.0);
  CHECK(small.high == doctest::Approx(0.2));

  for (const auto& [low, high] : std::vector<std::pair<double, double>>{
           {-3.0, 7.5}, {0.001, 0.0012}, {1e6, 3e9}, {5.0, 5.0}, {0.0, 0.0}, {-2.0, -2.0}}) {
    const ChartAxis axis = round_axis(low, high, 6);
    CHECK(axis.low <= low);
    CHECK(axis.high >= high);
    CHECK(axis.low < axis.high);
    CHECK(axis.ticks.size() >= 2);
    CHECK(axis.ticks.size() <= 12);
    CHECK(axis.ticks.front() == doctest::Approx(axis.low));
    CHECK(axis.ticks.back() == doctest::Approx(axis.high));
  }
  CHECK(round_axis(1.0, 2.0, 8, 1.0).ticks == std::vector<double>{1.0, 2.0});
}

TEST_CASE("labels that are far apart stay, others move as little as needed") {
  CHECK(spread({10, 50, 90}, 17, 0, 100) == std::vector<double>{10, 50, 90});
  CHECK(spread({50, 50}, 10, 0, 100) == std::vector<double>{45, 55});
  CHECK(spread({52, 50, 48}, 10, 0, 100) == std::vector<double>{60, 50, 40});
  CHECK(spread({100, 100}, 10, 0, 100) == std::vector<double>{90, 100});
  CHECK(spread({-5, 0}, 10, 0, 100) == std::vector<double>{0, 10});
  CHECK(spread({}, 10, 0, 100).empty());
  // Two groups that grow into each other become one.
  const std::vector<double> placed = spread({40, 41, 52, 53}, 10, 0, 100);
  for (std::size_t i = 1; i < placed.size(); ++i) CHECK(placed[i] - placed[i - 1] >= 10.0 - 1e-9);
}

TEST_CASE("the extent skips what is not finite") {
  constexpr double nan = std::numeric_limits<double>::quiet_NaN();
  const auto extent = detail::extent_of({{"a", {{1, 5}, {nan, 9}, {3, nan}}}, {"b", {{2, -4}}}});
  CHECK(extent.x_low == 1.0);
  CHECK(extent.x_high == 2.0);
  CHECK(extent.y_low == -4.0);
  CHECK(extent.y_high == 5.0);
}
