// SPDX-License-Identifier: Apache-2.0
// One bit per element: where a derivative is 1 and where it is 0.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include <bitdial/core/assert.hpp>
#include <bitdial/core/rounding.hpp>
#include <bitdial/core/tensor.hpp>
#include <bitdial/kernels/active.hpp>
#include <bitdial/ops/detail/elementwise.hpp>

namespace bitdial::inline BITDIAL_ABI::ops {

/// A gate for gradients: element i passes where its bit is set. 1 / 32 of the memory of floats.
///
/// Pieces `begin .. end` start at a multiple of `block` and end at one, or at the last element;
/// different pieces may be used by different threads.
class BitMask {
 public:
  /// Elements whose bits share memory, as the kernels order them.
  static constexpr std::int64_t block = kernels::mask_block;

  /// Bits hold anything until they are written.
  explicit BitMask(std::int64_t size)
      : words_({round_up(size, block) / bits_per_word}, Uninitialized{}) {}

  /// The bits that are set in both masks, which have the same size.
  [[nodiscard]] static BitMask intersection(const BitMask& a, const BitMask& b) {
    BITDIAL_ASSERT(a.words_.size() == b.words_.size());
    BitMask result(a.words_.size() * bits_per_word);
    detail::map(
        a.words_.size(), result.words_.data(),
        [](std::uint32_t of_a, std::uint32_t of_b) { return of_a & of_b; }, a.words_.data(),
        b.words_.data());
    return result;
  }

  /// Sets the bit of element begin + i where `passes(x[i])`, clears it elsewhere.
  template <class T, class Predicate>
  void write(std::int64_t begin, std::int64_t end, const T* x, Predicate passes) noexcept {
    for_each_run(words_.data(), begin, end, x,
                 [&](std::uint32_t* words, const T* values, std::int64_t blocks) {
                   for (; blocks > 0; --blocks, words += lanes, values += block) {
                     kernels::scalar::mark_block(words, values, passes);
                   }
                 });
  }

  /// The same for low <= x[i] && x[i] <= high.
  void write_between(std::int64_t begin, std::int64_t end, const float* x, float low, float high) {
    const kernels::RealKernels& table = kernels::active_real_kernels();
    for_each_run(words_.data(), begin, end, x,
                 [&](std::uint32_t* words, const float* values, std::int64_t blocks) {
                   table.mark_between(
                       {.blocks = blocks, .x = values, .low = low, .high = high, .words = words});
                 });
  }

  /// y[i] = x[i] > 0 ? x[i] : +0, and the bit of element begin + i says which; `y` may be `x`.
  template <class T>
  void rectify(std::int64_t begin, std::int64_t end, const T* x, T* y) {
    std::int64_t done = 0;
    if constexpr (std::is_same_v<T, float>) {
      const std::int64_t blocks = (end - begin) / block;
      kernels::active_real_kernels().rectify(
          {.blocks = blocks, .x = x, .y = y, .words = words_.data() + begin / bits_per_word});
      done = blocks * block;
    }
    write(begin + done, end, x + done, [](T v) { return v > T{0}; });
    for (std::int64_t i = done; i < end - begin; ++i) y[i] = x[i] > T{0} ? x[i] : T{0};
  }

  /// y[i] = x[i], and +0 where the bit of element begin + i is clear, whatever x[i] is; `y` may be
  /// `x`.
  template <class T>
  void gate(std::int64_t begin, std::int64_t end, const T* x, T* y) const {
    const std::uint32_t* const words = this->words(begin);
    const std::int64_t whole = (end - begin) / block, rest = (end - begin) % block;
    gate_blocks(words, whole, x, y);
    if (rest > 0) {
      std::array<T, block> last{};
      std::copy_n(x + whole * block, rest, last.data());
      gate_blocks(words + whole * lanes, 1, last.data(), last.data());
      std::copy_n(last.data(), rest, y + whole * block);
    }
  }

  /// y[i] = a[i] + b[i], each of them +0 where the bit of element begin + i in its mask is clear; a
  /// mask that is null passes all. `y` may be `a` or `b`.
  static void add_gated(std::int64_t begin, std::int64_t end, const BitMask* a_mask, const float* a,
                        const BitMask* b_mask, const float* b, float* y) {
    const auto words_of = [begin](const BitMask* mask) {
      return mask == nullptr ? nullptr : mask->words(begin);
    };
    kernels::AddGated operands{.blocks = (end - begin) / block,
                               .a_words = words_of(a_mask),
                               .a = a,
                               .b_words = words_of(b_mask),
                               .b = b,
                               .y = y};
    const kernels::RealKernels& table = kernels::active_real_kernels();
    table.add_gated(operands);
    const std::int64_t done = operands.blocks * block, rest = end - begin - done;
    if (rest == 0) return;
    std::array<float, block> last_a{}, last_b{};
    std::copy_n(a + done, rest, last_a.data());
    std::copy_n(b + done, rest, last_b.data());
    operands = {.blocks = 1,
                .a_words = words_of(a_mask),
                .a = last_a.data(),
                .b_words = words_of(b_mask),
                .b = last_b.data(),
                .y = last_a.data()};
    if (a_mask != nullptr) operands.a_words += done / bits_per_word;
    if (b_mask != nullptr) operands.b_words += done / bits_per_word;
    table.add_gated(operands);
    std::copy_n(last_a.data(), rest, y + done);
  }

  /// The words of the elements from `begin` on, a multiple of `block`, as kernels read them.
  [[nodiscard]] const std::uint32_t* words(std::int64_t begin) const noexcept {
    BITDIAL_ASSERT(begin % block == 0);
    return words_.data() + begin / bits_per_word;
  }

  /// The sum of x[i] over the elements begin + i whose bits are set, in double.
  template <class T>
  [[nodiscard]] double sum(std::int64_t begin, std::int64_t end, const T* x) const {
    std::array<double, static_cast<std::size_t>(lanes)> sums{};
    for_each_run(words_.data(), begin, end, x,
                 [&](const std::uint32_t* words, const T* values, std::int64_t blocks) {
                   for (; blocks > 0; --blocks, words += lanes, values += block) {
                     add_block(words, values, sums);
                   }
                 });
    double total = 0.0;
    for (const double sum : sums) total += sum;
    return total;
  }

  [[nodiscard]] bool operator[](std::int64_t i) const noexcept {
    const std::int64_t word = i / block * lanes + i % lanes;
    return (words_[word] >> (i % block / lanes) & 1U) != 0;
  }

 private:
  static constexpr std::int64_t bits_per_word = 32;
  static constexpr std::int64_t lanes = kernels::mask_words;

  /// visit(words, values, blocks) for the whole blocks of a piece, and for a rest, which is filled
  /// up with zeros.
  template <class Word, class T, class Visit>
  static void for_each_run(Word* words, std::int64_t begin, std::int64_t end, const T* x,
                           Visit visit) {
    BITDIAL_ASSERT(begin % block == 0);
    words += begin / bits_per_word;
    const std::int64_t whole = (end - begin) / block, rest = (end - begin) % block;
    visit(words, x, whole);
    if (rest > 0) {
      std::array<T, block> last{};
      std::copy_n(x + whole * block, rest, last.data());
      visit(words + whole * lanes, last.data(), std::int64_t{1});
    }
  }

  template <class T>
  static void gate_blocks(const std::uint32_t* words, std::int64_t blocks, const T* x, T* y) {
    const kernels::Gate<T> operands{.blocks = blocks, .words = words, .x = x, .y = y};
    if constexpr (std::is_same_v<T, float>) {
      kernels::active_real_kernels().gate(operands);
    } else {
      kernels::scalar::gate(operands);
    }
  }

  /// sums[l] += the selected elements of lane l.
  template <class T, class Sums>
  static void add_block(const std::uint32_t* words, const T* x, Sums& sums) noexcept {
    if (std::all_of(words, words + lanes, [](std::uint32_t word) { return word == 0; })) return;
    std::array<T, block> kept;
    kernels::scalar::gate<T>({.blocks = 1, .words = words, .x = x, .y = kept.data()});
    for (std::size_t i = 0; i < kept.size(); ++i) {
      sums[i % static_cast<std::size_t>(lanes)] += static_cast<double>(kept[i]);
    }
  }

  Tensor<std::uint32_t> words_;
};

}  // namespace bitdial::inline BITDIAL_ABI::ops
