// SPDX-License-Identifier: Apache-2.0
// The random numbers of one training step, handed out stream by stream.
#pragma once

#include <cstdint>

#include <bitdial/core/random.hpp>

namespace bitdial::inline BITDIAL_ABI {

/// Independent streams that follow from a seed and the number of a step: whoever asks for the n-th
/// stream of a step gets the same numbers in every run.
class RandomStreams {
 public:
  RandomStreams() = default;
  RandomStreams(std::uint64_t seed, std::uint64_t step) noexcept : seed_{seed}, step_{step} {}

  /// The next stream. At most 2^24 per step, 2^39 steps.
  [[nodiscard]] Random next() noexcept {
    // The top bit keeps these streams apart from those of data and augmentation.
    return {seed_, (std::uint64_t{1} << 63) | (step_ << 24) | count_++};
  }

 private:
  std::uint64_t seed_ = 0;
  std::uint64_t step_ = 0;
  std::uint64_t count_ = 0;
};

}  // namespace bitdial::inline BITDIAL_ABI
