// SPDX-License-Identifier: Apache-2.0
// The bytes that containers are said to take are those that their allocator was asked for.
#include <bitdial/core/heap_bytes.hpp>

#include <doctest/doctest.h>

#include <string>
#include <vector>

using bitdial::heap_bytes;

TEST_CASE("a vector takes its capacity, an empty one nothing") {
  CHECK(heap_bytes(std::vector<int>{}) == 0);
  std::vector<int> values(3);
  CHECK(heap_bytes(values) == 3 * sizeof(int));
  values.reserve(10);
  CHECK(heap_bytes(values) == 10 * sizeof(int));
  const std::vector<std::vector<int>> nested(2, values);
  CHECK(heap_bytes(nested) == 2 * sizeof(std::vector<int>));
}

TEST_CASE("a short text takes nothing, a long one its capacity and the end") {
  CHECK(heap_bytes(std::string{}) == 0);
  CHECK(heap_bytes(std::string{"short"}) == 0);
  const std::string text(100, 'x');
  CHECK(heap_bytes(text) == text.capacity() + 1);
}
