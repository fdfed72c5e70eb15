// SPDX-License-Identifier: Apache-2.0
// The choice between bytes and bit planes, measured once per size and then remembered.
#pragma once

#include <vector>

#include <bitdial/deploy/kernel_choice.hpp>
#include <bitdial/kernels/kernel_table.hpp>

namespace bitdial::inline BITDIAL_ABI {

/// What `choose_path` said. Sessions of one model share it, so that two of them, and the memory
/// that was planned for them, agree although clocks do not. Any thread may call it.
class MeasuredPaths {
 public:
  [[nodiscard]] KernelPath of(const kernels::KernelTable& table, const ProductSize& size) {
    Entry entry{&table, size, KernelPath::automatic};
    if (find(entry)) return entry.path;
    // Not under the lock: of two threads that measure the same size, the first one decides.
    entry.path = choose_path(table, size);
    const Guard guard{locked_};
    if (!find_locked(entry)) entries_.push_back(entry);
    return entry.path;
  }

 private:
  struct Entry {
    const kernels::KernelTable* table;
    ProductSize size;
    KernelPath path;
  };
  /// Held for a look at a few entries. The compiler's atomic built-ins: <mutex> is long.
  class Guard {
   public:
    explicit Guard(bool& locked) noexcept : locked_{locked} {
      while (__atomic_test_and_set(&locked_, __ATOMIC_ACQUIRE)) {
      }
    }
    Guard(const Guard&) = delete;
    Guard& operator=(const Guard&) = delete;
    ~Guard() { __atomic_clear(&locked_, __ATOMIC_RELEASE); }

   private:
    bool& locked_;
  };

  [[nodiscard]] bool find(Entry& entry) {
    const Guard guard{locked_};
    return find_locked(entry);
  }
  [[nodiscard]] bool find_locked(Entry& entry) const {
    for (const Entry& known : entries_) {
      if (known.table != entry.table || known.size != entry.size) continue;
      entry.path = known.path;
      return true;
    }
    return false;
  }

  bool locked_ = false;
  std::vector<Entry> entries_;
};

}  // namespace bitdial::inline BITDIAL_ABI
