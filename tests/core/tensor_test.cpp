// SPDX-License-Identifier: Apache-2.0
#include <cstdint>
#include <utility>

#include <doctest/doctest.h>
#include <bitdial/core/tensor.hpp>

using bitdial::Shape;
using bitdial::Tensor;

TEST_CASE("a new tensor is zero and aligned to a cache line") {
  for (const std::int64_t size : {1, 3, 64, 1000}) {
    const Tensor<float> tensor(Shape{size});
    CHECK(tensor.size() == size);
    CHECK(reinterpret_cast<std::uintptr_t>(tensor.data()) % 64 == 0);
    for (const float x : tensor.span()) CHECK(x == 0.0F);
  }
}

TEST_CASE("an empty tensor") {
  const Tensor<float> none;
  CHECK(none.empty());
  CHECK(none.size() == 0);
  const Tensor<float> no_rows(Shape{0, 4});
  CHECK(no_rows.empty());
  CHECK(no_rows.shape() == Shape{0, 4});
}

TEST_CASE("elements, extents, views") {
  Tensor<int> tensor(Shape{2, 3}, 5);
  CHECK(tensor.extent(0) == 2);
  CHECK(tensor.extent(1) == 3);
  CHECK(tensor[5] == 5);
  tensor[4] = 9;
  CHECK(tensor.view()(1, 1) == 9);
  CHECK(std::as_const(tensor).view()(1, 1) == 9);
  CHECK(tensor.cview().data() == tensor.data());
  tensor.fill(2);
  for (const int x : tensor.span()) CHECK(x == 2);
}

TEST_CASE("copies are deep, moves keep the elements") {
  Tensor<int> first(Shape{2, 2}, 1);
  Tensor<int> copy = first;
  copy[3] = 8;
  CHECK(first[3] == 1);
  CHECK(copy[3] == 8);
  const int* elements = copy.data();
  const Tensor<int> moved = std::move(copy);
  CHECK(moved.data() == elements);
  CHECK(moved.shape() == Shape{2, 2});
  first = moved;
  CHECK(first[3] == 8);
  CHECK(first.data() != moved.data());
}

TEST_CASE("reshape keeps the elements and says both shapes when they do not fit") {
  Tensor<int> tensor(Shape{2, 6}, 1);
  tensor[7] = 4;
  tensor.reshape(Shape{3, 4});
  CHECK(tensor.view()(1, 3) == 4);
  CHECK_THROWS_WITH_AS(tensor.reshape(Shape{5, 2}),
                       "reshape: [3, 4] has 12 elements, [5, 2] has 10", bitdial::ShapeError);
  CHECK(tensor.shape() == Shape{3, 4});
}

TEST_CASE("a negative extent is refused before memory is asked for") {
  CHECK_THROWS_WITH_AS(Tensor<int>(Shape{2, -1}), "tensor: negative extent in shape [2, -1]",
                       bitdial::ShapeError);
}

TEST_CASE("a shape of more elements than there are bytes is refused") {
  constexpr std::int64_t large = std::int64_t{1} << 32;
  CHECK_THROWS_WITH_AS(Tensor<float>(Shape{large, large}),
                       "tensor: shape [4294967296, 4294967296] has more than 2305843009213693951 "
                       "elements of 4 bytes",
                       bitdial::ShapeError);
  CHECK_THROWS_AS(Tensor<float>(Shape{large, large}, bitdial::Uninitialized{}),
                  bitdial::ShapeError);
  CHECK_THROWS_AS(Tensor<double>(Shape{large, large / 8}), bitdial::ShapeError);  // bytes overflow
  CHECK_THROWS_AS(Tensor<float>(Shape{0, large, large}), bitdial::ShapeError);    // strides do
  Tensor<float> empty(Shape{0});
  CHECK_THROWS_AS(empty.reshape(Shape{large, large}), bitdial::ShapeError);
  CHECK_THROWS_AS(empty.reshape(Shape{0, -1}), bitdial::ShapeError);
  CHECK(empty.shape() == Shape{0});
}
