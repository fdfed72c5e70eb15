// SPDX-License-Identifier: Apache-2.0
// The exceptions of the training headers. Deployment headers return `Result` instead.
#pragma once

#include <stdexcept>
#include <string>

#include <bitdial/core/config.hpp>

namespace bitdial::inline BITDIAL_ABI {

/// The base of every exception that bitdial throws; `what()` says what was expected and found.
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// Shapes or sizes of two operands do not fit.
class ShapeError : public Error {
 public:
  using Error::Error;
};

/// A bit width, precision or plan that the callee does not have.
class PrecisionError : public Error {
 public:
  using Error::Error;
};

/// An option outside its range, or options that contradict each other.
class ConfigError : public Error {
 public:
  using Error::Error;
};

/// A file that is missing, damaged or of another kind.
class FileError : public Error {
 public:
  using Error::Error;
};

}  // namespace bitdial::inline BITDIAL_ABI
