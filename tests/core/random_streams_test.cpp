// SPDX-License-Identifier: Apache-2.0
#include <bitdial/core/random_streams.hpp>

#include <set>

#include <doctest/doctest.h>

using namespace bitdial;

TEST_CASE("streams follow from seed, step and order, and differ in each") {
  std::set<std::uint32_t> words;
  for (const std::uint64_t seed : {1U, 2U}) {
    for (const std::uint64_t step : {0U, 1U, 1000000U}) {
      RandomStreams streams(seed, step);
      RandomStreams again(seed, step);
      for (int i = 0; i < 5; ++i) {
        Random first = streams.next();
        Random second = again.next();
        const std::uint32_t word = first.next();
        CHECK(second.next() == word);
        words.insert(word);
      }
    }
  }
  CHECK(words.size() == 2 * 3 * 5);
}
