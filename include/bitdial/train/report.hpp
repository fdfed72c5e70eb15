// SPDX-License-Identifier: Apache-2.0
// The report of a run as one HTML file: curves, accuracy against time, the table, the facts. It
// needs no network and no script, and follows the reader's light or dark setting.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <bitdial/train/svg_chart.hpp>
#include <bitdial/train/table.hpp>

namespace bitdial::inline BITDIAL_ABI::train {

/// A short name and what it is, for example `{"seed", "1"}`.
struct ReportFact {
  std::string name = {};
  std::string value = {};
};

/// Everything that a report shows. Empty parts are left out.
struct Report {
  std::string title = {};
  std::string summary = {};                 ///< one or two sentences under the title
  std::vector<ReportFact> highlights = {};  ///< a few large numbers at the top
  /// Curves over the epoch: the loss, and the share of right answers in 0 .. 1 per precision.
  std::vector<ChartSeries> loss = {};
  std::vector<ChartSeries> accuracy = {};
  /// Labelled points: x is ms per image, y a share in 0 .. 1; one series per number of threads.
  std::vector<ChartSeries> latency = {};
  Table results = {};
  std::string results_note = {};       ///< how to read the table
  std::vector<ReportFact> facts = {};  ///< machine, command, seed, time
};

namespace detail {

inline constexpr std::string_view report_style = R"css(
:root{color-scheme:light dark;--panel:#fff;--ink:#1b1f24;--muted:#5c6670;
--grid:#e6e9ec;--line:#d5dae0;--back:#f6f7f9;
--c0:#0072b2;--c1:#d55e00;--c2:#009e73;--c3:#a8438a;--c4:#b07d00;
--c5:#3b9fd6;--c6:#6b4fbb;--c7:#5c6670}
@media(prefers-color-scheme:dark){:root{--panel:#1b1f25;--ink:#e8ebee;
--muted:#9aa5b1;--grid:#2a3037;--line:#343b44;--back:#121519;
--c0:#56b4e9;--c1:#ff8f4d;--c2:#2fc79a;--c3:#e08fc4;--c4:#e6c04a;
--c5:#8ad0f5;--c6:#ab97ee;--c7:#9aa5b1}}
*{box-sizing:border-box}
body{margin:0;background:var(--back);color:var(--ink);
font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,
"Helvetica Neue","Liberation Sans",Arial,sans-serif}
main{max-width:1180px;margin:0 auto;padding:40px 24px 56px}
h1{font-size:28px;line-height:1.2;margin:0 0 6px;letter-spacing:-.01em}
h2{font-size:16px;margin:0 0 12px}
p{margin:0;color:var(--muted);max-width:95ch}
section,figure{background:var(--panel);border:1px solid var(--line);border-radius:10px;
padding:18px 20px;margin:0}
figure h2{margin-bottom:8px}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(150px,1fr));gap:16px;
margin:24px 0 16px}
.tile{background:var(--panel);border:1px solid var(--line);border-radius:10px;padding:14px 18px}
.tile b{display:block;font-size:25px;line-height:1.25;font-weight:600;letter-spacing:-.01em}
.tile span{color:var(--muted);font-size:13px}
.grid{display:grid;grid-template-columns:repeat(2,minmax(0,1fr));gap:16px;margin:16px 0}
.grid .wide{grid-column:1/-1}
@media(max-width:860px){.grid{grid-template-columns:minmax(0,1fr)}.wide{overflow-x:auto}
.wide svg.chart{min-width:780px}}
.scroll{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
th{font-size:13px;font-weight:600;color:var(--muted);border-bottom:1px solid var(--line);
vertical-align:bottom}
th,td{padding:7px 26px 7px 0;text-align:left;white-space:nowrap}
th.r,td.r{text-align:right}
th:last-child,td:last-child{padding-right:0}
tbody tr+tr td{border-top:1px solid var(--grid)}
.note{margin-top:12px;font-size:13px;max-width:none}
dl{display:grid;grid-template-columns:max-content minmax(0,1fr);gap:5px 20px;margin:0}
dt{color:var(--muted)}
dd{margin:0;overflow-wrap:anywhere;font-variant-numeric:tabular-nums}
svg.chart{display:block;width:100%;height:auto;font-family:inherit}
.chart text{font-size:12.5px;fill:var(--ink)}
.chart .tick{fill:var(--muted);font-variant-numeric:tabular-nums}
.chart .label{fill:var(--muted)}
.chart .mid{text-anchor:middle}
.chart .end{text-anchor:end}
.chart .name,.chart .point{font-weight:600}
.chart .point{paint-order:stroke;stroke:var(--panel);stroke-width:3px;stroke-linejoin:round}
.chart .grid{stroke:var(--grid)}
.chart .axis{stroke:var(--muted)}
.chart .leader{stroke:var(--line)}
.chart .curve{fill:none;stroke-width:2;stroke-linejoin:round;stroke-linecap:round}
.chart .front{fill:none;stroke-width:1.5;stroke-dasharray:1.5 4;stroke-linecap:round}
.chart .mark{stroke:var(--panel);stroke-width:1}
.s0{fill:var(--c0)!important}.s1{fill:var(--c1)!important}.s2{fill:var(--c2)!important}
.s3{fill:var(--c3)!important}.s4{fill:var(--c4)!important}.s5{fill:var(--c5)!important}
.s6{fill:var(--c6)!important}.s7{fill:var(--c7)!important}
@media print{body{background:#fff}section,figure,.tile{break-inside:avoid}}
)css";

[[nodiscard]] inline std::string html_table(const Table& table) {
  const auto css = [&](std::size_t c) {
    return table.columns()[c].align == Align::right ? " class=\"r\"" : "";
  };
  std::string out = "<div class=\"scroll\"><table>\n<thead><tr>";
  for (std::size_t c = 0; c < table.columns().size(); ++c) {
    out += concat("<th scope=\"col\"", css(c), ">", escape_html(table.columns()[c].title), "</th>");
  }
  out += "</tr></thead>\n<tbody>\n";
  for (const auto& row : table.rows()) {
    out += "<tr>";
    for (std::size_t c = 0; c < row.size(); ++c) {
      out += concat("<td", css(c), ">", escape_html(row[c]), "</td>");
    }
    out += "</tr>\n";
  }
  return out + "</tbody>\n</table></div>\n";
}

/// The same points with shares as percent.
[[nodiscard]] inline std::vector<ChartSeries> as_percent(std::vector<ChartSeries> series) {
  for (ChartSeries& one : series) {
    for (ChartPoint& point : one.points) point.y *= 100.0;
  }
  return series;
}

}  // namespace detail

/// The report as an HTML document. Every text is escaped; the document refers to nothing outside
/// itself, and its content security policy forbids it to.
[[nodiscard]] inline std::string render_html(const Report& report) {
  std::string out = concat(
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n"
      "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
      "style-src 'unsafe-inline'\"/>\n<title>",
      escape_html(report.title), "</title>\n<style>", detail::report_style,
      "</style>\n</head>\n<body>\n<main>\n<h1>", escape_html(report.title), "</h1>\n");
  if (!report.summary.empty()) out += concat("<p>", escape_html(report.summary), "</p>\n");

  if (!report.highlights.empty()) {
    out += "<div class=\"tiles\">\n";
    for (const ReportFact& fact : report.highlights) {
      out += concat("<div class=\"tile\"><b>", escape_html(fact.value), "</b><span>",
                    escape_html(fact.name), "</span></div>\n");
    }
    out += "</div>\n";
  }

  if (!report.results.rows().empty()) {
    out += concat("<section>\n<h2>Results</h2>\n", detail::html_table(report.results));
    if (!report.results_note.empty()) {
      out += concat("<p class=\"note\">", escape_html(report.results_note), "</p>\n");
    }
    out += "</section>\n";
  }

  out += "<div class=\"grid\">\n";
  const auto figure = [&](std::string_view css, const Chart& chart, const std::string& svg) {
    out +=
        concat("<figure", css, ">\n<h2>", escape_html(chart.title), "</h2>\n", svg, "</figure>\n");
  };
  // Accuracies in percent: whole numbers at the ticks, nothing beyond 0 and 100.
  const auto accuracy_chart = [](std::string title, std::string x_label,
                                 const std::vector<ChartSeries>& series) {
    return Chart{.title = std::move(title),
                 .x_label = std::move(x_label),
                 .y_label = "top-1 accuracy",
                 .y_unit = "%",
                 .series = detail::as_percent(series),
                 .y_least_step = 1.0,
                 .y_floor = 0.0,
                 .y_ceiling = 100.0};
  };
  if (!report.latency.empty()) {
    Chart chart = accuracy_chart("Accuracy against latency", "ms per image", report.latency);
    chart.width = 1100;
    chart.height = 380;
    figure(" class=\"wide\"", chart, scatter_chart(chart));
  }
  if (!report.accuracy.empty()) {
    Chart chart = accuracy_chart("Accuracy per precision", "epoch", report.accuracy);
    chart.x_least_step = 1.0;
    figure("", chart, line_chart(chart));
  }
  if (!report.loss.empty()) {
    const Chart chart{.title = "Loss",
                      .x_label = "epoch",
                      .y_label = "loss",
                      .series = report.loss,
                      .x_least_step = 1.0,
                      .y_floor = 0.0};
    figure("", chart, line_chart(chart));
  }
  out += "</div>\n";

  if (!report.facts.empty()) {
    out += "<section>\n<h2>The run</h2>\n<dl>\n";
    for (const ReportFact& fact : report.facts) {
      out +=
          concat("<dt>", escape_html(fact.name), "</dt><dd>", escape_html(fact.value), "</dd>\n");
    }
    out += "</dl>\n</section>\n";
  }
  return out + "</main>\n</body>\n</html>\n";
}

}  // namespace bitdial::inline BITDIAL_ABI::train
