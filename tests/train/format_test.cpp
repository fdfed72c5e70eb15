// SPDX-License-Identifier: Apache-2.0
#include <cmath>
#include <cstdint>
#include <limits>

#include <doctest/doctest.h>
#include <bitdial/train/format.hpp>

using namespace bitdial::train;

TEST_CASE("numbers have the places that were asked for") {
  CHECK(fixed(91.2345, 2) == "91.23");
  CHECK(fixed(91.2355, 3) == "91.236");
  CHECK(fixed(-0.5, 0) == "-0");
  CHECK(fixed(3.0, 0) == "3");
  CHECK(fixed(1e300, 1).size() == 303);
  CHECK(fixed(std::nan(""), 2) == "nan");
  CHECK(percent(0.91234, 1) == "91.2 %");
}

TEST_CASE("thousands are grouped") {
  CHECK(grouped(0) == "0");
  CHECK(grouped(999) == "999");
  CHECK(grouped(1000) == "1,000");
  CHECK(grouped(1234567) == "1,234,567");
  CHECK(grouped(-999) == "-999");
  CHECK(grouped(-123456) == "-123,456");
  CHECK(grouped(INT64_MIN) == "-9,223,372,036,854,775,808");
}

TEST_CASE("durations read like a clock from one minute on") {
  CHECK(duration(0.0) == "0.0 s");
  CHECK(duration(59.94) == "59.9 s");
  CHECK(duration(59.96) == "1:00");
  CHECK(duration(62.4) == "1:02");
  CHECK(duration(3599.6) == "1:00:00");
  CHECK(duration(3665.0) == "1:01:05");
  CHECK(duration(-1.0) == "-");
  CHECK(duration(std::nan("")) == "-");
  CHECK(duration(std::numeric_limits<double>::infinity()) == "-");
}

TEST_CASE("the width counts characters, not bytes") {
  CHECK(display_width("") == 0);
  CHECK(display_width("abc") == 3);
  CHECK(display_width("█░µ") == 3);
}
