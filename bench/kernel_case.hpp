// SPDX-License-Identifier: Apache-2.0
// One benchmark of a kernel: what it computes, the peak beside it, random operands.
#pragma once

#include <benchmark/benchmark.h>

#include <algorithm>
#include <bitdial/core/aligned_buffer.hpp>
#include <bitdial/core/text.hpp>
#include <bitdial/kernels/active.hpp>
#include <bitdial/kernels/dispatch.hpp>
#include <bitdial/ops/matrix_view.hpp>
#include <cstdint>
#include <functional>
#include <string>

#include "peaks.hpp"

namespace bench {

using bitdial::AlignedBuffer;
using bitdial::kernels::KernelTable;
using bitdial::kernels::real_kernels_of;
using bitdial::kernels::RealKernels;
using bitdial::ops::MatrixView;

/// Samples per benchmark and the least time of each.
struct Sampling {
  int repetitions = 7;
  double seconds = 0.02;
};
inline Sampling sampling;

/// Random values in [low, low + span).
template <class T>
AlignedBuffer<T> filled(std::int64_t size, int low, int span) {
  AlignedBuffer<T> buffer(static_cast<std::size_t>(size));
  std::uint32_t state = 12345;
  for (T& x : buffer.span()) {
    state = state * 1664525U + 1013904223U;
    x = static_cast<T>(low + static_cast<int>((state >> 16) % static_cast<std::uint32_t>(span)));
  }
  return buffer;
}

/// Levels of 8 bits as those of trained layers lie, about normally: standard deviation 28, a fifth
/// of the range.
inline AlignedBuffer<std::int8_t> filled_levels(std::int64_t size) {
  constexpr int terms = 12;  // their sum has 12 times the variance of one
  const auto parts = filled<std::int8_t>(terms * size, -14, 29);
  AlignedBuffer<std::int8_t> levels(static_cast<std::size_t>(size));
  for (std::int64_t i = 0; i < size; ++i) {
    int sum = 0;
    for (int j = 0; j < terms; ++j) sum += parts.data()[terms * i + j];
    levels.data()[i] = static_cast<std::int8_t>(std::clamp(sum, -128, 127));
  }
  return levels;
}

/// What one benchmark needs: `work` multiply-accumulates (or elements) per call of `run`.
struct Case {
  std::string kernel;
  std::string isa;
  std::string bits;
  std::string shape;
  double work = 0.0;
  PeakLoop PeakLoops::*peak = nullptr;  ///< the loop that it is held against
  double bandwidth = 0.0;               ///< GB/s of the cache, for a case that is held against them
  /// Of the peak, per multiply-accumulate of the case: pairs of planes, bytes of weights.
  double peak_work = 1.0;
  std::function<void()> run;
  /// The same product in the u8 x s8 kernel, when a ratio to it is wanted.
  std::function<void()> reference = {};
};

inline AlignedBuffer<std::uint64_t> filled_bits(std::int64_t size) {
  AlignedBuffer<std::uint64_t> buffer(static_cast<std::size_t>(size));
  std::uint64_t state = 12345;
  for (std::uint64_t& x : buffer.span()) {
    state = state * 6364136223846793005U + 1442695040888963407U;
    x = state ^ (state >> 29);
  }
  return buffer;
}

/// The shortest of the runs that fit into about five milliseconds.
inline double shortest_time(const std::function<void()>& run) {
  run();
  double best = 1e9;
  const double end = seconds() + 5e-3;
  for (double start = seconds(); start < end; start = seconds()) {
    run();
    benchmark::ClobberMemory();
    best = std::min(best, seconds() - start);
  }
  return best;
}

/// The peak at this moment; 0 without one.
inline double peak_of(const Case& c) {
  return c.peak != nullptr ? measure_peak(peaks_of(c.isa).*c.peak) : c.bandwidth;
}

inline const PeakName& peak_name_of(const Case& c) {
  return *std::ranges::find(peak_names, c.peak, &PeakName::loop);
}

inline std::string shape_text(std::int64_t m, std::int64_t n, std::int64_t k) {
  return bitdial::concat(m, "x", n, "x", k);
}

/// Registers a case. Its label is the name of the peak beside it, empty without one.
inline void add(const Case& c) {
  const std::string name = bitdial::concat(c.kernel, "/", c.isa, "/", c.bits, "/", c.shape);
  benchmark::RegisterBenchmark(
      name.c_str(),
      [c](benchmark::State& state) {
        const double peak = peak_of(c);
        const double reference = c.reference ? c.work / shortest_time(c.reference) : 0.0;
        std::int64_t calls = 0;
        const double start = seconds();
        for (auto _ : state) {
          c.run();
          benchmark::ClobberMemory();
          ++calls;
        }
        const double time = seconds() - start;
        const double rate = c.work * static_cast<double>(calls) / time * 1e-9;
        state.counters["GMAC/s"] = rate;
        state.counters["peak"] = peak;
        state.counters["share"] = peak > 0.0 ? rate * c.peak_work / peak : 0.0;
        if (reference > 0.0) state.counters["times_u8s8"] = rate * 1e9 / reference;
        if (peak > 0.0) state.SetLabel(std::string{peak_name_of(c).name});
      })
      ->Repetitions(sampling.repetitions)
      ->ReportAggregatesOnly(false)
      ->MinTime(sampling.seconds)
      ->Unit(benchmark::kMicrosecond);
}

/// True unless the next weaker table of this machine has the same kernel: one row each is enough.
template <class Kernel>
bool has_own(const KernelTable& t, Kernel KernelTable::*kernel) {
  const auto tables = bitdial::kernels::supported_kernels();
  for (std::size_t i = 0; i + 1 < tables.size(); ++i) {
    if (tables[i] == &t) return (t.*kernel).run != (tables[i + 1]->*kernel).run;
  }
  return true;
}
template <class Kernel>
bool has_own(const KernelTable& t, Kernel RealKernels::*kernel) {
  const auto all = bitdial::kernels::supported_real_kernels();
  for (std::size_t i = 0; i + 1 < all.size(); ++i) {
    if (all[i] == &real_kernels_of(t)) return (all[i]->*kernel).run != (all[i + 1]->*kernel).run;
  }
  return true;
}

}  // namespace bench
