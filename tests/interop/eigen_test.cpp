// SPDX-License-Identifier: Apache-2.0
#include <cstdint>

#include <doctest/doctest.h>
#include <bitdial/core/tensor.hpp>
#include <bitdial/interop/eigen.hpp>

using bitdial::Shape;
using bitdial::Tensor;
using bitdial::TensorView;
namespace interop = bitdial::interop;

namespace {

Tensor<float> counted(const Shape& shape) {
  Tensor<float> x(shape);
  for (std::int64_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(i);
  return x;
}

}  // namespace

TEST_CASE("a matrix shares the memory of the tensor") {
  Tensor<float> x = counted(Shape{2, 3});
  auto matrix = interop::as_matrix(x.view());
  CHECK(matrix.rows() == 2);
  CHECK(matrix.cols() == 3);
  CHECK(matrix(1, 0) == 3.0F);
  matrix(1, 2) = 50.0F;
  CHECK(x[5] == 50.0F);
  CHECK(matrix.data() == x.data());
}

TEST_CASE("a strided view keeps its strides") {
  Tensor<float> x = counted(Shape{4, 6});
  const TensorView<float> every_second(x.data(), Shape{2, 3}, {12, 2});
  const auto matrix = interop::as_matrix(every_second);
  CHECK(matrix(0, 1) == 2.0F);
  CHECK(matrix(1, 2) == 16.0F);
}

TEST_CASE("a read-only view stays read-only") {
  const Tensor<float> x = counted(Shape{3, 2});
  CHECK(interop::as_matrix(x.view()).sum() == 15.0F);
  CHECK(interop::as_vector(TensorView<const float>(x.data(), Shape{3}, {2}))(2) == 4.0F);
}

TEST_CASE("rows are pixels, columns are channels") {
  Tensor<float> x = counted(Shape{2, 2, 2, 3});
  const auto pixels = interop::as_rows(x.view());
  CHECK(pixels.rows() == 8);
  CHECK(pixels.cols() == 3);
  CHECK(pixels(5, 1) == 16.0F);
}

TEST_CASE("an expression becomes a tensor, with its product in the right order") {
  const Tensor<float> a = counted(Shape{2, 3});
  const Tensor<float> b = counted(Shape{3, 2});
  const Tensor<float> c =
      interop::to_tensor(interop::as_matrix(a.view()) * interop::as_matrix(b.view()));
  CHECK(c.shape() == Shape{2, 2});
  CHECK(c[0] == 10.0F);
  CHECK(c[1] == 13.0F);
  CHECK(c[2] == 28.0F);
  CHECK(c[3] == 40.0F);

  Eigen::Matrix<double, 2, 3> column_major;
  column_major << 1, 2, 3, 4, 5, 6;
  const Tensor<double> copy = interop::to_tensor(column_major);
  CHECK(copy[1] == 2.0);
  CHECK(copy[3] == 4.0);
}

TEST_CASE("a view of the wrong rank is refused") {
  Tensor<float> x = counted(Shape{2, 3, 4});
  CHECK_THROWS_WITH_AS(static_cast<void>(interop::as_matrix(x.view())),
                       "interop::as_matrix: expects rank 2, x is [2, 3, 4]", bitdial::ShapeError);
  CHECK_THROWS_WITH_AS(static_cast<void>(interop::as_vector(x.view())),
                       "interop::as_vector: expects rank 1, x is [2, 3, 4]", bitdial::ShapeError);
  const TensorView<float> gaps(x.data(), Shape{2, 2}, {12, 1});
  CHECK_THROWS_AS(static_cast<void>(interop::as_rows(gaps)), bitdial::ShapeError);
}
