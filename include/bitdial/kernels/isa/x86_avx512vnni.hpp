// SPDX-License-Identifier: Apache-2.0
// AVX-512 with VNNI (dot products of four bytes), VPOPCNTDQ (bit counts of lanes), VBMI (look-ups
// in tables of 64 bytes) and GFNI (bit matrices): from Ice Lake and Zen 4 on, processors have all
// four.
#pragma once

#include <bitdial/kernels/isa/x86_avx512.hpp>

namespace bitdial::inline BITDIAL_ABI::kernels::avx512vnni {

inline bool supported() noexcept {
  constexpr std::uint32_t vbmi_gfni_vnni_vpopcntdq =
      1U << 1 | 1U << 8 | 1U << 11 | 1U << 14;  // leaf 7, ecx
  return avx512::supported() && cpuid_has(7, 0, CpuidRegister::ecx, vbmi_gfni_vnni_vpopcntdq);
}

}  // namespace bitdial::inline BITDIAL_ABI::kernels::avx512vnni

#if defined(__x86_64__)

BITDIAL_BEGIN_TARGET(
    "avx2,fma,gfni,avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi,avx512vnni,avx512vpopcntdq")
namespace bitdial::inline BITDIAL_ABI::kernels::avx512vnni {

/// Sums of four products are added in 32 bits: nothing saturates.
using U8S8Sums = __m512i;
using U8S8Codes = __m512i;
using U8S8Levels = __m512i;
inline constexpr std::int64_t u8s8_lanes = 16;
inline constexpr int u8s8_rows = 12, u8s8_vectors = 2;
inline constexpr bool u8s8_narrows = true;

inline U8S8Codes broadcast_codes(const std::uint8_t* p) noexcept {
  std::int32_t four = 0;
  std::memcpy(&four, p, sizeof four);
  return _mm512_set1_epi32(four);
}
inline U8S8Levels load_levels(const std::int8_t* p) noexcept {
  return _mm512_loadu_si512(p);
}
inline U8S8Sums multiply_add(U8S8Sums c, U8S8Codes a, U8S8Levels b) noexcept {
  return _mm512_dpbusd_epi32(c, a, b);
}
inline void store_sums(std::int32_t* p, U8S8Sums c) noexcept {
  _mm512_storeu_si512(p, c);
}

using Bytes = __m512i;
using avx512::load_bytes;
inline constexpr int codes_rows = 4, codes_vectors = 4;
/// The matrix that moves `bits` bits of a byte from bit `first` on to its lowest; the byte 7 - i of
/// a matrix selects what bit i becomes.
constexpr std::uint64_t moving_matrix(int bits, int first) noexcept {
  std::uint64_t matrix = 0;
  for (int i = 0; i < bits; ++i) matrix |= std::uint64_t{1} << ((7 - i) * 8 + first + i);
  return matrix;
}
/// Codes that start at bit `place * bits` of every byte. One product with a matrix is less than a
/// shift and a mask, but other units compute it: they take turns.
template <int bits, int place>
inline U8S8Levels unpack_levels(Bytes v) noexcept {
  if constexpr (place % 2 == 1) {
    constexpr std::uint64_t matrix = moving_matrix(bits, place * bits);
    return _mm512_gf2p8affine_epi64_epi8(v, _mm512_set1_epi64(static_cast<long long>(matrix)), 0);
  }
  const __m512i moved = place == 0 ? v : _mm512_srli_epi16(v, place * bits);
  return _mm512_and_si512(moved, _mm512_set1_epi8((1 << bits) - 1));
}

using Bits = __m512i;
inline constexpr std::int64_t max_counts = 0;
inline constexpr int planes_rows = 8, planes_cols = 16;

using avx512::add_counts, avx512::and_bits, avx512::broadcast_bits, avx512::load_bits,
    avx512::store_counts, avx512::xor_bits;
inline Bits count_bits(Bits counts, Bits v) noexcept {
  return _mm512_add_epi32(counts, _mm512_popcnt_epi32(v));
}

using avx512::add_sums, avx512::broadcast_f32, avx512::byte_lanes, avx512::Bytes, avx512::F32,
    avx512::fmadd_f32, avx512::Ints, avx512::load_bytes, avx512::load_f32, avx512::min_f32,
    avx512::mul_f32, avx512::mul_sums, avx512::narrow_ints, avx512::nearest_ints,
    avx512::StepVectors, avx512::store_bytes, avx512::store_bytes_part, avx512::sums_to_f32,
    avx512::unpack_high16, avx512::unpack_high8, avx512::unpack_low16, avx512::unpack_low8;
inline U8S8Codes codes_of(Bytes v) noexcept {
  return v;
}

using avx512::add_ints, avx512::add_neighbours, avx512::bits_lanes, avx512::broadcast_int,
    avx512::f32_lanes, avx512::ints_of_codes, avx512::load_ints, avx512::mul_ints,
    avx512::store_ints;
inline Ints narrow_lanes(Bits a, Bits b) noexcept {
  const __m512i even = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
  return _mm512_permutex2var_epi32(a, even, b);
}
inline std::uint64_t sum_lanes(Bits v) noexcept {
  return static_cast<std::uint64_t>(_mm512_reduce_add_epi64(v));
}
inline Bits add_code_sums(Bits sum, const std::uint8_t* p) noexcept {
  return _mm512_add_epi64(sum, _mm512_sad_epu8(_mm512_loadu_si512(p), Bits{}));
}
using CodePart = __mmask64;
inline CodePart code_part(std::int64_t count) noexcept {
  return (1ULL << count) - 1;
}
inline Bits add_code_sums_part(Bits sum, const std::uint8_t* p, CodePart lanes) noexcept {
  return _mm512_add_epi64(sum, _mm512_sad_epu8(_mm512_maskz_loadu_epi8(lanes, p), Bits{}));
}
/// Rows of codes that share a vector, `lanes` lanes each, whatever lies between them or overlaps.
class RowLanes {
 public:
  RowLanes(std::int64_t stride, std::int64_t count, int lanes) noexcept
      : in_place_{count == 8 * lanes && stride == count} {
    const __m128i bytes = _mm_setr_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    const __m512i row = lanes == 2 ? _mm512_setr_epi64(0, 0, 1, 1, 2, 2, 3, 3)
                                   : _mm512_setr_epi64(0, 0, 0, 0, 1, 1, 1, 1);
    const __m512i second_half =
        lanes == 2 ? __m512i{} : _mm512_setr_epi64(0, 0, 16, 16, 0, 0, 16, 16);
    const __m512i lowest{};  // of each lane, for all of its bytes
    const __m512i place =
        _mm512_add_epi8(_mm512_broadcast_i32x4(bytes), _mm512_shuffle_epi8(second_half, lowest));
    const __m512i begin = _mm512_mullo_epi16(_mm512_shuffle_epi8(row, lowest),
                                             _mm512_set1_epi16(static_cast<short>(stride)));
    index_ = _mm512_add_epi8(begin, place);
    own_ = _mm512_cmplt_epi8_mask(place, _mm512_set1_epi8(static_cast<char>(count)));
    read_ = ~0ULL >> (64 - reach(stride, count, lanes));
  }

  [[nodiscard]] static bool hold(std::int64_t stride, std::int64_t count, int lanes) noexcept {
    return count > 0 && count <= 8 * lanes && reach(stride, count, lanes) <= 64;
  }
  [[nodiscard]] Bits add(Bits sum, const std::uint8_t* p) const noexcept {
    if (in_place_) return add_code_sums(sum, p);
    const __m512i codes =
        _mm512_maskz_permutexvar_epi8(own_, index_, _mm512_maskz_loadu_epi8(read_, p));
    return _mm512_add_epi64(sum, _mm512_sad_epu8(codes, Bits{}));
  }

 private:
  /// Bytes from the first code of the first row to the last one of the last row.
  static std::int64_t reach(std::int64_t stride, std::int64_t count, int lanes) noexcept {
    return (bits_lanes / lanes - 1) * stride + count;
  }

  bool in_place_;  ///< rows fill their lanes
  __m512i index_;
  __mmask64 own_, read_;
};

using avx512::add_u8;
inline constexpr int lookup_rows = 8, lookup_vectors = 2;

/// Four tables of 16 entries as one of 64.
inline Bytes entries_of(Bytes v) noexcept {
  constexpr int and_or = 0xea;  // (v & nibble) | first
  return _mm512_ternarylogic_epi32(v, _mm512_set1_epi8(15), _mm512_set1_epi32(0x30201000), and_or);
}
inline Bytes low_entries(Bytes v) noexcept {
  return entries_of(v);
}
inline Bytes high_entries(Bytes v) noexcept {
  return entries_of(_mm512_srli_epi16(v, 4));
}
inline Bytes look_up_entries(Bytes tables, Bytes entries) noexcept {
  return _mm512_permutexvar_epi8(entries, tables);
}
inline U8S8Sums add_groups(U8S8Sums c, Bytes v) noexcept {
  return _mm512_dpbusd_epi32(c, v, _mm512_set1_epi8(1));
}
inline Bytes order_groups(Bytes v) noexcept {
  return _mm512_permutexvar_epi64(_mm512_setr_epi64(0, 4, 1, 5, 2, 6, 3, 7), v);
}
inline Bytes add_byte_pairs(Bytes v) noexcept {
  return _mm512_maddubs_epi16(v, _mm512_set1_epi8(1));
}
inline Bytes unpack_low32(Bytes a, Bytes b) noexcept {
  return _mm512_unpacklo_epi32(a, b);
}
inline Bytes unpack_high32(Bytes a, Bytes b) noexcept {
  return _mm512_unpackhi_epi32(a, b);
}

namespace narrower = avx512;

/// The bytes of every n-th channel from the first byte on, n = 1 .. 4.
inline constexpr std::int64_t most_looked_up = 4;
inline constexpr __mmask64 every_byte[most_looked_up] = {~0ULL, 0x5555555555555555,
                                                         0x9249249249249249, 0x1111111111111111};

/// A table of 256 bytes is two look-ups of 128: the highest bit of the index chooses between them.
inline void look_up_bytes(const LookUpBytes& q) noexcept {
  const std::int64_t channels = q.channels;
  if (channels > most_looked_up) return scalar::look_up_bytes(q);
  std::int64_t first = 0;  // the channel of byte i: 64 is a multiple of 1, 2 and 4, and 3 * 21 + 1
  for (std::int64_t i = 0; i < q.count; i += 64) {
    const __mmask64 inside = q.count - i < 64 ? (1ULL << (q.count - i)) - 1 : ~0ULL;
    const __m512i x = _mm512_maskz_loadu_epi8(inside, q.x + i);
    __m512i y{};
    for (std::int64_t c = 0; c < channels; ++c) {
      const std::uint8_t* const t = q.tables + 256 * c;
      const __m512i low = _mm512_permutex2var_epi8(load_bytes(t), x, load_bytes(t + 64));
      const __m512i high = _mm512_permutex2var_epi8(load_bytes(t + 128), x, load_bytes(t + 192));
      const __mmask64 own = every_byte[channels - 1]
                            << (c < first ? c + channels - first : c - first);
      y = _mm512_mask_mov_epi8(y, own, _mm512_mask_mov_epi8(low, _mm512_movepi8_mask(x), high));
    }
    if (channels == 3) first = first == 2 ? 0 : first + 1;
    if (inside == ~0ULL) {  // masks cost several stores
      store_bytes(q.y + i, y);
    } else {
      _mm512_mask_storeu_epi8(q.y + i, inside, y);
    }
  }
}

using ByteNumbers [[gnu::vector_size(64)]] = std::uint8_t;
using ShortNumbers [[gnu::vector_size(64)]] = std::uint16_t;
using IntLanes [[gnu::vector_size(64)]] = std::uint32_t;
using SignedLanes [[gnu::vector_size(64)]] = std::int32_t;
inline constexpr std::int64_t s16_lanes = 16;
inline constexpr int s16_rows = 8, s16_vectors = 2;

inline void load_codes(const std::uint8_t* p, ByteNumbers& codes) noexcept {
  codes = reinterpret_cast<ByteNumbers>(_mm512_loadu_si512(p));
}
inline void load_codes(const std::uint8_t* p, ShortNumbers& codes) noexcept {
  const __m256i bytes = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
  codes = reinterpret_cast<ShortNumbers>(_mm512_cvtepu8_epi16(bytes));
}
inline IntLanes broadcast_pair(const std::int16_t* p) noexcept {
  std::int32_t pair = 0;
  std::memcpy(&pair, p, sizeof pair);
  return reinterpret_cast<IntLanes>(_mm512_set1_epi32(pair));
}
inline IntLanes multiply_add_pairs(IntLanes c, IntLanes a, IntLanes b) noexcept {
  return reinterpret_cast<IntLanes>(_mm512_dpwssd_epi32(
      reinterpret_cast<__m512i>(c), reinterpret_cast<__m512i>(a), reinterpret_cast<__m512i>(b)));
}

#  include <bitdial/kernels/generic/tile_rows.ipp>

#  include <bitdial/kernels/generic/bit_planes.ipp>
#  include <bitdial/kernels/generic/code_winograd.ipp>
#  include <bitdial/kernels/generic/depthwise_u8s8.ipp>

#  include <bitdial/kernels/generic/depthwise_pairs.ipp>
#  include <bitdial/kernels/generic/gemm_codes.ipp>
#  include <bitdial/kernels/generic/gemm_lookup_dot.ipp>
#  include <bitdial/kernels/generic/gemm_u8s8.ipp>
#  include <bitdial/kernels/generic/row_sums.ipp>

inline constexpr KernelTable table = [] {
  KernelTable t = avx512::table;
  t.name = "avx512vnni";
  t.supported = supported;
  t.gemm_u8s8 = {u8s8_rows, u8s8_cols, gemm_u8s8};
  t.look_up_bytes = look_up_bytes;
  t.sum_codes = sum_codes;
  t.sum_rows = sum_rows;
  t.gemm_codes = {codes_rows, codes_cols, gemm_codes};
  t.gemm_planes = {planes_rows, planes_cols, gemm_planes};
  t.gemm_lookup = {lookup_rows, lookup_cols, gemm_lookup};
  t.lookup_order = LookupOrder::by_column;
  t.subset_sums = subset_sums;
  t.depthwise_u8s8 = {1, depthwise_cols, depthwise_u8s8_or_pairs};
  t.depthwise_lanes = depthwise_cols;
  t.winograd_codes = winograd_codes;
  t.gemm_s16 = {s16_rows, s16_cols, gemm_s16};
  t.winograd_sums = winograd_sums;
  t.winograd_shorts_pay = t.winograd_bytes_pay = true;
  return t;
}();

}  // namespace bitdial::inline BITDIAL_ABI::kernels::avx512vnni
BITDIAL_END_TARGET

#else

namespace bitdial::inline BITDIAL_ABI::kernels::avx512vnni {

inline constexpr KernelTable table = [] {
  KernelTable t = avx512::table;
  t.name = "avx512vnni";
  t.supported = supported;
  return t;
}();

}  // namespace bitdial::inline BITDIAL_ABI::kernels::avx512vnni

#endif
