// SPDX-License-Identifier: Apache-2.0
// The choice of a kernel table for this machine, without exceptions.
#pragma once

#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include <bitdial/core/result.hpp>
#include <bitdial/core/text.hpp>
#include <bitdial/kernels/isa_list.hpp>

namespace bitdial::inline BITDIAL_ABI::kernels {

/// Every table that this machine can run, strongest first; never empty.
[[nodiscard]] inline std::vector<const KernelTable*> supported_kernels() {
  std::vector<const KernelTable*> tables;
  for (const KernelTable* table : isa_list) {
    if (table->supported()) tables.push_back(table);
  }
  return tables;
}

/// The table called `name`, or a sentence that lists the names that this machine can run.
[[nodiscard]] inline Result<const KernelTable*> find_kernels(std::string_view name) {
  std::vector<std::string_view> names;
  for (const KernelTable* table : supported_kernels()) {
    if (name == table->name) return table;
    names.emplace_back(table->name);
  }
  return Failure{
      concat("kernels: instruction set \"", name,
             "\" is unknown or not supported by this machine; available: ", join(names))};
}

/// The table of this process: the strongest supported one, or the one that the environment
/// variable BITDIAL_FORCE_ISA names. The environment is read here, once, and nowhere else.
[[nodiscard]] inline Result<const KernelTable*> select_kernels() {
  static const Result<const KernelTable*> selected = []() -> Result<const KernelTable*> {
    const char* const forced = std::getenv("BITDIAL_FORCE_ISA");
    if (forced == nullptr || *forced == '\0') return supported_kernels().front();
    Result<const KernelTable*> found = find_kernels(forced);
    if (!found) return Failure{concat("BITDIAL_FORCE_ISA: ", found.error())};
    return found;
  }();
  return selected;
}

}  // namespace bitdial::inline BITDIAL_ABI::kernels
