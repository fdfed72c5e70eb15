// SPDX-License-Identifier: Apache-2.0
// The kernel table of this process for the training side: an error is an exception.
#pragma once

#include <bitdial/core/error.hpp>
#include <bitdial/kernels/dispatch.hpp>

namespace bitdial::inline BITDIAL_ABI::kernels {

/// The table that `select_kernels()` chooses; throws ConfigError when BITDIAL_FORCE_ISA names no
/// table of this machine. After the first call it costs one load.
[[nodiscard]] inline const KernelTable& active_kernels() {
  static const KernelTable& table = []() -> const KernelTable& {
    const Result<const KernelTable*> selected = select_kernels();
    if (!selected) throw ConfigError(selected.error());
    return **selected;
  }();
  return table;
}

}  // namespace bitdial::inline BITDIAL_ABI::kernels
