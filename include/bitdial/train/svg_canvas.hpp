// SPDX-License-Identifier: Apache-2.0
// What every chart needs: data types, round axes, a canvas that writes SVG, places for labels.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <bitdial/train/format.hpp>

namespace bitdial::inline BITDIAL_ABI::train {

/// `text` with the five characters that mean something in HTML as entities; control characters,
/// which HTML does not allow, become spaces.
[[nodiscard]] inline std::string escape_html(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      case '\'':
        out += "&#39;";
        break;
      default:
        out += static_cast<unsigned char>(c) < 0x20 && c != '\n' ? ' ' : c;
    }
  }
  return out;
}

struct ChartPoint {
  double x = 0.0;
  double y = 0.0;
  std::string label = {};  ///< shown beside the point of a scatter plot
};

/// Named points: a curve or one kind of mark. Points that are not finite are left out.
struct ChartSeries {
  std::string name = {};
  std::vector<ChartPoint> points = {};
};

/// A chart's words and data. Values are drawn as they are: give percent as 0 .. 100.
struct Chart {
  std::string title = {};
  std::string x_label = {};
  std::string y_label = {};
  std::string y_unit = {};  ///< after each tick of the y axis, for example "%"
  std::vector<ChartSeries> series = {};
  int width = 540;  ///< of the view box, in the units of a 12.5-unit font; pages scale it
  int height = 330;
  double x_least_step = 0.0;  ///< ticks are at least this far apart, for example 1 for epochs
  double y_least_step = 0.0;
  double y_floor = -1e300;  ///< the y axis ends here at the latest, for example 0 for percent
  double y_ceiling = 1e300;
};

namespace detail {

/// An axis with round ticks: `low` and `high` are its ends, `digits` what its numbers need.
struct ChartAxis {
  double low = 0.0;
  double high = 1.0;
  double step = 1.0;
  int digits = 0;
  std::vector<double> ticks;
};

/// The smallest axis with ticks at multiples of 1, 2 or 5 times a power of ten, about `wanted` of
/// them and at least `least_step` apart, that contains low .. high.
[[nodiscard]] inline ChartAxis round_axis(double low, double high, int wanted,
                                          double least_step = 0.0) {
  if (!(high > low)) {
    const double pad = low == 0.0 ? 1.0 : std::abs(low) * 0.1;
    low -= pad;
    high += pad;
  }
  const double raw = std::max((high - low) / wanted, least_step);
  const double power = std::pow(10.0, std::floor(std::log10(raw)));
  const double lead = raw / power;
  const double nice = lead <= 1.0 ? 1.0 : lead <= 2.0 ? 2.0 : lead <= 5.0 ? 5.0 : 10.0;
  ChartAxis axis;
  axis.step = nice * power;
  axis.digits = std::max(0, static_cast<int>(-std::floor(std::log10(axis.step) + 1e-9)));
  const double first = std::floor(low / axis.step + 1e-9);
  const double last = std::ceil(high / axis.step - 1e-9);
  axis.low = first * axis.step;
  axis.high = last * axis.step;
  for (double i = first; i <= last + 0.5; i += 1.0) axis.ticks.push_back(i * axis.step);
  return axis;
}

/// The axis without what lies outside low .. high.
[[nodiscard]] inline ChartAxis cut_axis(ChartAxis axis, double low, double high) {
  axis.low = std::max(axis.low, low);
  axis.high = std::min(axis.high, high);
  std::erase_if(axis.ticks, [&](double tick) {
    return tick < axis.low - 1e-9 * axis.step || tick > axis.high + 1e-9 * axis.step;
  });
  return axis;
}

[[nodiscard]] inline bool is_finite(const ChartPoint& point) noexcept {
  return std::isfinite(point.x) && std::isfinite(point.y);
}

/// The smallest and largest x and y of all finite points; 0 .. 1 without any.
struct ChartExtent {
  double x_low = 0.0, x_high = 1.0, y_low = 0.0, y_high = 1.0;
};
[[nodiscard]] inline ChartExtent extent_of(const std::vector<ChartSeries>& series) {
  ChartExtent extent;
  bool first = true;
  for (const ChartSeries& one : series) {
    for (const ChartPoint& point : one.points) {
      if (!is_finite(point)) continue;
      extent.x_low = first ? point.x : std::min(extent.x_low, point.x);
      extent.x_high = first ? point.x : std::max(extent.x_high, point.x);
      extent.y_low = first ? point.y : std::min(extent.y_low, point.y);
      extent.y_high = first ? point.y : std::max(extent.y_high, point.y);
      first = false;
    }
  }
  return extent;
}

/// One chart in the making: geometry, and functions that append markup.
class ChartCanvas {
 public:
  static constexpr double left = 58.0;
  static constexpr double top = 36.0;

  ChartCanvas(const Chart& chart, ChartAxis x, ChartAxis y, double right_margin)
      : chart_{chart}, x_{std::move(x)}, y_{std::move(y)}, right_{chart.width - right_margin} {
    out_ = concat("<svg class=\"chart\" viewBox=\"0 0 ", chart.width, " ", chart.height,
                  "\" role=\"img\" aria-label=\"", escape_html(chart.title), "\">\n");
    draw_axes();
  }

  [[nodiscard]] double right() const noexcept { return right_; }
  [[nodiscard]] double bottom() const noexcept { return chart_.height - 46.0; }
  [[nodiscard]] double px(double x) const noexcept {
    return left + (x - x_.low) / (x_.high - x_.low) * (right_ - left);
  }
  [[nodiscard]] double py(double y) const noexcept {
    return bottom() - (y - y_.low) / (y_.high - y_.low) * (bottom() - top);
  }
  [[nodiscard]] static std::string number(double value) { return fixed(value, 1); }
  [[nodiscard]] static std::string colour(std::size_t series) {
    return concat("var(--c", series % 8, ")");
  }

  void add(std::string_view markup) { out_ += markup; }
  void text(double x, double y, std::string_view css, std::string_view words) {
    out_ += concat("<text x=\"", number(x), "\" y=\"", number(y), "\" class=\"", css, "\">",
                   escape_html(words), "</text>\n");
  }
  void line(double x1, double y1, double x2, double y2, std::string_view css) {
    out_ += concat("<line x1=\"", number(x1), "\" y1=\"", number(y1), "\" x2=\"", number(x2),
                   "\" y2=\"", number(y2), "\" class=\"", css, "\"/>\n");
  }
  /// A mark whose form tells the series apart without colour: circle, square, triangle, diamond.
  void mark(double x, double y, std::size_t series, double radius, std::string_view tip) {
    const auto path = [&](std::string_view d) { return concat("<path d=\"", d, "\""); };
    const auto at = [&](double dx, double dy) {
      return concat(number(x + dx * radius), " ", number(y + dy * radius));
    };
    std::string form;
    switch (series % 4) {
      case 0:
        form = concat("<circle cx=\"", number(x), "\" cy=\"", number(y), "\" r=\"", number(radius),
                      "\"");
        break;
      case 1:
        form = path(
            concat("M", at(-.9, -.9), "L", at(.9, -.9), "L", at(.9, .9), "L", at(-.9, .9), "Z"));
        break;
      case 2:
        form = path(concat("M", at(0, -1.2), "L", at(1.1, .8), "L", at(-1.1, .8), "Z"));
        break;
      default:
        form = path(
            concat("M", at(0, -1.25), "L", at(1.25, 0), "L", at(0, 1.25), "L", at(-1.25, 0), "Z"));
    }
    out_ += concat(form, " class=\"mark\" fill=\"", colour(series), "\">");
    if (!tip.empty()) out_ += concat("<title>", escape_html(tip), "</title>");
    out_ += form.starts_with("<circle") ? "</circle>\n" : "</path>\n";
  }
  [[nodiscard]] std::string finish() && { return std::move(out_) + "</svg>\n"; }

 private:
  void draw_axes() {
    for (const double tick : y_.ticks) {
      line(left, py(tick), right_, py(tick), "grid");
      text(left - 8, py(tick) + 4, "tick end",
           fixed(tick, y_.digits) + (chart_.y_unit.empty() ? "" : " " + chart_.y_unit));
    }
    line(left, bottom(), right_, bottom(), "axis");
    for (const double tick : x_.ticks) {
      line(px(tick), bottom(), px(tick), bottom() + 5, "axis");
      text(px(tick), bottom() + 19, "tick mid", fixed(tick, x_.digits));
    }
    text((left + right_) / 2, chart_.height - 8, "label mid", chart_.x_label);
    text(4, 16, "label", chart_.y_label);
  }

  const Chart& chart_;
  ChartAxis x_;
  ChartAxis y_;
  double right_;
  std::string out_;
};

/// Moves labels apart: `wanted` heights, at least `gap` between neighbours, within low .. high as
/// far as there is room. Returns the heights in the order of `wanted`.
[[nodiscard]] inline std::vector<double> spread(const std::vector<double>& wanted, double gap,
                                                double low, double high) {
  std::vector<std::size_t> order(wanted.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return wanted[a] < wanted[b]; });
  // Groups of touching labels, each centred on the mean of what its members want.
  struct Group {
    double sum = 0.0;
    std::size_t count = 0;
  };
  const auto start = [&](const Group& group) {
    const double length = gap * static_cast<double>(group.count - 1);
    const double centred = group.sum / static_cast<double>(group.count) - length / 2;
    return std::max(low, std::min(centred, high - length));
  };
  std::vector<Group> groups;
  for (const std::size_t i : order) {
    groups.push_back({wanted[i], 1});
    while (groups.size() > 1) {
      const Group& above = groups[groups.size() - 2];
      if (start(above) + gap * static_cast<double>(above.count) <= start(groups.back())) break;
      groups[groups.size() - 2].sum += groups.back().sum;
      groups[groups.size() - 2].count += groups.back().count;
      groups.pop_back();
    }
  }
  std::vector<double> placed(wanted.size());
  std::size_t next = 0;
  for (const Group& group : groups) {
    for (std::size_t i = 0; i < group.count; ++i) {
      placed[order[next++]] = start(group) + gap * static_cast<double>(i);
    }
  }
  return placed;
}

/// Where a label stands: its baseline starts at (x, y).
struct LabelBox {
  double x = 0.0, y = 0.0, width = 0.0;
  /// The area shared with another label or mark of one line's height.
  [[nodiscard]] double overlap(const LabelBox& other) const noexcept {
    constexpr double line = 14.0;
    const double across = std::min(x + width, other.x + other.width) - std::max(x, other.x);
    const double down = std::min(y, other.y) - std::max(y, other.y) + line;
    return across > 0.0 && down > 0.0 ? across * down : 0.0;
  }
};

/// About the width of a label in the chart's font; a wide font has 8 units per character.
[[nodiscard]] inline double text_width(std::string_view text) noexcept {
  return 8.0 * display_width(text);
}

}  // namespace detail

}  // namespace bitdial::inline BITDIAL_ABI::train
