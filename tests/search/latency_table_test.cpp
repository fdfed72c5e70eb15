// SPDX-License-Identifier: Apache-2.0
#include <bitdial/search/latency_table.hpp>

#include <cstddef>
#include <cstdio>
#include <string>

#include <doctest/doctest.h>
#include <bitdial/core/random.hpp>
#include <bitdial/nn/sequential.hpp>
#include <bitdial/search/composite_layer.hpp>

using namespace bitdial;

namespace {

const std::string example =
    "# bitdial layer latency 1\n"
    "# machine: AMD EPYC 7763 64-Core Processor\n"
    "# kernels: avx2\n"
    "# threads: 2\n"
    "# network: one layer\n"
    "layer,precision,milliseconds\n"
    "conv,w2a2,0.5\n"
    "conv,w2a1,0.25\n"
    "conv,w1a2,0.125\n"
    "conv,w1a1,0.0625\n";

std::string error_of(const std::string& text) {
  const auto table = LatencyTable::parse(text);
  REQUIRE_FALSE(table);
  return table.error();
}

const std::string head = "# bitdial layer latency 1\n# any comment\nlayer,precision,milliseconds\n";

}  // namespace

TEST_CASE("text, parse, text: the same; where it was measured is kept") {
  const LatencyTable table = LatencyTable::parse(example).value();
  CHECK(table.machine == "AMD EPYC 7763 64-Core Processor");
  CHECK(table.kernels == "avx2");
  CHECK(table.threads == "2");
  CHECK(table.network == "one layer");
  REQUIRE(table.rows.size() == 4);
  CHECK(table.rows[2] == LatencyTable::Row{"conv", {1, 2}, 0.125});
  CHECK(table.text() == example);

  const std::string path = "latency_table_test.csv";
  REQUIRE(write_latency_table(path, table));
  CHECK(read_latency_table(path).value() == table);
  LatencyTable bad = table;
  bad.rows[0].layer = "a,b";
  CHECK_FALSE(write_latency_table(path, bad));
  bad = table;
  bad.machine = "two\nlines";
  CHECK_FALSE(write_latency_table(path, bad));
  std::remove(path.c_str());
}

TEST_CASE("errors name the line, what was expected and what was found") {
  CHECK(error_of("") ==
        "latency table: expected lines after \"layer,precision,milliseconds\", got "
        "0 lines without one");
  CHECK(error_of("layer,precision,milliseconds\n") ==
        "latency table: line 1: expected \"# bitdial layer latency 1\", got "
        "\"layer,precision,milliseconds\"");
  CHECK(error_of("# bitdial layer latency 1\nconv,w1a1,1\n") ==
        "latency table: line 2: expected \"layer,precision,milliseconds\", got \"conv,w1a1,1\"");
  CHECK(error_of(head + "conv,w1a1\n") ==
        "latency table: line 4: expected layer,precision,milliseconds such as conv1,w2a4,0.25, got "
        "\"conv,w1a1\"");
  CHECK(error_of(head + "conv,w1,1\n") ==
        "latency table: line 4: expected a precision such as w2a4 (bits 1..8 or 32), got \"w1\"");
  for (const char* time : {"0", "-1", "nan", "inf", "1e9", "1e999", "", "0x1", "1 ", "1s"}) {
    CAPTURE(time);
    CHECK(error_of(head + "conv,w1a1," + time + "\n")
              .starts_with("latency table: line 4: expected milliseconds above 0 and below 1e9"));
  }
  CHECK(error_of(head + "a,w1a1,1\nb,w1a1,1\na,w1a1,2\n") ==
        "latency table: line 6: layer \"a\" at w1a1 has a line already, line 4");
}

TEST_CASE("damaged text gives a value or an error, never anything else") {
  Random random(6, 0);
  std::size_t read = 0;
  for (int trial = 0; trial < 20000; ++trial) {
    std::string text = example;
    for (std::uint32_t edits = 1 + random.below(4); edits > 0 && !text.empty(); --edits) {
      const std::size_t at = random.below(static_cast<std::uint32_t>(text.size()));
      if (random.below(3) == 0) {
        text.erase(at, random.below(9));
      } else {
        text[at] = static_cast<char>(random.below(256));
      }
    }
    const auto table = LatencyTable::parse(text);
    if (table) {
      ++read;
      for (const LatencyTable::Row& row : table->rows) {
        CHECK((row.precision.valid() && row.milliseconds > 0.0 && row.milliseconds < 1e9));
      }
    } else {
      CHECK(table.error().starts_with("latency table: "));
    }
  }
  CHECK(read > 100);
  CHECK(read < 19900);
}

TEST_CASE("milliseconds are the costs of a search") {
  nn::Sequential net;
  net.add<CompositeConv2d<Candidates<BitList<2, 1>>>>(
      "conv", nn::Conv2dOptions{.in = 2, .out = 3, .kernel = 1});
  nn::number_layers(net);
  LatencyTable table = LatencyTable::parse(example).value();
  const SearchCosts costs = latency_costs(net, table);
  CHECK(costs.unit() == "ms");
  CHECK(costs.of(PrecisionPlan::uniform("w1a2")) == 0.125);
  CHECK(costs.expected(net) == doctest::Approx((0.5 + 0.25 + 0.125 + 0.0625) / 4.0));
  table.rows.pop_back();
  CHECK_THROWS_WITH_AS(static_cast<void>(latency_costs(net, table)),
                       "latency table: no time for layer 'conv' at w1a1; it was measured on one "
                       "layer; measure this network at all candidates with bench_layer_latency",
                       ConfigError);
}
