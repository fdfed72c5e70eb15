// SPDX-License-Identifier: Apache-2.0
// The kernels of this process for the training side: an error is an exception.
#pragma once

#include <algorithm>
#include <vector>

#include <bitdial/core/assert.hpp>
#include <bitdial/core/error.hpp>
#include <bitdial/kernels/dispatch.hpp>
#include <bitdial/kernels/real_isa_list.hpp>

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

/// The kernels on real numbers of the same instruction set as `table`, one of `isa_list`.
[[nodiscard]] inline const RealKernels& real_kernels_of(const KernelTable& table) noexcept {
  const auto found = std::find(std::begin(isa_list), std::end(isa_list), &table);
  BITDIAL_ASSERT(found != std::end(isa_list));
  return *real_isa_list[found - std::begin(isa_list)];
}

/// Those of `active_kernels()`.
[[nodiscard]] inline const RealKernels& active_real_kernels() {
  static const RealKernels& kernels = real_kernels_of(active_kernels());
  return kernels;
}

/// Those of every instruction set that this machine has, strongest first.
[[nodiscard]] inline std::vector<const RealKernels*> supported_real_kernels() {
  std::vector<const RealKernels*> all;
  for (const KernelTable* table : supported_kernels()) all.push_back(&real_kernels_of(*table));
  return all;
}

}  // namespace bitdial::inline BITDIAL_ABI::kernels
