// SPDX-License-Identifier: Apache-2.0
#include <bitdial/core/csv.hpp>

#include <string>
#include <string_view>
#include <vector>

#include <doctest/doctest.h>

namespace {

using namespace bitdial;
using Fields = std::vector<std::string>;

TEST_CASE("fields are quoted where they need it, and read back") {
  CHECK(csv_field("w4a4") == "w4a4");
  CHECK(csv_field("w8a8,w4a5") == "\"w8a8,w4a5\"");
  CHECK(csv_field("3\" pipe") == "\"3\"\" pipe\"");
  for (const Fields& fields : {Fields{""},
                               {"", ""},
                               {"w8a8,w4a5", "1.5", ""},
                               {"\"", "\"\"", ","},
                               {"a", "\r\n", "b\"c,d"}}) {
    std::string line;
    for (const std::string& field : fields)
      line += (&field == &fields[0] ? "" : ",") + csv_field(field);
    CHECK(csv_fields(line) == fields);
  }
}

TEST_CASE("quotes in the wrong places are no fields") {
  for (const std::string_view line : {"\"open", "a\"b", "\"a\"b", "\"a\" ,b", "a,\"", "\"\"\""}) {
    CAPTURE(line);
    CHECK_FALSE(csv_fields(line));
  }
}

}  // namespace
