// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>
#include <bitdial/switchable/state_key.hpp>

using namespace bitdial;

namespace {

constexpr StateRequest request(Precision own, Precision previous = {}) {
  return {own, own, previous};
}

}  // namespace

TEST_CASE("a key per pair, per activation width, or one for all") {
  CHECK(KeyByPair::key(request({2, 4})) == Precision{2, 4});
  CHECK(KeyByPair::key(StateRequest({2, 4}, {8, 8}, {4, 4})) == Precision{2, 4});
  CHECK(KeyByActivationBits::key(request({2, 4})) == KeyByActivationBits::key(request({8, 4})));
  CHECK_FALSE(KeyByActivationBits::key(request({2, 4})) ==
              KeyByActivationBits::key(request({2, 2})));
  CHECK(KeyByActivationBits::key(request({2, 4})).text() == "a4");
  CHECK(KeyShared::key(request({2, 4})) == KeyShared::key(request({8, 1})));
  CHECK(KeyShared::key(request({2, 4})).text() == "shared");
}

TEST_CASE("a key per transition from the layer before") {
  const auto key = KeyByTransition::key(request({2, 2}, {4, 4}));
  CHECK(key.text() == "w4a4-w2a2");
  CHECK(key == KeyByTransition::key(request({2, 2}, {4, 4})));
  CHECK_FALSE(key == KeyByTransition::key(request({2, 2}, {2, 2})));
  CHECK_FALSE(key == KeyByTransition::key(request({4, 4}, {2, 2})));
  // A pinned layer always runs the same way: what is asked of it plays no part.
  CHECK(KeyByTransition::key(StateRequest({2, 2}, {8, 8}, {4, 4})) ==
        KeyByTransition::key(StateRequest({4, 4}, {8, 8}, {4, 4})));
}
