// SPDX-License-Identifier: Apache-2.0
// One block of memory for everything that a session or a measurement needs.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <span>

#include <bitdial/core/heap_blocks.hpp>
#include <bitdial/core/result.hpp>
#include <bitdial/core/text.hpp>
#include <bitdial/deploy/session_options.hpp>

namespace bitdial::inline BITDIAL_ABI::detail {

/// Memory on a 64-byte boundary: the session's own, whose size comes from a file, so that running
/// out of it is an error text; or the caller's.
class Arena {
 public:
  Arena() = default;
  [[nodiscard]] static Result<Arena> allocate(std::size_t bytes) {
    static_assert(HeapBlocks::alignment >= MemoryPlan::alignment);
    Arena arena;
    arena.own_ = {static_cast<std::byte*>(HeapBlocks::take(bytes, std::nothrow)), Release{bytes}};
    if (!arena.own_) return Failure{concat("session: cannot allocate ", bytes, " bytes")};
    arena.data_ = arena.own_.get();
    return arena;
  }
  [[nodiscard]] static Result<Arena> borrow(std::span<std::byte> memory, std::size_t bytes) {
    if (memory.size() < bytes) {
      return Failure{concat("session: the arena has ", memory.size(), " bytes, these options take ",
                            bytes, "; Session::plan_memory tells how many")};
    }
    const auto beyond = reinterpret_cast<std::uintptr_t>(memory.data()) % MemoryPlan::alignment;
    if (beyond != 0) {
      return Failure{concat("session: the arena starts ", beyond, " bytes behind a boundary of ",
                            MemoryPlan::alignment, " bytes, expected on one; declare it alignas(",
                            MemoryPlan::alignment, ")")};
    }
    Arena arena;
    arena.data_ = memory.data();
    return arena;
  }
  [[nodiscard]] std::byte* data() const noexcept { return data_; }

 private:
  struct Release {
    std::size_t bytes;
    void operator()(std::byte* memory) const noexcept { HeapBlocks::give(memory, bytes); }
  };
  std::unique_ptr<std::byte, Release> own_;
  std::byte* data_ = nullptr;
};

}  // namespace bitdial::inline BITDIAL_ABI::detail
