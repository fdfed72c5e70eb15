// SPDX-License-Identifier: Apache-2.0
// The processes that compute the parts of one batch, as far as an operation must know them.
#pragma once

#include <span>

#include <bitdial/core/config.hpp>

namespace bitdial::inline BITDIAL_ABI {

/// Adds up numbers over processes. Every process makes the same calls in the same order.
class BatchGroup {
 public:
  virtual ~BatchGroup() = default;
  /// Replaces each value by its sum over all processes, added in one fixed order everywhere.
  virtual void sum(std::span<double> values) = 0;
};

}  // namespace bitdial::inline BITDIAL_ABI
