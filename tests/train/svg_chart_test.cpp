// SPDX-License-Identifier: Apache-2.0
#include <limits>
#include <string>

#include <doctest/doctest.h>
#include <bitdial/train/svg_chart.hpp>

#include "markup.hpp"

using bitdial::train::Chart;
using bitdial::train::line_chart;
using bitdial::train::scatter_chart;

TEST_CASE("a line chart has a path, marks and a name per curve") {
  const Chart chart{
      .title = "Loss",
      .x_label = "epoch",
      .y_label = "loss",
      .series = {{"w8a8", {{1, 2.0}, {2, 1.0}, {3, 0.5}}}, {"w1a1", {{1, 2.5}, {3, 2.0}}}},
      .x_least_step = 1.0,
      .y_floor = 0.0};
  const std::string svg = line_chart(chart);
  CHECK(markup::nesting_problem(svg) == "");
  CHECK(markup::count(svg, "class=\"curve\"") == 2);
  CHECK(markup::count(svg, "<circle ") == 3);  // marks of the first series
  CHECK(markup::count(svg, "<title>") == 5);
  CHECK(svg.find("<title>w8a8, epoch 2: 1.000 </title>") != std::string::npos);
  CHECK(svg.find(">w1a1</text>") != std::string::npos);
  CHECK(svg.find("aria-label=\"Loss\"") != std::string::npos);
  for (const std::string tick : {">1</text>", ">2</text>", ">3</text>", ">0.5</text>"}) {
    CHECK(svg.find(tick) != std::string::npos);
  }
  CHECK(svg.find(">1.5</text>") != std::string::npos);  // a loss, not half an epoch
}

TEST_CASE("a higher value is drawn higher, a later one further right") {
  const Chart chart{.series = {{"a", {{0, 0.0}, {1, 10.0}}}}};
  const std::string svg = line_chart(chart);
  const std::size_t from = svg.find("<path d=\"M");
  double x0 = 0, y0 = 0, x1 = 0, y1 = 0;
  REQUIRE(std::sscanf(svg.c_str() + from, "<path d=\"M%lf %lfL%lf %lf", &x0, &y0, &x1, &y1) == 4);
  CHECK(x0 == doctest::Approx(58.0));
  CHECK(y0 == doctest::Approx(330.0 - 46.0));
  CHECK(x1 > x0);
  CHECK(y1 == doctest::Approx(36.0));
}

TEST_CASE("many points have no marks, and what is not finite is left out") {
  Chart chart{.series = {{"a", {}}}};
  for (int i = 0; i < 100; ++i) chart.series[0].points.push_back({double(i), double(i % 7)});
  CHECK(markup::count(line_chart(chart), "<circle ") == 0);

  constexpr double nan = std::numeric_limits<double>::quiet_NaN();
  constexpr double infinity = std::numeric_limits<double>::infinity();
  const Chart broken{.series = {{"a", {{1, nan}, {2, 3}, {infinity, 4}}}, {"b", {{nan, nan}}}}};
  for (const std::string& svg : {line_chart(broken), scatter_chart(broken)}) {
    CHECK(markup::nesting_problem(svg) == "");
    CHECK(markup::count(svg, "nan") == 0);
    CHECK(markup::count(svg, "inf") == 0);
    CHECK(markup::count(svg, "<title>") == 1);
  }
}

TEST_CASE("charts without points are still charts") {
  for (const std::string& svg :
       {line_chart({}), scatter_chart({}), line_chart({.series = {{"a", {}}}})}) {
    CHECK(markup::nesting_problem(svg) == "");
    CHECK(markup::count(svg, "nan") == 0);
  }
}

TEST_CASE("percent axes keep to 0 .. 100") {
  const Chart chart{.y_unit = "%",
                    .series = {{"a", {{1, 99.9, "p"}, {2, 97.0, "q"}}}},
                    .y_least_step = 1.0,
                    .y_floor = 0.0,
                    .y_ceiling = 100.0};
  for (const std::string& svg : {line_chart(chart), scatter_chart(chart)}) {
    CHECK(svg.find(">100 %</text>") != std::string::npos);
    CHECK(svg.find(">101 %</text>") == std::string::npos);
  }
}

TEST_CASE("the dotted line of a scatter plot steps through the unbeaten points") {
  // (2, 40) is slower and worse than (1, 50).
  const Chart chart{.series = {{"s", {{3, 80, "c"}, {1, 50, "a"}, {2, 40, "b"}}}}};
  const std::string svg = scatter_chart(chart);
  const std::size_t front = svg.find("class=\"front\"");
  REQUIRE(front != std::string::npos);
  const std::size_t start = svg.rfind("<path", front);
  const std::string path = svg.substr(start, front - start);
  CHECK(markup::count(path, "H") == 1);
  CHECK(markup::count(path, "V") == 1);
  for (const std::string label : {">a</text>", ">b</text>", ">c</text>", ">s</text>"}) {
    CHECK(svg.find(label) != std::string::npos);
  }
}

TEST_CASE("names and labels are escaped") {
  const Chart chart{.title = "<t>",
                    .x_label = "<x>",
                    .y_label = "<y>",
                    .series = {{"<n>", {{1, 1, "<l>"}, {2, 2}}}}};
  for (const std::string& svg : {line_chart(chart), scatter_chart(chart)}) {
    CHECK(markup::nesting_problem(svg) == "");
    for (const std::string raw : {"<t>", "<x>", "<y>", "<n>", "<l>"}) {
      CHECK(svg.find(raw) == std::string::npos);
    }
  }
}
