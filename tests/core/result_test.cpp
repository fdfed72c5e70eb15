// SPDX-License-Identifier: Apache-2.0
#include <memory>
#include <string>
#include <utility>

#include <doctest/doctest.h>
#include <bitdial/core/error.hpp>
#include <bitdial/core/result.hpp>

namespace {

bitdial::Result<int> half(int x) {
  if (x % 2 != 0) return bitdial::Failure{"odd"};
  return x / 2;
}

bitdial::Result<std::string> described(int x) {
  const bitdial::Result<int> result = half(x);
  if (!result) return result.failure();
  return std::to_string(*result);
}

bitdial::Result<void> require_even(int x) {
  if (x % 2 != 0) return bitdial::Failure{"odd"};
  return {};
}

}  // namespace

TEST_CASE("a Result holds a value") {
  bitdial::Result<int> result = half(6);
  CHECK(result.ok());
  CHECK(static_cast<bool>(result));
  CHECK(*result == 3);
  CHECK(result.value() == 3);
  CHECK(result.error().empty());
  *result = 5;
  CHECK(std::as_const(result).value() == 5);
}

TEST_CASE("or the reason why there is none") {
  const bitdial::Result<int> result = half(7);
  CHECK_FALSE(result.ok());
  CHECK_FALSE(static_cast<bool>(result));
  CHECK(result.error() == "odd");
  CHECK_THROWS_WITH_AS(static_cast<void>(result.value()), "odd", bitdial::Error);
}

TEST_CASE("a failure passes from one type to another") {
  CHECK(described(8).value() == "4");
  CHECK(described(9).error() == "odd");
}

TEST_CASE("an empty text is still a failure") {
  CHECK_FALSE(bitdial::Result<int>(bitdial::Failure{}).ok());
  CHECK_FALSE(bitdial::Result<void>(bitdial::Failure{}).ok());
}

TEST_CASE("a value that cannot be copied is moved out") {
  bitdial::Result<std::unique_ptr<int>> result{std::make_unique<int>(4)};
  CHECK(**result == 4);
  const std::unique_ptr<int> owned = std::move(result).value();
  CHECK(*owned == 4);
}

TEST_CASE("Result<void>") {
  CHECK(require_even(2).ok());
  CHECK_NOTHROW(require_even(2).value());
  CHECK(require_even(3).error() == "odd");
  CHECK(require_even(3).failure().error == "odd");
  CHECK_THROWS_WITH_AS(require_even(3).value(), "odd", bitdial::Error);
}
