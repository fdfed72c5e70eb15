// SPDX-License-Identifier: Apache-2.0
// What this machine can reach per instruction set: register-only loops of the instructions that the
// kernels are made of. Measured next to every benchmark, so shares survive a noisy machine.
#pragma once

#include <time.h>

#include <algorithm>
#include <bitdial/kernels/target_region.hpp>
#include <cstdint>
#include <string_view>
#include <type_traits>
#include <utility>

#if defined(__x86_64__)
#  include <immintrin.h>
#endif

namespace bench {

/// Processor time of this thread: what other programs take does not count.
[[nodiscard]] inline double seconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

/// Runs `rounds` rounds of one instruction mix and returns the multiply-accumulates done.
using PeakLoop = double (*)(std::int64_t rounds);

struct PeakLoops {
  std::string_view isa;
  PeakLoop f32 = nullptr;
  PeakLoop u8s8 = nullptr;
  PeakLoop bits = nullptr;
  PeakLoop lookup = nullptr;
  PeakLoop bf16 = nullptr;
};

/// How a peak is called in records. A loop counts multiply-accumulates of `precision`; the one peak
/// without a loop is that of reading weights from the cache.
struct PeakName {
  std::string_view name;
  std::string_view precision;
  std::string_view unit;
  PeakLoop PeakLoops::*loop;
};
inline constexpr PeakName peak_names[] = {
    {"f32", "f32", "GMAC/s", &PeakLoops::f32},
    {"bf16", "bf16", "GMAC/s", &PeakLoops::bf16},
    {"u8s8", "w8a8", "GMAC/s", &PeakLoops::u8s8},
    {"bits", "w1a1", "GMAC/s", &PeakLoops::bits},      // a pair of planes
    {"lookup", "w1a1", "GMAC/s", &PeakLoops::lookup},  // a plane of weights
    {"cache", "w8a8", "GB/s", nullptr},
};

/// `count` independent chains acc[i], unrolled: first `t = FIRST(x, y)` for all of them, then
/// `a = SECOND(a, t)`, with operands that the compiler must believe to change. A round is four
/// passes, so that the loop itself costs nothing.
#define BENCH_PEAK(name, Vector, constraint, count, macs_per_step, FIRST, SECOND)               \
  inline double name(std::int64_t rounds) {                                                     \
    constexpr std::make_integer_sequence<int, count> chains{};                                  \
    const auto for_chains =                                                                     \
        []<int... i>(std::integer_sequence<int, i...>, auto f) __attribute__((always_inline)) { \
      (f(std::integral_constant<int, i>{}), ...);                                               \
    };                                                                                          \
    Vector acc[count] = {};                                                                     \
    Vector temporary[count] = {};                                                               \
    Vector x{};                                                                                 \
    Vector y{};                                                                                 \
    const auto pass = [&](auto) __attribute__((always_inline)) {                                \
      for_chains(                                                                               \
          chains, [&](auto i) __attribute__((always_inline)) {                                  \
            __asm__ volatile("" : "+" constraint(x), "+" constraint(y));                        \
            Vector& t = temporary[i];                                                           \
            FIRST;                                                                              \
          });                                                                                   \
      for_chains(                                                                               \
          chains, [&](auto i) __attribute__((always_inline)) {                                  \
            __asm__ volatile("" : "+" constraint(x), "+" constraint(y));                        \
            Vector& a = acc[i];                                                                 \
            [[maybe_unused]] const Vector& t = temporary[i];                                    \
            SECOND;                                                                             \
            __asm__ volatile("" : "+" constraint(a));                                           \
          });                                                                                   \
    };                                                                                          \
    for (std::int64_t r = 0; r < rounds; ++r) {                                                 \
      for_chains(std::make_integer_sequence<int, 4>{}, pass);                                   \
    }                                                                                           \
    return static_cast<double>(rounds) * 4 * count * (macs_per_step);                           \
  }

#if defined(__x86_64__)

BITDIAL_BEGIN_TARGET("avx2,fma")
namespace peaks_256 {
inline __m256i count_ones(__m256i v) {
  const __m256i nibble = _mm256_set1_epi8(15);
  const __m256i ones =
      _mm256_broadcastsi128_si256(_mm_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4));
  return _mm256_add_epi8(
      _mm256_shuffle_epi8(ones, _mm256_and_si256(v, nibble)),
      _mm256_shuffle_epi8(ones, _mm256_and_si256(_mm256_srli_epi16(v, 4), nibble)));
}
BENCH_PEAK(f32, __m256, "x", 14, 8, static_cast<void>(t), a = _mm256_fmadd_ps(x, y, a))
BENCH_PEAK(u8s8, __m256i, "x", 7, 16, t = _mm256_madd_epi16(x, y), a = _mm256_add_epi32(a, t))
BENCH_PEAK(bits, __m256i, "x", 5, 256, t = count_ones(_mm256_and_si256(x, y)),
           a = _mm256_add_epi8(a, t))
BENCH_PEAK(lookup, __m256i, "x", 7, 128, t = _mm256_shuffle_epi8(x, y), a = _mm256_add_epi8(a, t))
/// Two products a step, without an instruction for pairs.
BENCH_PEAK(bf16, __m256, "x", 14, 16, static_cast<void>(t),
           a = _mm256_fmadd_ps(x, y, _mm256_fmadd_ps(y, x, a)))
}  // namespace peaks_256
BITDIAL_END_TARGET

// A region grants what its table may use and no more: beside VNNI, multiply-adds and additions
// could become dot products.
BITDIAL_BEGIN_TARGET("avx2,fma,avx512f,avx512bw,avx512dq,avx512vl")
namespace peaks_512 {
inline __m512i count_ones(__m512i v) {
  const __m512i nibble = _mm512_set1_epi8(15);
  const __m512i ones =
      _mm512_broadcast_i32x4(_mm_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4));
  return _mm512_add_epi8(
      _mm512_shuffle_epi8(ones, _mm512_and_si512(v, nibble)),
      _mm512_shuffle_epi8(ones, _mm512_and_si512(_mm512_srli_epi16(v, 4), nibble)));
}
BENCH_PEAK(f32, __m512, "v", 24, 16, static_cast<void>(t), a = _mm512_fmadd_ps(x, y, a))
BENCH_PEAK(u8s8, __m512i, "v", 15, 32, t = _mm512_madd_epi16(x, y), a = _mm512_add_epi32(a, t))
BENCH_PEAK(bits, __m512i, "v", 12, 512, t = count_ones(_mm512_and_si512(x, y)),
           a = _mm512_add_epi8(a, t))
BENCH_PEAK(lookup, __m512i, "v", 12, 256, t = _mm512_shuffle_epi8(x, y), a = _mm512_add_epi8(a, t))
BENCH_PEAK(bf16, __m512, "v", 24, 32, static_cast<void>(t),
           a = _mm512_fmadd_ps(x, y, _mm512_fmadd_ps(y, x, a)))
}  // namespace peaks_512
BITDIAL_END_TARGET

BITDIAL_BEGIN_TARGET("avx2,fma,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx512vpopcntdq")
namespace peaks_vnni {
BENCH_PEAK(u8s8, __m512i, "v", 24, 64, static_cast<void>(t), a = _mm512_dpbusd_epi32(a, x, y))
BENCH_PEAK(bits, __m512i, "v", 12, 512, static_cast<void>(t),
           a = _mm512_add_epi64(a, _mm512_popcnt_epi64(_mm512_and_si512(x, y))))
}  // namespace peaks_vnni
BITDIAL_END_TARGET

BITDIAL_BEGIN_TARGET("avx2,fma,avx512f,avx512bw,avx512dq,avx512vl,avx512bf16")
namespace peaks_bf16 {
BENCH_PEAK(bf16, __m512, "v", 24, 32, static_cast<void>(t),
           a = _mm512_dpbf16_ps(a, (__m512bh)x, (__m512bh)y))
}  // namespace peaks_bf16
BITDIAL_END_TARGET

inline constexpr PeakLoops all_peaks[] = {
    {"avx2", peaks_256::f32, peaks_256::u8s8, peaks_256::bits, peaks_256::lookup, peaks_256::bf16},
    {"avx512", peaks_512::f32, peaks_512::u8s8, peaks_512::bits, peaks_512::lookup,
     peaks_512::bf16},
    {"avx512vnni", peaks_512::f32, peaks_vnni::u8s8, peaks_vnni::bits, peaks_512::lookup,
     peaks_512::bf16},
    {"avx512bf16", peaks_512::f32, peaks_vnni::u8s8, peaks_vnni::bits, peaks_512::lookup,
     peaks_bf16::bf16},
};

#else

inline constexpr PeakLoops all_peaks[] = {{"none"}};

#endif

/// The loops of an instruction set; empty pointers for one without measured peaks.
[[nodiscard]] inline PeakLoops peaks_of(std::string_view isa) {
  for (const PeakLoops& peaks : all_peaks) {
    if (peaks.isa == isa) return peaks;
  }
  return {.isa = isa};
}

/// GMAC/s of a loop in about a millisecond; 0 without a loop.
[[nodiscard]] inline double measure_peak(PeakLoop loop) {
  if (loop == nullptr) return 0.0;
  constexpr std::int64_t rounds = 10000;
  double best = 0.0;
  const double end = seconds() + 1e-3;
  do {
    const double start = seconds();
    const double macs = loop(rounds);
    best = std::max(best, macs / (seconds() - start) * 1e-9);
  } while (seconds() < end);
  return best;
}

}  // namespace bench
