// SPDX-License-Identifier: Apache-2.0
#include <string>

#include <doctest/doctest.h>
#include <bitdial/train/report.hpp>

#include "markup.hpp"

using bitdial::train::Align;
using bitdial::train::render_html;
using bitdial::train::Report;
using bitdial::train::Table;

namespace {

Report sample() {
  Report report{.title = "Run <1>",
                .summary = "A & B",
                .highlights = {{"top-1", "91 %"}},
                .loss = {{"w8a8", {{1, 2.0}, {2, 1.0}}}},
                .accuracy = {{"w8a8", {{1, 0.5}, {2, 0.9}}}, {"w1a1", {{1, 0.25}, {2, 0.75}}}},
                .latency = {{"1 thread", {{0.5, 0.9, "w8a8"}, {0.25, 0.75, "w1a1"}}}},
                .results = Table({{"precision", Align::left}, {"top-1"}}),
                .results_note = "median of <n> runs",
                .facts = {{"command", "quickstart --data \"x\" <script>alert(1)</script>"}}};
  report.results.add_row({"w8a8", "<90 %>"});
  return report;
}

}  // namespace

TEST_CASE("a report is one well-formed document that refers to nothing outside") {
  const std::string html = render_html(sample());
  CHECK(html.starts_with("<!DOCTYPE html>\n<html lang=\"en\">"));
  CHECK(html.ends_with("</html>\n"));
  CHECK(markup::nesting_problem(html) == "");
  for (const std::string outside :
       {"http:", "https:", "//", "url(", "@import", "src=", "href=", "<script", "<link", "<img"}) {
    CAPTURE(outside);
    CHECK(html.find(outside) == std::string::npos);
  }
  CHECK(html.find("default-src 'none'") != std::string::npos);
  CHECK(html.find("prefers-color-scheme:dark") != std::string::npos);
}

TEST_CASE("everything that was given is shown, escaped") {
  const std::string html = render_html(sample());
  CHECK(html.find("<h1>Run &lt;1&gt;</h1>") != std::string::npos);
  CHECK(html.find("<title>Run &lt;1&gt;</title>") != std::string::npos);
  CHECK(html.find("<p>A &amp; B</p>") != std::string::npos);
  CHECK(html.find("<td>w8a8</td><td class=\"r\">&lt;90 %&gt;</td>") != std::string::npos);
  CHECK(html.find("median of &lt;n&gt; runs") != std::string::npos);
  CHECK(html.find("<dd>quickstart --data &quot;x&quot; &lt;script&gt;") != std::string::npos);
  CHECK(markup::count(html, "<svg ") == 3);
  CHECK(html.find("w1a1, epoch 2: 75.00 %") != std::string::npos);  // shares become percent
  CHECK(html.find("w8a8: 90.00 % at 0.5000 ms per image") != std::string::npos);
}

TEST_CASE("empty parts are left out") {
  const std::string html = render_html({.title = "t"});
  CHECK(markup::nesting_problem(html) == "");
  CHECK(markup::count(html, "<svg ") == 0);
  CHECK(markup::count(html, "<section>") == 0);
  CHECK(markup::count(html, "<h2>") == 0);
}
