// SPDX-License-Identifier: Apache-2.0
#include <array>
#include <cstdint>
#include <numeric>
#include <type_traits>

#include <doctest/doctest.h>
#include <bitdial/core/tensor_view.hpp>

using bitdial::Shape;
using bitdial::TensorView;

static_assert(std::is_trivially_copyable_v<TensorView<float>>);
static_assert(std::is_convertible_v<TensorView<int>, TensorView<const int>>);
static_assert(!std::is_convertible_v<TensorView<const int>, TensorView<int>>);

TEST_CASE("a view of a buffer is contiguous with the last axis innermost") {
  std::array<int, 24> data{};
  std::iota(data.begin(), data.end(), 0);
  const TensorView<int> view(data.data(), Shape{2, 3, 4});
  CHECK(view.size() == 24);
  CHECK(view.stride(0) == 12);
  CHECK(view.stride(1) == 4);
  CHECK(view.stride(2) == 1);
  CHECK(view.is_contiguous());
  CHECK(view(1, 2, 3) == 23);
  CHECK(view(1, 0, 2) == 14);
  CHECK(view.span().size() == 24);
  CHECK(view.span().data() == data.data());
}

TEST_CASE("writing through a view changes the buffer") {
  std::array<int, 6> data{};
  const TensorView<int> view(data.data(), Shape{2, 3});
  view(1, 0) = 7;
  CHECK(data[3] == 7);
  const TensorView<const int> reader = view;
  CHECK(reader(1, 0) == 7);
}

TEST_CASE("strides reach every second column, and are not contiguous") {
  std::array<int, 12> data{};
  std::iota(data.begin(), data.end(), 0);
  const TensorView<int> view(data.data(), Shape{3, 2}, {4, 2});
  CHECK(view(0, 1) == 2);
  CHECK(view(2, 1) == 10);
  CHECK_FALSE(view.is_contiguous());
  const TensorView<const int> reader = view;
  CHECK(reader(2, 1) == 10);
}

TEST_CASE("an axis of extent one does not make a view strided") {
  std::array<int, 4> data{};
  CHECK(TensorView<int>(data.data(), Shape{1, 4}, {99, 1}).is_contiguous());
  CHECK_FALSE(TensorView<int>(data.data(), Shape{2, 2}, {1, 2}).is_contiguous());
}

TEST_CASE("slice takes rows of the first axis without copying") {
  std::array<int, 24> data{};
  std::iota(data.begin(), data.end(), 0);
  const TensorView<int> view(data.data(), Shape{4, 3, 2});
  const TensorView<int> middle = view.slice(1, 3);
  CHECK(middle.shape() == Shape{2, 3, 2});
  CHECK(middle(0, 0, 0) == 6);
  CHECK(middle(1, 2, 1) == 17);
  CHECK(middle.data() == data.data() + 6);
  CHECK(view.slice(4, 4).size() == 0);
}

TEST_CASE("a rank-0 view is one element") {
  int value = 3;
  const TensorView<int> view(&value, Shape{});
  CHECK(view.size() == 1);
  CHECK(view() == 3);
}
