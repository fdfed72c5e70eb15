// SPDX-License-Identifier: Apache-2.0
// What a session is created with, and how much memory it takes.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include <bitdial/core/parallel.hpp>
#include <bitdial/core/result.hpp>
#include <bitdial/core/text.hpp>
#include <bitdial/deploy/kernel_choice.hpp>
#include <bitdial/kernels/dispatch.hpp>

namespace bitdial::inline BITDIAL_ABI {

/// What a session prepares for.
struct SessionOptions {
  int threads = 1;
  std::int64_t max_batch = 1;                     ///< images that may share working memory, at most
  std::vector<std::size_t> plans{};               ///< indices into `Model::plans()`; empty: all
  const kernels::KernelTable* kernels = nullptr;  ///< null: what `select_kernels()` says
  KernelPath path = KernelPath::automatic;        ///< another one where it serves, else bytes
  /// Multiplications of a step that pay for one more thread; 0: 2^16 of OpenMP's, which stay
  /// together from the first step of a run to the last, 2^20 of a caller's, which are woken for
  /// every step. Smaller steps run on one thread, whatever `threads` says.
  std::int64_t work_per_thread = 0;
  /// The caller's threads; without them OpenMP's where it is compiled in, else one.
  ParallelHook parallel_for{};
  /// The caller's memory, as large as `MemoryPlan::arena()` says, on a 64-byte boundary, alive as
  /// long as the session; empty: the session allocates it, in one piece.
  std::span<std::byte> arena{};

  /// `work_per_thread`, or what it stands for.
  [[nodiscard]] std::int64_t work_that_pays() const noexcept {
    if (work_per_thread > 0) return work_per_thread;
    return std::int64_t{1} << (parallel_for.run == nullptr ? 16 : 20);
  }
};

/// The memory of a session, to the byte.
struct MemoryPlan {
  static constexpr std::size_t alignment = 64;  ///< of the arena's first byte

  std::size_t weights = 0;      ///< repacked for this machine, with what belongs to them
  std::size_t working = 0;      ///< activations and scratch, for all threads
  std::size_t description = 0;  ///< the steps of the plans, on the heap

  /// The one block that a caller may bring.
  [[nodiscard]] std::size_t arena() const noexcept { return weights + working; }
  /// All that a session holds.
  [[nodiscard]] std::size_t bytes() const noexcept { return arena() + description; }
  friend bool operator==(const MemoryPlan&, const MemoryPlan&) = default;
};

namespace detail {

/// The kernels that the options ask for. Errors: an option out of range, an unknown instruction set
/// in BITDIAL_FORCE_ISA.
[[nodiscard]] inline Result<const kernels::KernelTable*> check_session_options(
    const SessionOptions& options) {
  constexpr int most_threads = 1024;
  constexpr std::int64_t most_images = 1 << 16;
  if (options.threads < 1 || options.threads > most_threads) {
    return Failure{concat("session: ", options.threads, " threads, expected 1 to ", most_threads)};
  }
  if (options.max_batch < 1 || options.max_batch > most_images) {
    return Failure{
        concat("session: batches of ", options.max_batch, " images, expected 1 to ", most_images)};
  }
  if (options.work_per_thread < 0) {
    return Failure{
        concat("session: work_per_thread is ", options.work_per_thread, ", expected at least 0")};
  }
  if (options.path != KernelPath::automatic &&
      std::ranges::find(kernel_paths, options.path) == kernel_paths.end()) {
    return Failure{concat("session: path ", static_cast<int>(options.path),
                          " is not a KernelPath, expected one of its names")};
  }
  if (options.kernels != nullptr) return options.kernels;
  return kernels::select_kernels();
}

}  // namespace detail

}  // namespace bitdial::inline BITDIAL_ABI
