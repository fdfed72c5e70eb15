// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <string>
#include <vector>

#include <bitdial/quant/plan.hpp>

using namespace bitdial;

TEST_CASE("a uniform plan fits every network") {
  const PrecisionPlan plan = PrecisionPlan::uniform("w4a2");
  CHECK(plan == PrecisionPlan{Precision{4, 2}});
  CHECK(plan == PrecisionPlan::uniform(Precision{4, 2}));
  CHECK(plan.at(0) == Precision{4, 2});
  CHECK(plan.at(1000) == Precision{4, 2});
  CHECK(plan.size() == 1);
  CHECK(plan.fits(1));
  CHECK(plan.fits(50));
  CHECK(plan.is_uniform());
  CHECK(plan.text() == "w4a2");
  CHECK(PrecisionPlan{}.text() == "w32a32");
}

TEST_CASE("a list fits its number of layers") {
  const auto plan = PrecisionPlan::per_layer({{8, 8}, {4, 4}, {2, 32}});
  REQUIRE(plan);
  CHECK(plan->at(0) == Precision{8, 8});
  CHECK(plan->at(2) == Precision{2, 32});
  CHECK(plan->size() == 3);
  CHECK(plan->fits(3));
  CHECK_FALSE(plan->fits(2));
  CHECK_FALSE(plan->fits(1));
  CHECK_FALSE(plan->is_uniform());
  CHECK(plan->text() == "w8a8,w4a4,w2a32");
  const auto equal = PrecisionPlan::per_layer({{4, 4}, {4, 4}});
  CHECK(equal->is_uniform());
  CHECK_FALSE(equal->fits(3));
  CHECK(*equal != PrecisionPlan::uniform("w4a4"));
}

TEST_CASE("plans are refused with the layer or line and the token") {
  CHECK(PrecisionPlan::per_layer({}).error() == "plan: expected at least one precision, got none");
  CHECK(PrecisionPlan::per_layer({{4, 4}, {9, 4}}).error() ==
        "plan: layer 1: expected a precision such as w2a4 (bits 1..8 or 32), got \"w9a4\"");
  for (const std::string text : {"", "\n\n", "# w4a4", " , ,\t\r\n#"}) {
    CHECK(PrecisionPlan::parse(text).error() == "plan: expected at least one precision, got none");
  }
  CHECK(PrecisionPlan::parse("w8a8\n# comment\n\nw4a4, w4x4\n").error() ==
        "plan: line 4: expected a precision such as w2a4 (bits 1..8 or 32), got \"w4x4\"");
  CHECK(PrecisionPlan::parse("w4a4w2a2").error() ==
        "plan: line 1: expected a precision such as w2a4 (bits 1..8 or 32), got \"w4a4w2a2\"");
}

TEST_CASE("text and files are read back") {
  const std::vector<Precision> list{{8, 8}, {4, 4}, {2, 32}};
  const PrecisionPlan expected = *PrecisionPlan::per_layer(list);
  CHECK(*PrecisionPlan::parse(expected.text()) == expected);
  CHECK(*PrecisionPlan::parse("w8a8\nw4a4\nw2a32") == expected);
  CHECK(*PrecisionPlan::parse("# searched\r\nw8a8 # stem\r\n\r\nw4a4\t,w2a32,\r\n") == expected);
  CHECK(*PrecisionPlan::parse("w4a4") == PrecisionPlan::uniform("w4a4"));
  CHECK(*PrecisionPlan::parse("w4a4 # all\n") == PrecisionPlan::uniform("w4a4"));
}

TEST_CASE("plans are ordered, so they can be keys") {
  CHECK(PrecisionPlan::uniform("w2a2") < PrecisionPlan::uniform("w4a2"));
  CHECK(PrecisionPlan::uniform("w8a8") < *PrecisionPlan::parse("w8a8,w2a2"));
}
