// SPDX-License-Identifier: Apache-2.0
// Line charts and scatter plots as inline SVG: pure functions from data to markup. Colours are CSS
// variables `--c0 .. --c7`, `--ink`, `--muted`, `--grid`, `--panel` of the page around them.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include <bitdial/train/svg_canvas.hpp>

namespace bitdial::inline BITDIAL_ABI::train {

/// Curves over a common x axis, each with its name at its right end, marks at the points where
/// there are few, and values as tool tips.
[[nodiscard]] inline std::string line_chart(const Chart& chart) {
  using detail::ChartCanvas;
  detail::ChartExtent extent = detail::extent_of(chart.series);
  if (extent.x_low == extent.x_high) extent.x_low -= 1.0;  // one epoch: its points at the right
  // Curves begin at the left end of the axis and end at the right one.
  const detail::ChartAxis x =
      detail::cut_axis(detail::round_axis(extent.x_low, extent.x_high, 8, chart.x_least_step),
                       extent.x_low, extent.x_high);
  const detail::ChartAxis y =
      detail::cut_axis(detail::round_axis(extent.y_low, extent.y_high, 5, chart.y_least_step),
                       chart.y_floor, chart.y_ceiling);

  int longest = 0;
  for (const ChartSeries& one : chart.series) longest = std::max(longest, display_width(one.name));
  ChartCanvas canvas(chart, x, y, std::clamp(24.0 + 8.0 * longest, 40.0, 200.0));

  std::vector<double> ends;
  for (std::size_t s = 0; s < chart.series.size(); ++s) {
    std::string path;
    double end_y = canvas.bottom();
    std::size_t drawn = 0;
    for (const ChartPoint& point : chart.series[s].points) {
      if (!detail::is_finite(point)) continue;
      end_y = canvas.py(point.y);
      path += concat(path.empty() ? "M" : "L", ChartCanvas::number(canvas.px(point.x)), " ",
                     ChartCanvas::number(end_y));
      ++drawn;
    }
    canvas.add(concat("<path d=\"", path.empty() ? "M0 0" : path, "\" class=\"curve\" stroke=\"",
                      ChartCanvas::colour(s), "\"/>\n"));
    for (const ChartPoint& point : chart.series[s].points) {
      if (drawn > 40 || !detail::is_finite(point)) continue;
      canvas.mark(canvas.px(point.x), canvas.py(point.y), s, 3.2,
                  concat(chart.series[s].name, ", ", chart.x_label, " ", fixed(point.x, x.digits),
                         ": ", fixed(point.y, y.digits + 2), " ", chart.y_unit));
    }
    ends.push_back(end_y);
  }
  const std::vector<double> heights =
      detail::spread(ends, 17.0, ChartCanvas::top, canvas.bottom() - 4.0);
  for (std::size_t s = 0; s < chart.series.size(); ++s) {
    canvas.line(canvas.right() + 6, ends[s], canvas.right() + 14, heights[s], "leader");
    canvas.text(canvas.right() + 18, heights[s] + 4, concat("name s", s % 8), chart.series[s].name);
  }
  return std::move(canvas).finish();
}

namespace detail {

/// The steps through those points that no other one beats in both directions (less x, more y).
[[nodiscard]] inline std::string front_path(const ChartCanvas& canvas,
                                            std::vector<ChartPoint> points) {
  std::erase_if(points, [](const ChartPoint& point) { return !is_finite(point); });
  std::stable_sort(points.begin(), points.end(), [](const ChartPoint& a, const ChartPoint& b) {
    return a.x != b.x ? a.x < b.x : a.y > b.y;
  });
  std::string path;
  double highest = 0.0;
  for (const ChartPoint& point : points) {
    if (!path.empty() && point.y <= highest) continue;
    const std::string x = ChartCanvas::number(canvas.px(point.x));
    const std::string y = ChartCanvas::number(canvas.py(point.y));
    path += path.empty() ? concat("M", x, " ", y) : concat("H", x, "V", y);
    highest = point.y;
  }
  return path;
}

/// Writes each point's label on the side where it covers least of marks and other labels.
inline void place_labels(ChartCanvas& canvas, const std::vector<ChartSeries>& series) {
  std::vector<LabelBox> taken;
  for (const ChartSeries& one : series) {
    for (const ChartPoint& point : one.points) {
      if (is_finite(point)) taken.push_back({canvas.px(point.x) - 7, canvas.py(point.y) + 7, 14});
    }
  }
  const auto cost = [&](const LabelBox& box) {
    double sum = 0.0;
    for (const LabelBox& other : taken) sum += box.overlap(other);
    const bool outside = box.x < ChartCanvas::left || box.x + box.width > canvas.right() + 24 ||
                         box.y > canvas.bottom() || box.y - 12 < ChartCanvas::top;
    return sum + (outside ? 1e6 : 0.0);
  };
  struct Place {
    LabelBox box;
    std::string_view anchor;
    double x;  // of the anchor
  };
  for (const ChartSeries& one : series) {
    for (const ChartPoint& point : one.points) {
      if (!is_finite(point) || point.label.empty()) continue;
      const double x = canvas.px(point.x);
      const double y = canvas.py(point.y);
      const double width = text_width(point.label);
      // Above comes first: the dotted lines run to the right and below.
      const std::array<Place, 6> places{{{{x - width / 2, y - 10, width}, "point mid", x},
                                         {{x - 10 - width, y + 4, width}, "point end", x - 10},
                                         {{x + 10, y + 4, width}, "point", x + 10},
                                         {{x - width / 2, y + 20, width}, "point mid", x},
                                         {{x + 8, y - 8, width}, "point", x + 8},
                                         {{x + 8, y + 17, width}, "point", x + 8}}};
      const Place& chosen = *std::min_element(
          places.begin(), places.end(),
          [&](const Place& a, const Place& b) { return cost(a.box) < cost(b.box); });
      taken.push_back(chosen.box);
      canvas.text(chosen.x, chosen.box.y, chosen.anchor, point.label);
    }
  }
}

/// Marks and names of the series at the top right, on the line of the y label.
inline void draw_legend(ChartCanvas& canvas, const std::vector<ChartSeries>& series) {
  double x = canvas.right();
  for (std::size_t s = series.size(); s-- > 0;) {
    canvas.text(x, 16, "label end", series[s].name);
    x -= text_width(series[s].name) + 8;
    canvas.mark(x, 12, s, 5.0, "");
    x -= 28;
  }
}

}  // namespace detail

/// Labelled points, x from 0, with a legend; a dotted line per series steps through its points that
/// no other one beats in both directions (less x, more y).
[[nodiscard]] inline std::string scatter_chart(const Chart& chart) {
  using detail::ChartCanvas;
  const detail::ChartExtent extent = detail::extent_of(chart.series);
  const double pad = (extent.y_high - extent.y_low) * 0.08;
  const detail::ChartAxis y =
      detail::round_axis(extent.y_low - pad, extent.y_high + pad, 5, chart.y_least_step);
  ChartCanvas canvas(chart, detail::round_axis(0.0, std::max(extent.x_high * 1.04, 1e-12), 7),
                     detail::cut_axis(y, chart.y_floor, chart.y_ceiling), 28.0);

  for (std::size_t s = 0; s < chart.series.size(); ++s) {
    const std::string front = detail::front_path(canvas, chart.series[s].points);
    if (front.empty()) continue;
    canvas.add(concat("<path d=\"", front, "\" class=\"front\" stroke=\"", ChartCanvas::colour(s),
                      "\"/>\n"));
  }

  for (std::size_t s = 0; s < chart.series.size(); ++s) {
    for (const ChartPoint& point : chart.series[s].points) {
      if (!detail::is_finite(point)) continue;
      canvas.mark(canvas.px(point.x), canvas.py(point.y), s, 5.5,
                  concat(chart.series[s].name, ", ", point.label, ": ", fixed(point.y, 2), " ",
                         chart.y_unit, " at ", fixed(point.x, 4), " ", chart.x_label));
    }
  }
  detail::place_labels(canvas, chart.series);
  detail::draw_legend(canvas, chart.series);
  return std::move(canvas).finish();
}

}  // namespace bitdial::inline BITDIAL_ABI::train
