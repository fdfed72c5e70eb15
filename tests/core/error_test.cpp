// SPDX-License-Identifier: Apache-2.0
#include <stdexcept>
#include <string>
#include <type_traits>

#include <doctest/doctest.h>
#include <bitdial/core/error.hpp>

namespace {

template <class Thrown>
bool caught_as_error() {
  try {
    throw Thrown("expected 3, found 4");
  } catch (const bitdial::Error& error) {
    return std::string{error.what()} == "expected 3, found 4";
  }
}

}  // namespace

TEST_CASE("every exception can be caught as Error and keeps its sentence") {
  CHECK(caught_as_error<bitdial::Error>());
  CHECK(caught_as_error<bitdial::ShapeError>());
  CHECK(caught_as_error<bitdial::PrecisionError>());
  CHECK(caught_as_error<bitdial::ConfigError>());
  CHECK(caught_as_error<bitdial::FileError>());
}

TEST_CASE("the kinds of error are distinct") {
  static_assert(std::is_base_of_v<std::runtime_error, bitdial::Error>);
  static_assert(!std::is_base_of_v<bitdial::ShapeError, bitdial::FileError>);
  CHECK_THROWS_AS(throw bitdial::FileError("x"), bitdial::FileError);
}
