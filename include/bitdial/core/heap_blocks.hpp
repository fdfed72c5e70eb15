// SPDX-License-Identifier: Apache-2.0
// Memory from the heap; large blocks on huge pages. A network walks through megabytes of weights
// and activations per image, thousands of small pages, more than a core keeps translations of.
#pragma once

#include <cstddef>
#include <new>

#if defined(__linux__)
#  include <sys/mman.h>
#endif

#include <bitdial/core/config.hpp>

namespace bitdial::inline BITDIAL_ABI {

/// Blocks from the heap, aligned to a cache line, returned at once. Of blocks of at least
/// `huge_page` bytes, which lie on its boundary, Linux is asked to back whole huge pages with huge
/// pages: advice that it may ignore. Memory comes in such pages then, none beyond the block.
struct HeapBlocks {
  static constexpr std::size_t alignment = 64;
  static constexpr std::size_t huge_page = std::size_t{2} << 20;

  [[nodiscard]] static void* take(std::size_t bytes) {
    return prefer_huge_pages(::operator new(bytes, alignment_of(bytes)), bytes);
  }
  /// Null where there is no memory.
  [[nodiscard]] static void* take(std::size_t bytes, std::nothrow_t) noexcept {
    return prefer_huge_pages(::operator new(bytes, alignment_of(bytes), std::nothrow), bytes);
  }
  static void give(void* block, std::size_t bytes) noexcept {
    ::operator delete(block, alignment_of(bytes));
  }

 private:
  [[nodiscard]] static constexpr std::align_val_t alignment_of(std::size_t bytes) noexcept {
    return std::align_val_t{bytes < huge_page ? alignment : huge_page};
  }
  static void* prefer_huge_pages(void* block, [[maybe_unused]] std::size_t bytes) noexcept {
#if defined(MADV_HUGEPAGE)
    if (block != nullptr && bytes >= huge_page) {
      ::madvise(block, bytes / huge_page * huge_page, MADV_HUGEPAGE);
    }
#endif
    return block;
  }
};

}  // namespace bitdial::inline BITDIAL_ABI
