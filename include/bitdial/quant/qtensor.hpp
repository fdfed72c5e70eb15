// SPDX-License-Identifier: Apache-2.0
// A quantized tensor: packed codes of a fixed width, and the integer lines that give them values.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include <bitdial/core/aligned_buffer.hpp>
#include <bitdial/core/assert.hpp>
#include <bitdial/core/config.hpp>
#include <bitdial/core/result.hpp>
#include <bitdial/core/shape.hpp>
#include <bitdial/core/text.hpp>
#include <bitdial/quant/bit_layout.hpp>
#include <bitdial/quant/levels.hpp>
#include <bitdial/quant/precision.hpp>

namespace bitdial::inline BITDIAL_ABI {

/// Codes of `Bits` bits, packed as `Layout` says. The first axis of the shape counts the rows (for
/// weights `[Cout, kh, kw, Cin]` the output channels), the others together are the columns.
///
/// Values are scale * level(code) with one `IntegerLevels` for the tensor or one per row. Works
/// without exceptions: what can fail returns a `Result`.
template <int Bits, class Layout = Interleaved>
class QTensor {
  static_assert(is_code_bits(Bits), "bitdial: QTensor<Bits, Layout>: Bits must lie in [1, 8].");
  static_assert(BitLayout<Layout>,
                "bitdial: QTensor<Bits, Layout>: Layout must satisfy the concept BitLayout, as "
                "Interleaved and BitPlanes do.");

 public:
  static constexpr int bits = Bits;

  QTensor() = default;

  /// Packs one code per byte, row-major as the shape says; `levels` has one entry or one per row.
  /// Fails if a count does not fit the shape, a code needs more than `Bits` bits, or the size of
  /// the shape overflows.
  [[nodiscard]] static Result<QTensor> pack(const Shape& shape, std::span<const std::uint8_t> codes,
                                            std::vector<IntegerLevels> levels) {
    if (auto fault = fault_of(shape, levels); !fault) return fault.failure();
    if (static_cast<std::int64_t>(codes.size()) != shape.size()) {
      return Failure{concat("QTensor: shape ", shape, " has ", shape.size(), " elements, got ",
                            codes.size(), " codes")};
    }
    for (std::size_t i = 0; i < codes.size(); ++i) {
      if ((codes[i] >> Bits) != 0) {
        return Failure{concat("QTensor: codes of ", Bits, " bits lie below ", 1 << Bits, ", code ",
                              i, " is ", int{codes[i]})};
      }
    }
    QTensor tensor{shape, std::move(levels)};
    pack_codes(tensor.layout_, codes, tensor.packed_.span());
    return tensor;
  }

  [[nodiscard]] const Shape& shape() const noexcept { return shape_; }
  [[nodiscard]] const Layout& layout() const noexcept { return layout_; }
  [[nodiscard]] std::int64_t rows() const noexcept { return layout_.rows; }
  [[nodiscard]] std::int64_t cols() const noexcept { return layout_.cols; }

  /// The packed codes, padding included; starts on a 64-byte boundary.
  [[nodiscard]] std::span<const std::uint8_t> packed() const noexcept { return packed_.span(); }
  /// The size of `packed()`.
  [[nodiscard]] std::int64_t bytes() const noexcept { return layout_.bytes(); }

  /// The code at (row, col). For looking, not for loops: unpack a tensor to work on it.
  [[nodiscard]] std::uint8_t code(std::int64_t row, std::int64_t col) const noexcept {
    return code_at(layout_, packed_.span(), row, col);
  }
  /// The line of a row.
  [[nodiscard]] const IntegerLevels& levels(std::int64_t row) const noexcept {
    BITDIAL_ASSERT(row >= 0 && row < rows());
    return levels_.size() == 1 ? levels_.front() : levels_[static_cast<std::size_t>(row)];
  }
  [[nodiscard]] bool has_levels_per_row() const noexcept { return levels_.size() > 1; }
  /// The value at (row, col).
  [[nodiscard]] float value(std::int64_t row, std::int64_t col) const noexcept {
    return levels(row).value(code(row, col));
  }

  /// One code per byte, row-major; `codes` has one element per element of the shape.
  void unpack(std::span<std::uint8_t> codes) const noexcept {
    unpack_codes(layout_, packed_.span(), codes);
  }

  /// The bytes of the codes' top `K` bits: the first K planes, where they lie.
  template <int K>
  [[nodiscard]] std::span<const std::uint8_t> planes() const noexcept
      requires(Layout::has_plane_prefixes) {
    static_assert(K >= 1 && K <= Bits, "bitdial: QTensor::planes<K>: K must lie in [1, Bits].");
    return packed().first(static_cast<std::size_t>(layout_.prefix(K).bytes()));
  }

  /// A copy at `K` bits, codes without their low bits. `levels` is the line of the K-bit codes:
  /// `Quantizer::levels(state, K)` of a nested policy. Fails if their count does not fit.
  template <int K>
  [[nodiscard]] Result<QTensor<K, Layout>> truncated(std::vector<IntegerLevels> levels) const
      requires(Layout::has_plane_prefixes) {
    if (auto fault = fault_of(shape_, levels); !fault) return fault.failure();
    QTensor<K, Layout> tensor{shape_, std::move(levels)};
    std::ranges::copy(planes<K>(), tensor.packed_.data());
    return tensor;
  }

 private:
  template <int, class>
  friend class QTensor;

  // The largest layout is a matrix of one column: a row, and its 64 bytes, for each bit of a code.
  // Positions are counted in bits.
  static constexpr std::int64_t max_size = INT64_MAX / (8 * row_alignment * 8);

  QTensor(const Shape& shape, std::vector<IntegerLevels> levels)
      : shape_{shape}, layout_{layout_of(shape)}, levels_{std::move(levels)} {
    packed_ = AlignedBuffer<std::uint8_t>(static_cast<std::size_t>(layout_.bytes()));
  }

  [[nodiscard]] static Layout layout_of(const Shape& shape) noexcept {
    std::int64_t cols = 1;
    for (int axis = 1; axis < shape.rank(); ++axis) cols *= shape[axis];
    return Layout{shape[0], cols, Bits};
  }

  [[nodiscard]] static Result<void> fault_of(const Shape& shape,
                                             const std::vector<IntegerLevels>& levels) {
    if (shape.rank() == 0) return Failure{"QTensor: expected a shape with rows, got rank 0"};
    for (const std::int64_t extent : shape) {
      if (extent < 0) return Failure{concat("QTensor: negative extent in shape ", shape)};
    }
    if (shape.checked_size(max_size) < 0) {
      return Failure{concat("QTensor: shape ", shape, " has more than ", max_size, " elements")};
    }
    if (levels.size() == 1 || static_cast<std::int64_t>(levels.size()) == shape[0]) return {};
    return Failure{concat("QTensor: shape ", shape, " needs 1 or ", shape[0],
                          " integer lines, got ", levels.size())};
  }

  Shape shape_{0};
  Layout layout_{0, 0, Bits};
  std::vector<IntegerLevels> levels_{IntegerLevels{}};
  AlignedBuffer<std::uint8_t> packed_;
};

}  // namespace bitdial::inline BITDIAL_ABI
