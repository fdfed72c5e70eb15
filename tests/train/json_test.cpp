// SPDX-License-Identifier: Apache-2.0
#include <cmath>
#include <limits>

#include <doctest/doctest.h>
#include <bitdial/train/json.hpp>

using bitdial::ConfigError;
using bitdial::train::JsonWriter;

TEST_CASE("objects and arrays nest with commas and indentation") {
  JsonWriter json;
  json.begin_object().member("name", "net").member("ok", true).key("rows").begin_array();
  json.begin_object().member("precision", "w8a8").member("bytes", 1234).end();
  json.value(1)
      .value(2.5)
      .end()
      .key("none")
      .begin_array()
      .end()
      .key("o")
      .begin_object()
      .end()
      .end();
  CHECK(json.text() ==
        "{\n"
        "  \"name\": \"net\",\n"
        "  \"ok\": true,\n"
        "  \"rows\": [\n"
        "    {\n"
        "      \"precision\": \"w8a8\",\n"
        "      \"bytes\": 1234\n"
        "    },\n"
        "    1,\n"
        "    2.5\n"
        "  ],\n"
        "  \"none\": [],\n"
        "  \"o\": {}\n"
        "}\n");
}

TEST_CASE("text is escaped") {
  JsonWriter json;
  json.value("a\"b\\c\n\x01µ");
  CHECK(json.text() == "\"a\\\"b\\\\c\\u000a\\u0001µ\"\n");
}

TEST_CASE("numbers read back to the same value; NaN and infinity are refused") {
  JsonWriter json;
  json.begin_array().value(0.1).value(0.1F).value(1e-7).value(-3).end();
  CHECK(json.text() == "[\n  0.1,\n  0.1,\n  1e-07,\n  -3\n]\n");
  CHECK_THROWS_AS(JsonWriter().value(std::nan("")), ConfigError);
  CHECK_THROWS_AS(JsonWriter().value(-std::numeric_limits<float>::infinity()), ConfigError);
}
