// SPDX-License-Identifier: Apache-2.0
// Freed memory blocks kept for the next request of the same size: the tensors of a training step
// have the sizes of the step before, and asking the system for fresh pages is what costs.
#pragma once

#include <cstddef>
#include <new>

#include <bitdial/core/config.hpp>

namespace bitdial::inline BITDIAL_ABI {

/// Blocks from the heap, aligned to a cache line, returned at once.
struct HeapBlocks {
  static constexpr std::size_t alignment = 64;

  [[nodiscard]] static void* take(std::size_t bytes) {
    return ::operator new (bytes, std::align_val_t{alignment});
  }
  static void give(void* block, std::size_t) noexcept {
    ::operator delete (block, std::align_val_t{alignment});
  }
};

/// Blocks of at least 64 KiB wait, by size, in the freeing thread for its next request; smaller
/// ones go to the heap. A thread keeps at most 1 GiB waiting and returns all of it when it ends.
class CachedBlocks {
 public:
  static constexpr std::size_t smallest = std::size_t{64} << 10;
  static constexpr std::size_t most_waiting = std::size_t{1} << 30;

  [[nodiscard]] static void* take(std::size_t bytes) {
    if (bytes < smallest || is_over()) return HeapBlocks::take(bytes);
    return of_this_thread().take_waiting(bytes);
  }
  static void give(void* block, std::size_t bytes) noexcept {
    if (bytes < smallest || is_over()) return HeapBlocks::give(block, bytes);
    of_this_thread().keep_or_free(block, bytes);
  }

  /// Returns what waits in this thread to the system.
  static void release() noexcept {
    if (!is_over()) of_this_thread().free_all();
  }
  /// Bytes that wait in this thread.
  [[nodiscard]] static std::size_t waiting() noexcept {
    return is_over() ? 0 : of_this_thread().waiting_bytes_;
  }

 private:
  CachedBlocks() = default;
  CachedBlocks(const CachedBlocks&) = delete;
  CachedBlocks& operator=(const CachedBlocks&) = delete;
  ~CachedBlocks() {
    free_all();
    is_over() = true;
  }

  [[nodiscard]] static CachedBlocks& of_this_thread() noexcept {
    thread_local CachedBlocks cache;
    return cache;
  }
  /// True in the last moments of a thread, when objects that outlive the cache are destroyed.
  [[nodiscard]] static bool& is_over() noexcept {
    thread_local bool over = false;
    return over;
  }

  // The waiting blocks of one size, as a list; each block holds the address of the next one.
  struct Waiting {
    std::size_t bytes = 0;  // 0: the place is free
    void* first = nullptr;
  };
  static constexpr std::size_t places = 512;

  // The list for a size: linear probing from its hash. Null when another `places` sizes are known.
  [[nodiscard]] Waiting* list_of(std::size_t bytes) noexcept {
    const std::size_t start = (bytes / HeapBlocks::alignment * 0x9E3779B1U) % places;
    for (std::size_t i = 0; i < places; ++i) {
      Waiting& list = lists_[(start + i) % places];
      if (list.bytes == 0) list.bytes = bytes;
      if (list.bytes == bytes) return &list;
    }
    return nullptr;
  }

  [[nodiscard]] void* take_waiting(std::size_t bytes) {
    Waiting* const list = list_of(bytes);
    if (list == nullptr || list->first == nullptr) return HeapBlocks::take(bytes);
    void* const block = list->first;
    list->first = next_of(block);
    waiting_bytes_ -= bytes;
    return block;
  }

  void keep_or_free(void* block, std::size_t bytes) noexcept {
    Waiting* const list = list_of(bytes);
    if (list == nullptr || waiting_bytes_ + bytes > most_waiting) {
      return HeapBlocks::give(block, bytes);
    }
    next_of(block) = list->first;
    list->first = block;
    waiting_bytes_ += bytes;
  }

  void free_all() noexcept {
    for (Waiting& list : lists_) {
      while (void* const block = list.first) {
        list.first = next_of(block);
        HeapBlocks::give(block, list.bytes);
      }
    }
    waiting_bytes_ = 0;
  }

  [[nodiscard]] static void*& next_of(void* block) noexcept { return *static_cast<void**>(block); }

  Waiting lists_[places];
  std::size_t waiting_bytes_ = 0;
};

}  // namespace bitdial::inline BITDIAL_ABI
