// SPDX-License-Identifier: Apache-2.0
#include <cstdint>
#include <vector>

#include <doctest/doctest.h>
#include <bitdial/core/tile_split.hpp>

using bitdial::TileSplit;

namespace {

std::vector<std::int64_t> sizes(std::int64_t rows, std::int64_t most) {
  const TileSplit split(rows, most);
  std::vector<std::int64_t> result;
  for (std::int64_t i = 0; i < split.count(); ++i) result.push_back(split.size(i));
  return result;
}

}  // namespace

TEST_CASE("full tiles come first, a thin rest shares the rows of the last one") {
  using Sizes = std::vector<std::int64_t>;
  CHECK(sizes(32, 12) == Sizes{12, 12, 8});
  CHECK(sizes(28, 12) == Sizes{12, 8, 8});
  CHECK(sizes(14, 12) == Sizes{8, 6});
  CHECK(sizes(13, 12) == Sizes{6, 7});
  CHECK(sizes(7, 12) == Sizes{7});
  CHECK(sizes(0, 12).empty());
  CHECK(sizes(3, 2) == Sizes{2, 1});
  CHECK(sizes(4, 3) == Sizes{2, 2});
}

TEST_CASE("tiles cover all rows without a gap, none is empty or too large") {
  for (const std::int64_t most : {1, 2, 3, 4, 5, 6, 8, 12, 16}) {
    for (std::int64_t rows = 0; rows <= 200; ++rows) {
      const TileSplit split(rows, most);
      CHECK(split.count() == (rows + most - 1) / most);
      CHECK(split.begin(split.count()) == rows);
      for (std::int64_t i = 0; i < split.count(); ++i) {
        CHECK(split.begin(0) == 0);
        CHECK(split.size(i) >= 1);
        CHECK(split.size(i) <= most);
        CHECK((i < split.whole()) == (split.size(i) == most));
      }
    }
  }
}
