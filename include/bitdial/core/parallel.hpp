// SPDX-License-Identifier: Apache-2.0
// Loops over threads: the caller's own, OpenMP's where it is compiled in, or none; the results are
// the same.
#pragma once

#include <cstdint>
#if defined(__cpp_exceptions)
#  include <exception>
#endif
#if defined(_OPENMP)
#  include <omp.h>
#endif

#include <bitdial/core/assert.hpp>
#include <bitdial/core/team_barrier.hpp>

namespace bitdial::inline BITDIAL_ABI {

/// The number of threads that the machine offers to this build: 1 without OpenMP.
[[nodiscard]] inline int available_threads() noexcept {
#if defined(_OPENMP)
  return omp_get_max_threads();
#else
  return 1;
#endif
}

namespace detail {

// Read and written with the compiler's atomic built-ins: <atomic> is 24,000 lines of text.
inline int& requested_threads() noexcept {
  static constinit int count = 0;
  return count;
}

/// Calls `body` for the chunks first .. last - 1 of `0 .. count`.
template <class Body>
void run_chunks(std::int64_t first, std::int64_t last, std::int64_t count, std::int64_t grain,
                Body& body) {
  for (std::int64_t chunk = first; chunk < last; ++chunk) {
    const std::int64_t begin = chunk * grain;
    body(begin, count - begin < grain ? count : begin + grain);
  }
}

/// Chunks that the threads of a team share: each takes a contiguous run of them in order, then what
/// slower ones have left of theirs.
class SharedChunks {
 public:
  SharedChunks(std::int64_t chunks, std::int64_t threads) noexcept
      : count_{threads < most_runs ? threads : most_runs} {
    for (std::int64_t i = 0; i < count_; ++i) {
      runs_[i] = {chunks * i / count_, chunks * (i + 1) / count_};
    }
  }

  /// The next chunk for this thread; -1 when all are taken.
  [[nodiscard]] std::int64_t take(std::int64_t rank) noexcept {
    for (std::int64_t i = 0; i < count_; ++i) {
      Run& run = runs_[(rank + i) % count_];
      if (__atomic_load_n(&run.next, __ATOMIC_RELAXED) >= run.last) continue;
      const std::int64_t chunk = __atomic_fetch_add(&run.next, 1, __ATOMIC_RELAXED);
      if (chunk < run.last) return chunk;
    }
    return -1;
  }

 private:
  static constexpr std::int64_t most_runs = 64;
  struct alignas(64) Run {  // a cache line of its own
    std::int64_t next, last;
  };

  std::int64_t count_;
  Run runs_[most_runs];
};

}  // namespace detail

/// The threads that `parallel_for` uses when the call names none.
[[nodiscard]] inline int thread_count() noexcept {
  const int requested = __atomic_load_n(&detail::requested_threads(), __ATOMIC_RELAXED);
  return requested > 0 ? requested : available_threads();
}

/// Sets the default of `parallel_for`; 0 returns to `available_threads()`.
inline void set_thread_count(int count) noexcept {
  __atomic_store_n(&detail::requested_threads(), count > 0 ? count : 0, __ATOMIC_RELAXED);
}

/// A caller's own threads. `run(context, count, task, data)` calls `task(data, i)` once for each i
/// in 0 .. count - 1, on any threads, side by side or one after the other, and returns when all of
/// them have returned. Tasks do not throw, do not wait for each other and start no other tasks.
///
///     void run_in_pool(void* pool, int count, ParallelHook::Task task, void* data);
///     ParallelHook{.run = run_in_pool, .context = &my_pool}
struct ParallelHook {
  using Task = void (*)(void* data, int index);

  void (*run)(void* context, int count, Task task, void* data) = nullptr;
  void* context = nullptr;
};

/// Splits `0 .. count` into chunks of `grain` (the last one may be shorter) and calls
/// `body(begin, end)` for each. Chunks do not depend on the number of threads: give each chunk
/// (`begin / grain`) its own slot for partial sums, add the slots in order, and the result is the
/// same on any machine. Each thread takes one contiguous run of chunks, then what others have left
/// of theirs: nobody waits long for a thread that the system stops. One thread starts nothing.
/// OpenMP gets a team of `threads` also for fewer chunks, and who comes too late does nothing: a
/// team whose size changes ends threads and starts new ones. The caller gets the body's exception
/// of the lowest chunk that throws, as from a loop on one thread.
template <class Body>
void parallel_for(int threads, std::int64_t count, std::int64_t grain, Body&& body) {
  BITDIAL_ASSERT(grain > 0);
  if (count <= 0) return;
  const std::int64_t chunks = (count + grain - 1) / grain;
#if defined(_OPENMP)
  if (chunks > 1 && threads > 1 && omp_in_parallel() == 0) {
    detail::SharedChunks shared(chunks, chunks < threads ? chunks : threads);
#  if defined(__cpp_exceptions)
    std::exception_ptr failure;
    std::int64_t failed_chunk = chunks;
#  endif
#  pragma omp parallel num_threads(threads)
    {
      const std::int64_t rank = omp_get_thread_num();
      for (std::int64_t chunk = 0; (chunk = shared.take(rank)) >= 0;) {
#  if defined(__cpp_exceptions)
        try {
          detail::run_chunks(chunk, chunk + 1, count, grain, body);
        } catch (...) {
#    pragma omp critical(bitdial_parallel_for_failure)
          if (chunk < failed_chunk) {
            failure = std::current_exception();
            failed_chunk = chunk;
          }
          break;
        }
#  else
        detail::run_chunks(chunk, chunk + 1, count, grain, body);
#  endif
      }
    }
#  if defined(__cpp_exceptions)
    if (failure) std::rethrow_exception(failure);
#  endif
    return;
  }
#else
  static_cast<void>(threads);
#endif
  detail::run_chunks(0, chunks, count, grain, body);
}

/// The same on the caller's threads: at most `threads` tasks, each one contiguous run of chunks.
/// Without a hook (`run` is null) it is the loop above. `body` must not throw.
template <class Body>
void parallel_for(const ParallelHook& hook, int threads, std::int64_t count, std::int64_t grain,
                  Body&& body) {
  BITDIAL_ASSERT(grain > 0);
  const std::int64_t chunks = count <= 0 ? 0 : (count + grain - 1) / grain;
  const int team = chunks < threads ? static_cast<int>(chunks) : threads;
  if (hook.run == nullptr || team <= 1) return parallel_for(threads, count, grain, body);
  auto part = [&](std::int64_t rank) {
    detail::run_chunks(chunks * rank / team, chunks * (rank + 1) / team, count, grain, body);
  };
  using Part = decltype(part);
  hook.run(
      hook.context, team, [](void* data, int rank) { (*static_cast<Part*>(data))(rank); }, &part);
}

/// The same with `thread_count()` threads.
template <class Body>
void parallel_for(std::int64_t count, std::int64_t grain, Body&& body) {
  parallel_for(thread_count(), count, grain, body);
}

/// One of the threads of `run_team`.
struct TeamMember {
  std::int64_t rank = 0, size = 1;
  TeamBarrier* barrier = nullptr;  ///< null in a team of one

  /// Returns when every member of the team has called it.
  void wait() const noexcept {
    if (barrier != nullptr) barrier->wait(rank, size);
  }
};

/// Calls `body(member)` on `threads` threads of OpenMP's at once, or on fewer where it has no more,
/// at most `TeamBarrier::most_members`: for loops that follow each other so closely that
/// `TeamMember::wait` between them is cheaper than a team for each. `body` must not throw.
template <class Body>
void run_team(int threads, Body&& body) noexcept {
#if defined(_OPENMP)
  if (threads > 1 && omp_in_parallel() == 0) {
    TeamBarrier barrier;
#  pragma omp parallel num_threads(threads)
    {
      const std::int64_t all = omp_get_num_threads(), most = TeamBarrier::most_members;
      const TeamMember member{.rank = omp_get_thread_num(),
                              .size = all < most ? all : most,
                              .barrier = all > 1 ? &barrier : nullptr};
      if (member.rank < member.size) body(member);
    }
    return;
  }
#else
  static_cast<void>(threads);
#endif
  body(TeamMember{});
}

/// Starts the threads of a team of this size before they are needed.
inline void start_threads(const ParallelHook& hook, int threads) {
  if (hook.run == nullptr) parallel_for(threads, threads, 1, [](std::int64_t, std::int64_t) {});
}

}  // namespace bitdial::inline BITDIAL_ABI
