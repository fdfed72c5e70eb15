// SPDX-License-Identifier: Apache-2.0
#include <bitdial/ops/concat.hpp>

#include <doctest/doctest.h>

#include "op_support.hpp"

using namespace bitdial;
using namespace op_test;

TEST_CASE_TEMPLATE("each part lies at its channels, and gets their gradient", T, float, double) {
  const auto a = random_tensor<T>({3, 5, 4}, 1);
  const auto b = random_tensor<T>({3, 5, 7}, 2);
  const auto dy = random_tensor<T>({3, 5, 12}, 3);
  Tensor<T> y({3, 5, 12}, T{9});
  Tensor<T> da(a.shape(), T{1}), db(b.shape(), T{2});
  ops::concat_forward(y.view(), a.view(), 0);
  ops::concat_forward(y.view(), b.view(), 4);
  ops::concat_backward(da.view(), dy.view(), 0);
  ops::concat_backward(db.view(), dy.view(), 4);
  for (std::int64_t row = 0; row < 15; ++row) {
    for (std::int64_t c = 0; c < 4; ++c) {
      REQUIRE(y[12 * row + c] == a[4 * row + c]);
      REQUIRE(da[4 * row + c] == T{1} + dy[12 * row + c]);
    }
    for (std::int64_t c = 0; c < 7; ++c) {
      REQUIRE(y[12 * row + 4 + c] == b[7 * row + c]);
      REQUIRE(db[7 * row + c] == T{2} + dy[12 * row + 4 + c]);
    }
    REQUIRE(y[12 * row + 11] == T{9});  // nobody's channel
  }
}

TEST_CASE("concat gives the same bits at every thread count") {
  const auto x = random_tensor<float>({500, 33}, 1);
  CHECK(same_for_every_thread_count([&] {
    Tensor<float> y({500, 50});
    ops::concat_forward(y.view(), x.view(), 17);
    return y;
  }));
}

TEST_CASE("parts that do not fit are refused with both shapes") {
  Tensor<float> y({2, 3, 5});
  const Tensor<float> x({2, 3, 4});
  CHECK_THROWS_WITH_AS(ops::concat_forward(y.view(), x.view(), 2),
                       "concat: a part [2, 3, 4] from channel 2 on does not fit into [2, 3, 5]",
                       ShapeError);
  const Tensor<float> other({2, 4, 4});
  CHECK_THROWS_AS(ops::concat_forward(y.view(), other.view(), 0), ShapeError);
  CHECK_THROWS_AS(ops::concat_forward(y.view(), x.view(), -1), ShapeError);
  Tensor<float> dx({3, 4});
  CHECK_THROWS_AS(ops::concat_backward(dx.view(), y.view(), 0), ShapeError);
}
