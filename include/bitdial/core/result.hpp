// SPDX-License-Identifier: Apache-2.0
// A value or the sentence that says why there is none: errors without exceptions.
#pragma once

#include <optional>
#include <string>
#include <utility>

#include <bitdial/core/assert.hpp>
#if defined(__cpp_exceptions)
#  include <bitdial/core/error.hpp>
#endif

namespace bitdial::inline BITDIAL_ABI {

/// The reason of a failure: `return Failure{concat(...)};` converts to every `Result<T>`.
struct Failure {
  std::string error;
};

/// Either a `T` or an error text.
///
/// `if (result) use(*result); else report(result.error());`
/// `value()` throws `Error` where exceptions are on; without exceptions it requires a value.
template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : value_{std::move(value)} {}
  Result(Failure failure) : error_{std::move(failure.error)} {}

  [[nodiscard]] bool ok() const noexcept { return value_.has_value(); }
  explicit operator bool() const noexcept { return ok(); }

  /// The sentence; empty when there is a value.
  [[nodiscard]] const std::string& error() const noexcept { return error_; }
  [[nodiscard]] Failure failure() const { return Failure{error_}; }

  [[nodiscard]] T& operator*() & noexcept { return BITDIAL_ASSERT(ok()), *value_; }
  [[nodiscard]] const T& operator*() const& noexcept { return BITDIAL_ASSERT(ok()), *value_; }
  [[nodiscard]] T&& operator*() && noexcept { return BITDIAL_ASSERT(ok()), *std::move(value_); }
  [[nodiscard]] T* operator->() noexcept { return BITDIAL_ASSERT(ok()), &*value_; }
  [[nodiscard]] const T* operator->() const noexcept { return BITDIAL_ASSERT(ok()), &*value_; }

  [[nodiscard]] T& value() & { return require(), *value_; }
  [[nodiscard]] const T& value() const& { return require(), *value_; }
  [[nodiscard]] T&& value() && { return require(), *std::move(value_); }

 private:
  void require() const {
#if defined(__cpp_exceptions)
    if (!ok()) throw Error(error_);
#else
    BITDIAL_ASSERT(ok());
#endif
  }

  std::optional<T> value_;
  std::string error_;
};

/// Success without a value, or an error text.
template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Failure failure) : error_{std::move(failure.error)}, failed_{true} {}

  [[nodiscard]] bool ok() const noexcept { return !failed_; }
  explicit operator bool() const noexcept { return ok(); }
  [[nodiscard]] const std::string& error() const noexcept { return error_; }
  [[nodiscard]] Failure failure() const { return Failure{error_}; }

  void value() const {
#if defined(__cpp_exceptions)
    if (!ok()) throw Error(error_);
#else
    BITDIAL_ASSERT(ok());
#endif
  }

 private:
  std::string error_;
  bool failed_ = false;
};

}  // namespace bitdial::inline BITDIAL_ABI
