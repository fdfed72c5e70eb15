// SPDX-License-Identifier: Apache-2.0
// Data-parallel training over MPI. The only header that needs MPI: include it yourself and link
// `bitdial::mpi`; no umbrella includes it. docs/distributed.md is the guide.
#pragma once

// The C interface is enough; the C++ one is gone from the standard.
#ifndef OMPI_SKIP_MPICXX
#  define OMPI_SKIP_MPICXX 1
#endif
#ifndef MPICH_SKIP_MPICXX
#  define MPICH_SKIP_MPICXX 1
#endif
#include <mpi.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <exception>
#include <functional>
#include <limits>
#include <memory>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include <bitdial/train/peers.hpp>

namespace bitdial::inline BITDIAL_ABI::train {

struct MpiOptions {
  bool share_statistics = true;            ///< of batch normalisation, over all processes
  std::int64_t bucket_bytes = 1 << 20;     ///< gradients travel in pieces of about this size
  double timeout_seconds = 600.0;          ///< of one wait; then the others count as lost
  std::function<bool()> interrupted = {};  ///< asked while waiting; true gives up
};

/// The processes that `mpirun` has started; starts MPI and ends it.
///
/// Gradients travel while the backward pass still runs: a bucket is sent to its owners
/// (`MPI_Ialltoall`), each adds its slice in the order of ranks, and the means go to everybody
/// (`MPI_Iallgather`). Every process gets the same bits in every run with the same number of
/// processes. Per step and process 2 (P - 1) / P times the bytes of the gradients are sent.
///
/// One object per program, used by one thread. When it is destroyed by an exception, MPI is left
/// as it is: the program ends with an error, and `mpirun` ends the others.
/// Throws `ConfigError` when MPI was already started or was built without threads, and `PeerError`
/// when an exchange fails, times out or is interrupted.
class MpiPeers final : public Peers {
 public:
  MpiPeers(int& argc, char**& argv, MpiOptions options = {}) : options_{std::move(options)} {
    int started = 0;
    MPI_Initialized(&started);
    if (started != 0) throw ConfigError("mpi: expected to start MPI, it is already started");
    int provided = 0;
    require(MPI_Init_thread(&argc, &argv, MPI_THREAD_FUNNELED, &provided), "starting MPI");
    if (provided < MPI_THREAD_FUNNELED) {
      throw ConfigError(
          "mpi: expected MPI_THREAD_FUNNELED, this MPI provides MPI_THREAD_SINGLE; "
          "use one that was built with threads");
    }
    MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
    // Collectives of one communicator must start in the same order everywhere. Statistics, ways to
    // the owners and ways back each do, but not among each other: one communicator for each.
    for (MPI_Comm* line : {&statistics_, &to_owners_, &to_everybody_}) {
      require(MPI_Comm_dup(MPI_COMM_WORLD, line), "starting MPI");
    }
    MPI_Comm_rank(MPI_COMM_WORLD, &rank_);
    MPI_Comm_size(MPI_COMM_WORLD, &count_);
  }
  MpiPeers(const MpiPeers&) = delete;
  MpiPeers& operator=(const MpiPeers&) = delete;
  ~MpiPeers() override {
    // Ending MPI waits for all processes, and they for us: not when something has failed.
    if (std::uncaught_exceptions() == 0 && !is_broken_) MPI_Finalize();
  }

  [[nodiscard]] int rank() const noexcept override { return rank_; }
  [[nodiscard]] int count() const noexcept override { return count_; }
  [[nodiscard]] bool shares_statistics() const noexcept override {
    return options_.share_statistics;
  }

  void sum(std::span<double> values) override {
    const std::size_t size = values.size();
    gathered_.resize(size * static_cast<std::size_t>(count_));
    MPI_Request request = MPI_REQUEST_NULL;
    require(MPI_Iallgather(values.data(), length(size), MPI_DOUBLE, gathered_.data(), length(size),
                           MPI_DOUBLE, statistics_, &request),
            "adding statistics");
    wait(request, "adding statistics");
    for (std::size_t i = 0; i < size; ++i) {
      values[i] = gathered_[i];
      for (std::size_t r = 1; r < static_cast<std::size_t>(count_); ++r) {
        values[i] += gathered_[r * size + i];
      }
    }
  }

  void broadcast(std::span<std::byte> bytes) override {
    constexpr std::size_t most = std::size_t{1} << 30;
    while (!bytes.empty()) {
      const std::span<std::byte> piece = bytes.first(std::min(most, bytes.size()));
      bytes = bytes.subspan(piece.size());
      MPI_Request request = MPI_REQUEST_NULL;
      require(MPI_Ibcast(piece.data(), length(piece.size()), MPI_BYTE, 0, statistics_, &request),
              "sharing the state of process 0");
      wait(request, "sharing the state of process 0");
    }
  }

  void send_gradient(Tensor<float>& gradient) override {
    if (open_ == nullptr) open_ = take_bucket();
    open_->members.push_back(&gradient);
    open_->size += static_cast<std::size_t>(gradient.size());
    if (static_cast<std::int64_t>(open_->size * sizeof(float)) >= options_.bucket_bytes) launch();
    for (const auto& bucket : travelling_) advance(*bucket);
  }

  void finish_gradients(const nn::Named<nn::Parameter>& parameters) override {
    std::vector<Tensor<float>*> sent;
    const auto remember = [&](const Bucket& bucket) {
      sent.insert(sent.end(), bucket.members.begin(), bucket.members.end());
    };
    for (const auto& bucket : travelling_) remember(*bucket);
    if (open_ != nullptr) remember(*open_);
    std::ranges::sort(sent);
    for (const auto& [name, parameter] : parameters) {
      if (!std::ranges::binary_search(sent, &parameter->grad)) send_gradient(parameter->grad);
    }
    if (open_ != nullptr) launch();
    const Deadline deadline(options_.timeout_seconds);
    for (const auto& bucket : travelling_) {
      while (!advance(*bucket)) keep_waiting(deadline, "exchanging gradients");
    }
    for (auto& bucket : travelling_) idle_.push_back(std::move(bucket));
    travelling_.clear();
    averaged_ = 0;
  }

 private:
  using Clock = std::chrono::steady_clock;
  struct Deadline {
    explicit Deadline(double seconds)
        : end{Clock::now() +
              std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds))} {
    }
    Clock::time_point end;
  };

  /// Gradients that travel together: [slice of process 0 | slice of process 1 | ...].
  struct Bucket {
    enum class Stage : std::uint8_t { to_owners, to_everybody, done };
    std::vector<Tensor<float>*> members{};
    std::size_t size = 0;
    std::size_t slice = 0;
    std::vector<float> mine{};    // all slices of this process, and at the end the means
    std::vector<float> theirs{};  // this process' slice, from everybody
    MPI_Request request = MPI_REQUEST_NULL;
    Stage stage = Stage::done;
  };

  [[nodiscard]] std::unique_ptr<Bucket> take_bucket() {
    if (idle_.empty()) return std::make_unique<Bucket>();
    std::unique_ptr<Bucket> bucket = std::move(idle_.back());
    idle_.pop_back();
    bucket->members.clear();
    bucket->size = 0;
    return bucket;
  }

  /// Starts the way of the open bucket.
  void launch() {
    Bucket& bucket = *travelling_.emplace_back(std::move(open_));
    const auto processes = static_cast<std::size_t>(count_);
    bucket.slice = (bucket.size + processes - 1) / processes;
    bucket.mine.assign(bucket.slice * processes, 0.0F);
    bucket.theirs.resize(bucket.slice * processes);
    float* to = bucket.mine.data();
    for (const Tensor<float>* member : bucket.members) {
      to = std::copy_n(member->data(), member->size(), to);
    }
    bucket.stage = Bucket::Stage::to_owners;
    require(MPI_Ialltoall(bucket.mine.data(), length(bucket.slice), MPI_FLOAT, bucket.theirs.data(),
                          length(bucket.slice), MPI_FLOAT, to_owners_, &bucket.request),
            "exchanging gradients");
  }

  /// Goes as far as possible without waiting; true at the end of the way.
  bool advance(Bucket& bucket) {
    if (bucket.stage == Bucket::Stage::done) return true;
    int arrived = 0;
    require(MPI_Test(&bucket.request, &arrived, MPI_STATUS_IGNORE), "exchanging gradients");
    if (arrived == 0) return false;
    if (bucket.stage == Bucket::Stage::to_owners) {
      // The ways back start in the order of the buckets, whichever arrives first.
      if (&bucket != travelling_[averaged_].get()) return false;
      ++averaged_;
      average(bucket);
      return false;
    }
    const float* from = bucket.mine.data();
    for (Tensor<float>* member : bucket.members) {
      std::copy_n(from, member->size(), member->data());
      from += member->size();
    }
    bucket.stage = Bucket::Stage::done;
    return true;
  }

  void average(Bucket& bucket) {
    const float share = 1.0F / static_cast<float>(count_);
    float* const own = bucket.mine.data();  // what was here has arrived where it belongs
    for (std::size_t i = 0; i < bucket.slice; ++i) {
      float total = bucket.theirs[i];
      for (std::size_t r = 1; r < static_cast<std::size_t>(count_); ++r) {
        total += bucket.theirs[r * bucket.slice + i];
      }
      bucket.theirs[i] = total * share;
    }
    bucket.stage = Bucket::Stage::to_everybody;
    require(MPI_Iallgather(bucket.theirs.data(), length(bucket.slice), MPI_FLOAT, own,
                           length(bucket.slice), MPI_FLOAT, to_everybody_, &bucket.request),
            "exchanging gradients");
  }

  void wait(MPI_Request& request, std::string_view what) {
    const Deadline deadline(options_.timeout_seconds);
    int arrived = 0;
    while (true) {
      require(MPI_Test(&request, &arrived, MPI_STATUS_IGNORE), what);
      if (arrived != 0) return;
      keep_waiting(deadline, what);
    }
  }

  void keep_waiting(const Deadline& deadline, std::string_view what) {
    if (options_.interrupted && options_.interrupted()) {
      lose(concat(what, ": told to stop while waiting for the other processes"));
    }
    if (Clock::now() > deadline.end) {
      lose(concat(what, ": no answer from the other processes for ", options_.timeout_seconds,
                  " seconds"));
    }
    std::this_thread::yield();  // processes may share a core
  }

  void require(int result, std::string_view what) {
    if (result == MPI_SUCCESS) return;
    char text[MPI_MAX_ERROR_STRING];
    int size = 0;
    MPI_Error_string(result, text, &size);
    lose(concat(what, ": ", std::string_view(text, static_cast<std::size_t>(size))));
  }

  [[noreturn]] void lose(const std::string& what) {
    is_broken_ = true;
    throw PeerError(concat("mpi: process ", rank_, " of ", count_, ": ", what));
  }

  [[nodiscard]] static int length(std::size_t size) {
    if (size > static_cast<std::size_t>(std::numeric_limits<int>::max())) {
      throw ConfigError(concat("mpi: a message of ", size, " elements; the limit is 2^31 - 1"));
    }
    return static_cast<int>(size);
  }

  MpiOptions options_;
  int rank_ = 0;
  int count_ = 1;
  bool is_broken_ = false;
  std::vector<double> gathered_;
  MPI_Comm statistics_ = MPI_COMM_NULL;
  MPI_Comm to_owners_ = MPI_COMM_NULL;
  MPI_Comm to_everybody_ = MPI_COMM_NULL;
  std::unique_ptr<Bucket> open_;
  std::vector<std::unique_ptr<Bucket>> travelling_;  // in the order of their start
  std::size_t averaged_ = 0;                         // how many of them are on their way back
  std::vector<std::unique_ptr<Bucket>> idle_;
};

}  // namespace bitdial::inline BITDIAL_ABI::train
