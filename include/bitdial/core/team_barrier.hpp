// SPDX-License-Identifier: Apache-2.0
// Threads of a team wait for each other, many thousand times a second, without the system's help.
#pragma once

#include <cstdint>

#if defined(__unix__) || defined(__APPLE__)
#  include <sched.h>
#endif

#include <bitdial/core/assert.hpp>
#include <bitdial/core/config.hpp>

namespace bitdial::inline BITDIAL_ABI {

/// A dissemination barrier: in round k member i tells member i + 2^k that it has come, and waits to
/// hear from member i - 2^k, modulo the size of the team; after ceil(log2 size) rounds everybody
/// has heard of everybody. Each member listens on a cache line of its own, and no one reads before
/// it writes.
///
/// Cost: one exchange of a cache line a round, about 0.05 microseconds between neighbouring cores.
/// Who waits long lets other threads of its core run between two looks.
///
/// Hensgen, Finkel, Manber, "Two algorithms for barrier synchronization", 1988.
class TeamBarrier {
 public:
  static constexpr std::int64_t most_members = 64;

  /// Member `rank` of `size` returns when all of them have called it as often as itself.
  void wait(std::int64_t rank, std::int64_t size) noexcept {
    BITDIAL_ASSERT(0 <= rank && rank < size && size <= most_members);
    Member& own = members_[rank];
    const std::uint32_t turn = ++own.turn;
    for (std::int64_t round = 0, step = 1; step < size; ++round, step *= 2) {
      const std::int64_t next = rank + step < size ? rank + step : rank + step - size;
      __atomic_store_n(&members_[next].heard[round], turn, __ATOMIC_RELEASE);
      listen(own.heard[round], turn);
    }
  }

 private:
  static constexpr int rounds = 6, patience = 512;

  struct Member {
    alignas(64) std::uint32_t heard[rounds] = {};  ///< turns of those who tell this member
    alignas(64) std::uint32_t turn = 0;            ///< of its own
  };

  /// Who is ahead may have come for the next turn already.
  static void listen(const std::uint32_t& heard, std::uint32_t turn) noexcept {
    for (int looks = 0; __atomic_load_n(&heard, __ATOMIC_ACQUIRE) - turn > 1U; ++looks) {
      if (looks < patience) {
        pause();
      } else {
#if defined(__unix__) || defined(__APPLE__)
        sched_yield();
#endif
      }
    }
  }
  static void pause() noexcept {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    asm volatile("yield");
#endif
  }

  Member members_[most_members];
};

}  // namespace bitdial::inline BITDIAL_ABI
