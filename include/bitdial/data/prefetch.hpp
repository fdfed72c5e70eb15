// SPDX-License-Identifier: Apache-2.0
// Batches prepared ahead of the training step by threads of their own.
#pragma once

#include <algorithm>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <mutex>
#include <stop_token>
#include <thread>
#include <utility>
#include <vector>

#include <bitdial/data/loader.hpp>

namespace bitdial::inline BITDIAL_ABI::data {

struct PrefetchOptions {
  int workers = 1;  ///< threads that prepare images; 0: the asking thread does it, without a queue
  int depth = 2;    ///< batches that may wait, ready or in work, at least 1
};

/// A `BatchLoader` whose next batches are already on their way.
///
/// The batches are those of the loader, bit for bit, for every number of workers: an image depends
/// on (seed, epoch, image) alone. Workers share each batch in chunks of a few images, so the batch
/// that is needed next is ready first. Buffers go round: after the first `depth + 1` batches no
/// image memory is allocated.
///
/// An exception of a worker waits with its batch and is thrown to the one who asks for that batch.
/// The destructor stops after the chunks in work. Memory: `depth + 1` batches.
/// Throws `ConfigError` for a negative number of workers and a depth below 1.
class PrefetchingLoader {
 public:
  explicit PrefetchingLoader(BatchLoader loader, const PrefetchOptions& options = {})
      : loader_{std::move(loader)}, depth_{options.depth} {
    if (options.workers < 0 || options.depth < 1) {
      throw ConfigError(concat("prefetch: expected workers >= 0 and a depth >= 1, found ",
                               options.workers, " workers and depth ", options.depth));
    }
    slots_.resize(static_cast<std::size_t>(options.workers == 0 ? 1 : options.depth + 1));
    for (int i = 0; i < options.workers; ++i) {
      workers_.emplace_back([this](const std::stop_token& stop) { work(stop); });
    }
  }
  PrefetchingLoader(const PrefetchingLoader&) = delete;
  PrefetchingLoader& operator=(const PrefetchingLoader&) = delete;

  [[nodiscard]] const BatchLoader& loader() const noexcept { return loader_; }

  /// Batch `batch` of epoch `epoch`, both from 0; valid until the next call.
  ///
  /// Made for batches in order; any other batch drops what was prepared and starts from there.
  /// Throws `ConfigError` outside the epoch, and what preparing this batch has thrown.
  const Batch& get(std::int64_t epoch, std::int64_t batch) {
    if (workers_.empty() || epoch < 0 || batch < 0 || batch >= loader_.batches_per_epoch()) {
      loader_.load(epoch, batch, slots_.front().batch);
      return slots_.front().batch;
    }
    const std::int64_t step = epoch * loader_.batches_per_epoch() + batch;
    std::unique_lock lock(mutex_);
    if (front_ < 0 || (step != front_ && step != front_ - 1)) restart(lock, step);
    Slot& wanted = slot(step);
    finished_.wait(lock, [&] { return wanted.is_complete(step); });
    front_ = step + 1;
    work_.notify_all();
    if (wanted.failure) std::rethrow_exception(wanted.failure);
    loader_.finish(wanted.batch, wanted.damage);
    wanted.damage.clear();
    return wanted.batch;
  }

 private:
  /// A place for one batch. Its chunks are claimed in order and finished in any order.
  struct Slot {
    std::int64_t step = -1;
    Batch batch{};
    std::int64_t chunks = 0;
    std::int64_t claimed = 0;
    std::int64_t done = 0;
    std::vector<BatchLoader::Damage> damage{};
    std::exception_ptr failure{};
    std::int64_t failed_chunk = 0;

    [[nodiscard]] bool is_complete(std::int64_t wanted) const noexcept {
      return step == wanted && done == chunks;
    }
    /// Of several failures the first chunk's counts, whichever thread was faster.
    void fail(std::int64_t chunk, std::exception_ptr what) {
      if (failure && failed_chunk < chunk) return;
      failure = std::move(what);
      failed_chunk = chunk;
    }
  };

  [[nodiscard]] Slot& slot(std::int64_t step) noexcept {
    return slots_[static_cast<std::size_t>(step) % slots_.size()];
  }

  /// Drops everything and makes `step` the next one, once no worker writes any more.
  void restart(std::unique_lock<std::mutex>& lock, std::int64_t step) {
    front_ = -1;
    finished_.wait(lock, [&] { return busy_ == 0; });
    for (Slot& each : slots_) each.step = -1;
    front_ = step;
    work_.notify_all();
  }

  /// The first step of the window with a chunk that nobody has claimed, or -1.
  [[nodiscard]] std::int64_t open_step() noexcept {
    if (front_ < 0) return -1;
    for (std::int64_t step = front_; step < front_ + depth_; ++step) {
      const Slot& candidate = slot(step);
      if (candidate.step != step || candidate.claimed < candidate.chunks) return step;
    }
    return -1;
  }

  /// Chooses the images of a batch whose slot is free. A failure belongs to the batch.
  void open(Slot& free, std::int64_t step) {
    free.step = step;
    free.claimed = free.done = free.chunks = 0;
    free.failure = nullptr;
    free.damage.clear();
    const std::int64_t per_epoch = loader_.batches_per_epoch();
    try {
      loader_.begin(step / per_epoch, step % per_epoch, free.batch);
      free.chunks = BatchLoader::chunk_count(free.batch);
    } catch (...) {
      free.fail(0, std::current_exception());
      finished_.notify_all();
    }
  }

  void work(const std::stop_token& stop) {
    PreparationMemory memory;
    std::vector<BatchLoader::Damage> damage;
    std::unique_lock lock(mutex_);
    while (true) {
      work_.wait(lock, stop, [&] { return open_step() >= 0; });
      if (stop.stop_requested()) return;
      const std::int64_t step = open_step();
      Slot& mine = slot(step);
      if (mine.step != step) open(mine, step);
      if (mine.claimed == mine.chunks) continue;
      const std::int64_t chunk = mine.claimed++;
      ++busy_;
      lock.unlock();
      std::exception_ptr failure;
      damage.clear();
      try {
        loader_.fill(step / loader_.batches_per_epoch(), chunk, mine.batch, memory, damage);
      } catch (...) {
        failure = std::current_exception();
      }
      lock.lock();
      --busy_;
      ++mine.done;
      if (failure) mine.fail(chunk, std::move(failure));
      std::ranges::move(damage, std::back_inserter(mine.damage));
      if (mine.done == mine.chunks || busy_ == 0) finished_.notify_all();
    }
  }

  BatchLoader loader_;
  std::int64_t depth_;
  std::mutex mutex_;
  std::condition_variable_any work_;   // the window has an open chunk
  std::condition_variable finished_;   // a batch is complete, or nobody is busy
  std::vector<Slot> slots_;            // step s lives in slot s mod (depth + 1)
  std::int64_t front_ = -1;            // the next step to hand out; -1: nothing to do
  std::int64_t busy_ = 0;              // chunks in work
  std::vector<std::jthread> workers_;  // last: they stop before anything else goes away
};

}  // namespace bitdial::inline BITDIAL_ABI::data
