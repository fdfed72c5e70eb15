// SPDX-License-Identifier: Apache-2.0
// Time that has passed. By POSIX: <chrono> is 5,000 lines, for every program that includes the
// runtime.
#pragma once

#include <cstdint>
#include <ctime>

#include <bitdial/core/config.hpp>

namespace bitdial::inline BITDIAL_ABI {

/// Runs from its construction on, by a clock that never goes back.
class Stopwatch {
 public:
  [[nodiscard]] double seconds() const noexcept {
    return 1e-9 * static_cast<double>(nanoseconds() - start_);
  }

 private:
  [[nodiscard, gnu::noinline]] static std::int64_t nanoseconds() noexcept {
    timespec now{};
    clock_gettime(CLOCK_MONOTONIC, &now);
    return std::int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
  }

  std::int64_t start_ = nanoseconds();
};

}  // namespace bitdial::inline BITDIAL_ABI
