// SPDX-License-Identifier: Apache-2.0
// Freed memory kept for the next request: the tensors of a training step need the memory of the
// step before, and asking the system for fresh pages is what costs.
#pragma once

#include <cstddef>
#include <new>

#include <bitdial/core/config.hpp>
#include <bitdial/core/heap_blocks.hpp>

namespace bitdial::inline BITDIAL_ABI {

/// Blocks of at least 64 KiB come from slabs that all threads share; smaller ones from the heap.
///
/// A request takes the free range of the lowest address that has room, and free neighbours are one
/// range, so memory of one size serves requests of another, and the pages in use stay together at
/// the low end. A slab is memory of 64 MiB or more that is asked for when no range has room: pages
/// that were never used cost no memory. Slabs are kept until `release`.
/// Cost of a request: a walk over the free ranges, of which a training step has some dozens.
class CachedBlocks {
 public:
  static constexpr std::size_t smallest = std::size_t{64} << 10;
  static constexpr std::size_t smallest_slab = std::size_t{64} << 20;

  [[nodiscard]] static void* take(std::size_t bytes) {
    if (bytes < smallest) return HeapBlocks::take(bytes);
    const std::size_t size = rounded(bytes);
    const Lock lock;
    if (void* const block = take_range(size)) return block;
    add_slab(size);
    return take_range(size);
  }
  static void give(void* block, std::size_t bytes) noexcept {
    if (bytes < smallest) return HeapBlocks::give(block, bytes);
    const Lock lock;
    add_range(static_cast<std::byte*>(block), rounded(bytes));
  }

  /// Returns the slabs of which nothing is in use to the system.
  static void release() noexcept {
    const Lock lock;
    for (Slab** link = &slabs_; *link != nullptr;) {
      Slab* const slab = *link;
      Range** range = &ranges_;
      while (*range != nullptr && *range != slab->memory()) range = &(*range)->next;
      if (*range == nullptr || (*range)->size != slab->size) {
        link = &slab->next;
        continue;
      }
      *range = (*range)->next;
      *link = slab->next;
      HeapBlocks::give(slab, sizeof(Slab) + slab->size);
    }
  }
  /// Bytes in slabs that are not in use.
  [[nodiscard]] static std::size_t waiting() noexcept {
    const Lock lock;
    std::size_t bytes = 0;
    for (const Range* range = ranges_; range != nullptr; range = range->next) bytes += range->size;
    return bytes;
  }

 private:
  /// Free memory; the struct lies at its beginning.
  struct Range {
    std::size_t size;
    Range* next;  ///< at a higher address
    [[nodiscard]] std::byte* end() noexcept { return reinterpret_cast<std::byte*>(this) + size; }
  };
  /// The header of a slab; it also keeps the ranges of two slabs from touching.
  struct alignas(HeapBlocks::alignment) Slab {
    std::size_t size;
    Slab* next;
    [[nodiscard]] void* memory() noexcept { return this + 1; }
  };

  // Held for the length of a list: a mutex would cost every header its text.
  class Lock {
   public:
    Lock() noexcept {
      while (__atomic_test_and_set(&is_locked_, __ATOMIC_ACQUIRE)) continue;
    }
    ~Lock() { __atomic_clear(&is_locked_, __ATOMIC_RELEASE); }
    Lock(const Lock&) = delete;
    Lock& operator=(const Lock&) = delete;
  };

  // Whole pages, so that what is left of a range is one too.
  [[nodiscard]] static constexpr std::size_t rounded(std::size_t bytes) noexcept {
    constexpr std::size_t page = 4096;
    return (bytes + page - 1) / page * page;
  }

  [[nodiscard]] static void* take_range(std::size_t size) noexcept {
    Range** link = &ranges_;
    while (*link != nullptr && (*link)->size < size) link = &(*link)->next;
    Range* const found = *link;
    if (found == nullptr) return nullptr;
    if (found->size == size) {
      *link = found->next;
    } else {
      std::byte* const rest = reinterpret_cast<std::byte*>(found) + size;
      *link = ::new (rest) Range{found->size - size, found->next};
    }
    return found;
  }

  static void add_range(std::byte* begin, std::size_t size) noexcept {
    Range* before = nullptr;
    Range* after = ranges_;
    while (after != nullptr && reinterpret_cast<std::byte*>(after) < begin) {
      before = after;
      after = after->next;
    }
    Range* range = ::new (begin) Range{size, after};
    if (after != nullptr && range->end() == reinterpret_cast<std::byte*>(after)) {
      range->size += after->size;
      range->next = after->next;
    }
    if (before == nullptr) {
      ranges_ = range;
    } else if (before->end() == begin) {
      before->size += range->size;
      before->next = range->next;
    } else {
      before->next = range;
    }
  }

  static void add_slab(std::size_t size) {
    if (size < smallest_slab) size = smallest_slab;
    void* const memory = HeapBlocks::take(sizeof(Slab) + size);
    slabs_ = ::new (memory) Slab{size, slabs_};
    add_range(static_cast<std::byte*>(slabs_->memory()), size);
  }

  // Never destroyed: tensors of static storage may outlive any object here.
  static inline constinit bool is_locked_ = false;
  static inline constinit Range* ranges_ = nullptr;
  static inline constinit Slab* slabs_ = nullptr;
};

}  // namespace bitdial::inline BITDIAL_ABI
